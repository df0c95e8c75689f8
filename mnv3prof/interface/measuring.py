"""Measure networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

from msgspec.structs import replace

from ..bench.obstacles import require_one
from ..bench.profile import Request, places_named, profile
from ..bench.progress import Progress
from ..cost.counts import DTYPE_BYTES, Dtype
from ..graph.errors import InputError, as_number, one_of, quote, require
from ..graph.graph import Graph
from ..graph.parts import selected_parts
from ..mobilenetv3.table import TABLE_RULES
from ..record.run import Run, Subject
from ..record.target import MOST, Target, combinations
from ..workers.cache_folder import usable_folder
from .networks import Loadable, sources_of

_MOST_SECONDS: Final = 86_400.0


def measure(
    network: Loadable,
    on: str | Sequence[str] = "cpu",
    *,
    dtype: Dtype | Sequence[Dtype] = "fp32",
    batch: int | Sequence[int] = 1,
    threads: int | Sequence[int] = 1,
    parts: str | Sequence[str] = "all",
    budget_s: float = 60.0,
    timeout_s: float = 300.0,
    variants: Mapping[str, Loadable] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Measure latency on every combination of backend, dtype, batch and threads.

    network: as of load(); an nn.Module is measured with its weights, at the input of load().
    on: backends, e.g. ["cpu", "onnxruntime"], or "all" for those that work here.
    batch: images per call. threads: of the runtime. parts: "net" (the whole network), "blocks", "all"
        (both), "backbone" (all but the classifier), a block such as "stem", a range of blocks such as "3-7",
        a module's path, or a list of them; "self.net" is a module called net. A module that is called several
        times, or whose layers do not follow one another, and parts of a .tflite file are not timed.
    budget_s: total sampling time in seconds. timeout_s: of each conversion, load and burst, in seconds.
    variants: other networks by name, measured in turns with the first; at its input size unless they have
        their own. on_progress: called with what is being done.

    Each target has its own process, one of them is timed at a time, and each output is compared with
    PyTorch's. A target that fails has timings with a status and a reason. The README says how time is
    measured. Raises InputError if nothing can be measured here.

    >>> run = mnv3prof.measure("small", "null", parts="net", budget_s=0.1)
    >>> run.timings[0].status
    'ok'
    """
    named = _variants(variants)
    sources = sources_of([network, *named.values()], "measure")
    subjects = {name: s.subject for name, s in zip(("", *named), sources, strict=True)}
    timeout_s = _seconds(timeout_s, "timeout_s")
    targets = _targets(on, dtype, batch, threads, timeout_s)
    if on_progress is not None and not callable(on_progress):
        raise InputError(f"on_progress: {quote(on_progress)} cannot be called; expected a function, or None")
    request = Request(
        subjects,
        {name: _parts(subject.graph, parts) for name, subject in subjects.items()},
        targets,
        _seconds(budget_s, "budget_s"),
        timeout_s,
        usable_folder(warn_of_cache),
        command=f"mnv3prof.measure({subjects[''].name!r})",
    )
    require_one(targets, "on")
    with _runnable(subjects, targets) as runnable:
        run = profile(request._replace(subjects=runnable), on_progress=on_progress or (lambda _: None))
    return replace(run, subjects=subjects)


@contextmanager
def _runnable(subjects: Mapping[str, Subject], targets: Iterable[Target]) -> Iterator[Mapping[str, Subject]]:
    """Make modules that were given as objects runnable by other processes. Raises InputError."""
    given = [name for name, subject in subjects.items() if subject.module is not None]
    if not given:
        yield subjects
        return
    from ..workers.captured import save_programs

    batches = sorted({target.batch for target in targets})
    with TemporaryDirectory(prefix="mnv3prof-") as folder:
        made = {}
        for number, name in enumerate(given):
            place = Path(folder) / str(number)
            place.mkdir()
            made[name] = save_programs(subjects[name], batches, place)
        yield {**subjects, **made}


def _variants(given: Mapping[str, Loadable] | None) -> Mapping[str, Loadable]:
    """Return the variants. Raises InputError for names that no table could have."""
    if given is None:
        return {}
    require(given, Mapping, "variants", "networks by name")
    rule = TABLE_RULES["name"]
    for name in given:
        if not rule.accepts(name):
            raise InputError(f"variants: the name {quote(name)} is not allowed; expected {rule.expected}")
    return given


def _targets(
    on: object, dtype: object, batch: object, threads: object, timeout_s: float
) -> tuple[Target, ...]:
    names = _each(on, "on", _text)
    groups = [places_named(name, timeout_s) for name in names]
    dtypes: tuple[Dtype, ...] = _each(dtype, "dtype", _dtype)
    backends = tuple(dict.fromkeys(name for group in groups for name in group))
    return combinations(backends, dtypes, _each(batch, "batch", _count), _each(threads, "threads", _count))


def _each(given: object, what: str, parse: Callable[[Any, str], Any]) -> tuple[Any, ...]:
    """Return the distinct values of one or several. Raises InputError for none."""
    several = list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes)) else [given]
    values = tuple(dict.fromkeys(parse(value, what) for value in several))
    if not values:
        raise InputError(f"{what}: {quote(given)} is empty; expected at least one value")
    return values


def _text(value: Any, what: str) -> str:
    require(value, str, what, 'names, e.g. ["cpu", "onnxruntime"]')
    return cast("str", value)


def _dtype(value: Any, what: str) -> Dtype:
    one_of(value, DTYPE_BYTES, what)
    return cast("Dtype", value)


def _count(value: Any, what: str) -> int:
    value = as_number(value)
    if type(value) is not int or not 1 <= value <= MOST:
        raise InputError(f"{what}: {quote(value)} is not allowed; expected an integer from 1 to {MOST:,}")
    return value


def _seconds(value: Any, what: str) -> float:
    value = as_number(value)
    if type(value) not in (int, float) or not 0 < value <= _MOST_SECONDS:
        expected = f"expected a number above 0, at most {_MOST_SECONDS:,.0f}"
        raise InputError(f"{what}: {quote(value)} is not allowed; {expected}")
    return float(value)


def _parts(graph: Graph, parts: object) -> tuple[str, ...]:
    """Return the names of the parts. Raises InputError for one that the network does not have."""

    def text(name: Any, what: str) -> str:
        require(name, str, what, 'names of parts, e.g. ["net", "stem"]')
        return cast("str", name)

    return selected_parts(graph, _each(parts, "parts", text), "parts")


def warn_of_cache(text: str) -> None:
    """Warn that the cache cannot be used."""
    warnings.warn(text, stacklevel=3)
