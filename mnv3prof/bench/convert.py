"""Conversion of parts to the formats that runtimes read."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from math import inf
from pathlib import Path
from threading import Event, Lock
from time import monotonic
from typing import Final

from ..device.protocol import PartKey, Prepare
from ..record.target import Target
from ..workers import cache
from ..workers.backends import backend
from ..workers.formats import stored_dtype
from ..workers.requests import Convert, FileKind, Open, Subjects
from ..workers.worker import Failed, pytorch_worker
from .progress import OnProgress, Progress

_MEMORY_BYTES: Final = 2 * 2**30
"""Memory per converter; the largest measured was 1.2 GB, for Large at 224."""
_LEAST_TIMEOUT_S: Final = 300.0
_GRACE_S: Final = 10.0
"""Time for a conversion beyond the limit until which conversions are started."""

Conversions = dict[tuple[FileKind, PartKey], "tuple[str, cache.Entry] | Failed"]
"""By kind of file and part: the entry's key and the entry, or the failure."""

OnNext = Callable[[FileKind, PartKey], None]
"""Called before each conversion."""


def convert(
    parts: Mapping[FileKind, Sequence[PartKey]],
    subjects: Subjects,
    folder: Path,
    *,
    timeout_s: float = _LEAST_TIMEOUT_S,
    on_progress: OnProgress = lambda _: None,
    within_s: float = inf,
    exact: bool = False,
) -> Conversions:
    """Convert parts to kinds of files and cache them. parts: the parts by kind.

    Parts that are in the cache in `folder` are not converted again. Kinds are converted in parallel, as
    far as CPU cores and memory allow. After `within_s` no conversion is started, and the rest is missing
    in the result. exact: as in cache.key.
    """
    done: Conversions = {}
    missing: dict[FileKind, dict[PartKey, str]] = {}
    for kind, wanted in parts.items():
        for part in wanted:
            key = _key(kind, part, subjects, exact)
            entry = cache.find(folder, key)
            if entry is None:
                missing.setdefault(kind, {})[part] = key
            else:
                done[kind, part] = (key, entry)
    if missing:
        done |= _convert_missing(missing, subjects, folder, timeout_s, on_progress, monotonic() + within_s)
        cache.trim(folder, own={each[0] for each in done.values() if not isinstance(each, Failed)})
    return done


def file_kind(target: Target) -> FileKind | None:
    """Return the kind of file that the target's backend reads; None for a module."""
    name = backend(target.backend).FORMAT
    return FileKind(name, stored_dtype(name, target.dtype), target.batch) if name else None


def loading(part: PartKey, target: Target, subjects: Subjects, folder: Path) -> Prepare | Failed:
    """Return the request to load a converted part on the target."""
    kind = file_kind(target)
    if kind is None:
        return Prepare(part, "", "", target.dtype, target.threads)
    key = _key(kind, part, subjects)
    entry = cache.find(folder, key)
    if entry is None:
        return Failed("crashed", "its converted file is missing: the cache was cleared meanwhile")
    return Prepare(part, str(folder / key), entry.main, target.dtype, target.threads)


def _convert_missing(
    missing: Mapping[FileKind, Mapping[PartKey, str]],
    subjects: Subjects,
    folder: Path,
    timeout_s: float,
    on_progress: OnProgress,
    until: float,
) -> Conversions:
    """Convert the kinds in parallel. missing: keys by kind and part."""
    done: Conversions = {}
    stop = Event()
    on_next = _numbered(missing, on_progress)
    with ThreadPoolExecutor(_parallel_converters()) as pool:
        jobs = [
            pool.submit(_convert_all, kind, keys, subjects, folder, timeout_s, on_next, stop, until)
            for kind, keys in missing.items()
        ]
        try:
            for job in jobs:
                done |= job.result()
        except BaseException:
            stop.set()
            raise
    return done


def _numbered(missing: Mapping[FileKind, Mapping[PartKey, str]], on_progress: OnProgress) -> OnNext:
    """Return a function that reports each conversion with its number; the kinds are one phase."""
    total = sum(map(len, missing.values()))
    formats = ", ".join(dict.fromkeys(kind.format for kind in missing))
    phase = f"converting {total} part{'s' if total > 1 else ''} for {formats}"
    numbers = count(1)
    pace = Pace({kind: len(parts) for kind, parts in missing.items()}, _parallel_converters())

    def on_next(kind: FileKind, part: PartKey) -> None:
        what = f"{next(numbers)} of {total}, now {part.part} for {kind}"
        on_progress(Progress(what, None, pace.left_s(kind, monotonic()), phase))

    return on_next


class Pace:
    """The pace of conversions by kind, which differ by a hundredfold, and the time left from it.

    parts: their number by kind. at_a_time: number of kinds that are converted in parallel.
    """

    def __init__(self, parts: Mapping[FileKind, int], at_a_time: int) -> None:
        self._parts, self._at_a_time = parts, at_a_time
        self._begun: dict[FileKind, tuple[float, float, int]] = {}
        self._lock = Lock()

    def left_s(self, kind: FileKind, now: float) -> float | None:
        """Note that a conversion begins `now`. Return the seconds left, None if no pace is known."""
        with self._lock:
            began, _, done = self._begun.get(kind, (now, now, -1))
            self._begun[kind] = began, now, done + 1
            spent = sum(last - began for began, last, _ in self._begun.values())
            finished = sum(done for *_, done in self._begun.values())
            if not finished:
                return None
            left = [self._left_of(each, now, spent / finished) for each in self._parts]
        return max(*left, sum(left) / self._at_a_time)

    def _left_of(self, kind: FileKind, now: float, usual: float) -> float:
        """usual: seconds for a part of a kind of which none is converted yet."""
        began, last, done = self._begun.get(kind, (now, now, 0))
        a_part = (last - began) / done if done else usual
        return max(0.0, (self._parts[kind] - done) * a_part - (now - last))


def _key(kind: FileKind, part: PartKey, subjects: Subjects, exact: bool = False) -> str:
    return cache.key(subjects[part.variant], part.part, kind, exact=exact)


def _parallel_converters() -> int:
    import os

    import psutil

    room = int(psutil.virtual_memory().available) // _MEMORY_BYTES
    return max(1, min(os.cpu_count() or 1, room))


def _convert_all(
    kind: FileKind,
    keys: Mapping[PartKey, str],
    subjects: Subjects,
    folder: Path,
    timeout_s: float,
    on_next: OnNext,
    stop: Event,
    until: float,
) -> Conversions:
    done: Conversions = {}
    with pytorch_worker(Open(subjects, kind.batch)) as worker:
        for part, key in keys.items():
            if stop.is_set() or monotonic() > until:
                break
            on_next(kind, part)
            within_s = min(timeout_s, until - monotonic() + _GRACE_S)
            answer = worker.ask(Convert(part, kind, str(folder), key), cache.Entry, within_s, stop)
            done[kind, part] = answer if isinstance(answer, Failed) else (key, answer)
    return done
