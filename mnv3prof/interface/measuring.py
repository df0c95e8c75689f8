"""Measure networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from ..bench.obstacles import require_one
from ..bench.profile import Request, profile, usable_here
from ..cost.counts import DTYPE_BYTES, Dtype
from ..graph.errors import InputError, about, one_of, quote, require
from ..graph.graph import Graph
from ..record.run import NET, Run, part_layers
from ..record.target import MOST, combinations
from ..workers.backends import name_of
from ..workers.cache_folder import usable_folder
from .networks import Loadable, load

if TYPE_CHECKING:
    from ..bench.schedule import Progress

_Value = TypeVar("_Value")
_MOST_SECONDS: Final = 86_400.0


def measure(
    network: Loadable,
    on: str | Sequence[str] = "cpu",
    *,
    dtype: Dtype | Sequence[Dtype] = "fp32",
    batch: int | Sequence[int] = 1,
    threads: int | Sequence[int] = 1,
    parts: Literal["all", "blocks", "net"] | Sequence[str] = "all",
    budget_s: float = 60.0,
    timeout_s: float = 300.0,
    variants: Mapping[str, Loadable] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Run:
    """Measure latency on every combination of backend, dtype, batch and threads.

    network: as of load(). on: backends, e.g. ["cpu", "onnxruntime"], or "all" for those that work here.
    batch: images per call. threads: of the runtime. parts: the whole network ("net"), each block, both
        ("all"), or names of blocks and paths of modules.
    budget_s: total sampling time in seconds. timeout_s: of each conversion, load and burst, in seconds.
    variants: other networks to measure interleaved with the first, by name.
    on_progress: called with what is being done.

    Each target has its own process, one of them is timed at a time, and each output is compared with
    PyTorch's. A target that fails has timings with a status and a reason. The README says how time is
    measured. Raises InputError if nothing can be measured here.

    >>> run = mnv3prof.measure("small", "null", parts="net", budget_s=0.1)
    >>> run.timings[0].status
    'ok'
    """
    subjects = {"": load(network), **{name: load(each) for name, each in (variants or {}).items()}}
    for name, value in (("budget_s", budget_s), ("timeout_s", timeout_s)):
        if type(value) not in (int, float) or not 0 < value <= _MOST_SECONDS:
            expected = f"expected a number above 0, at most {_MOST_SECONDS:,.0f}"
            raise InputError(f"{name}: {quote(value)} is not allowed; {expected}")
    with about("measure"):
        targets = combinations(
            _backends(on), _each(dtype, _dtype), _each(batch, _images), _each(threads, _threads)
        )
    require_one(targets, "on")
    request = Request(
        subjects,
        {name: _parts(subject.graph, parts) for name, subject in subjects.items()},
        targets,
        budget_s,
        timeout_s,
        usable_folder(_warn),
        command=f"mnv3prof.measure({subjects[''].table.name!r})",
    )
    return profile(request, on_progress=on_progress)


def _backends(on: str | Sequence[str]) -> tuple[str, ...]:
    groups = [usable_here() if name == "all" else (name_of(name),) for name in _each(on, _text)]
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _text(value: Any) -> str:
    require(value, str, "on", 'names of backends, e.g. ["cpu", "onnxruntime"]')
    return cast("str", value)


def _each(given: _Value | Collection[_Value], parse: Callable[[Any], _Value]) -> tuple[_Value, ...]:
    """Return the distinct values of one or several. Raises InputError for none."""
    several = isinstance(given, Collection) and not isinstance(given, str)
    values = tuple(dict.fromkeys(map(parse, cast("Collection[_Value]", given) if several else [given])))
    if not values:
        raise InputError(f"{quote(given)} is empty; expected at least one value")
    return values


def _dtype(value: Any) -> Dtype:
    one_of(value, DTYPE_BYTES, "dtype")
    return cast("Dtype", value)


def _images(value: Any) -> int:
    return _count(value, "batch")


def _threads(value: Any) -> int:
    return _count(value, "threads")


def _count(value: Any, what: str) -> int:
    if type(value) is not int or not 1 <= value <= MOST:
        raise InputError(f"{what}: {quote(value)} is not allowed; expected an integer from 1 to {MOST:,}")
    return value


def _parts(graph: Graph, parts: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of the parts. Raises InputError for one that the network does not have."""
    groups = {"net": (NET,), "blocks": graph.block_names, "all": (*graph.block_names, NET)}
    if isinstance(parts, str) and parts in groups:
        return groups[parts]
    names = tuple(dict.fromkeys([parts] if isinstance(parts, str) else parts))
    for name in names:
        if not isinstance(name, str) or not part_layers(graph, name):
            expected = f"expected {', '.join([*groups, *graph.block_names[:3]])}, ..., or a module's path"
            raise InputError(f"parts: {quote(name)} is not a part of {graph.name}; {expected}")
    return names


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)
