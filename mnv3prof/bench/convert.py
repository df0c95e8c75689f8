"""Parts made into the forms that runtimes read: from the cache, or by a process for each form."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

from ..device.protocol import Piece, Prepare
from ..record.target import Target
from . import cache
from .backends import backend
from .formats import stored_dtype
from .requests import Convert, FileKind, Open, Subjects
from .workers import Failed, pytorch_worker

_MEMORY_BYTES: Final = 2 * 2**30
"""What a converter is given: the largest took 1.2 GB of it for Large at 224."""
_LEAST_TIMEOUT_S: Final = 300.0
_GRACE_S: Final = 10.0
"""What a conversion may take beyond the time in which it must be begun."""

Conversions = dict[tuple[FileKind, Piece], "tuple[str, cache.Entry] | Failed"]
"""By kind of file and piece: the entry's key and the entry, or why there is none."""

_Keys = Callable[[FileKind, Piece], str]


def convert(
    pieces: Mapping[FileKind, Sequence[Piece]], subjects: Subjects, folder: Path, *,
    timeout_s: float = _LEAST_TIMEOUT_S, hear: Callable[[str], None] = lambda _: None,
    within_s: float = inf, exact: bool = False,
) -> Conversions:  # fmt: skip
    """Convert each piece to every kind of file that it is wanted in. pieces: by kind.

    What the cache in `folder` has is not converted again. Kinds are converted side by side, as far
    as processors and memory allow. After `within_s` none is begun, and what is left is not in the answer.
    exact: as in cache.key.
    """
    found: Conversions = {}
    missing: dict[FileKind, list[Piece]] = {}
    for kind, wanted in pieces.items():
        for piece in wanted:
            key = _key(kind, piece, subjects, exact)
            entry = cache.find(folder, key)
            if entry is None:
                missing.setdefault(kind, []).append(piece)
            else:
                found[kind, piece] = (key, entry)
    if missing:
        keys = partial(_key, subjects=subjects, exact=exact)
        found |= _convert_missing(missing, subjects, keys, folder, timeout_s, hear, monotonic() + within_s)
        cache.trim(folder, own={key for key, _ in _made(found)})
    return found


def file_kind(target: Target) -> FileKind | None:
    """What the target's backend reads a part from; None for one that runs the module itself."""
    name = backend(target.backend).FORMAT
    return FileKind(name, stored_dtype(name, target.dtype), target.batch) if name else None


def loading(piece: Piece, target: Target, subjects: Subjects, folder: Path) -> Prepare | Failed:
    """The request that lets the target load a piece, once it is converted."""
    kind = file_kind(target)
    if kind is None:
        return Prepare(piece, "", "", target.dtype, target.threads)
    key = _key(kind, piece, subjects)
    entry = cache.find(folder, key)
    if entry is None:
        return Failed("crashed", "its converted file is gone: the cache was cleared meanwhile")
    return Prepare(piece, str(folder / key), entry.main, target.dtype, target.threads)


def _made(found: Conversions) -> list[tuple[str, cache.Entry]]:
    return [each for each in found.values() if not isinstance(each, Failed)]


def _convert_missing(
    missing: Mapping[FileKind, Sequence[Piece]], subjects: Subjects, keys: _Keys, folder: Path,
    timeout_s: float, hear: Callable[[str], None], until: float,
) -> Conversions:  # fmt: skip
    """Side by side; an interrupt ends the converters at once."""
    found: Conversions = {}
    stop = Event()
    with ThreadPoolExecutor(_how_many_at_once()) as pool:
        jobs = [
            pool.submit(_convert_all, kind, pieces, subjects, keys, folder, timeout_s, hear, stop, until)
            for kind, pieces in missing.items()
        ]
        try:
            for job in jobs:
                found |= job.result()
        except BaseException:
            stop.set()
            raise
    return found


def _key(kind: FileKind, piece: Piece, subjects: Subjects, exact: bool = False) -> str:
    return cache.key(subjects[piece.variant], piece.part, *kind, exact=exact)


def _how_many_at_once() -> int:
    import os

    import psutil

    room = int(psutil.virtual_memory().available) // _MEMORY_BYTES
    return max(1, min(os.cpu_count() or 1, room))


def _convert_all(
    kind: FileKind, pieces: Sequence[Piece], subjects: Subjects, keys: _Keys, folder: Path,
    timeout_s: float, hear: Callable[[str], None], stop: Event, until: float,
) -> Conversions:  # fmt: skip
    found: Conversions = {}
    with pytorch_worker(Open(subjects, kind.batch)) as worker:
        for number, piece in enumerate(pieces, 1):
            if stop.is_set() or monotonic() > until:
                break
            hear(f"converting to {kind}: {number} of {len(pieces)}")
            key = keys(kind, piece)
            within_s = min(timeout_s, until - monotonic() + _GRACE_S)
            answer = worker.ask(Convert(piece, kind, str(folder), key), cache.Entry, within_s, stop)
            found[kind, piece] = answer if isinstance(answer, Failed) else (key, answer)
    return found
