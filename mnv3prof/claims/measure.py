"""The claims' wishes, timed in one go: what must be compared is interleaved."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from ..arch.layers import Graph
from ..bench.backends import backend
from ..bench.profile import Request, profile
from ..bench.schedule import Progress
from ..cost.counts import Dtype
from ..record.run import Run
from .claim import Wish

BACKENDS: Final = ("cpu", "onnxruntime", "cpu-compile")
"""What is measured on unless asked otherwise: what takes longest to get ready stands last."""

_SAMPLED: Final[dict[Dtype, float]] = {"fp32": 0.75, "int8": 0.25}
"""What of the time budget goes to each type."""
_READY_S: Final = 95.0
"""How long getting ready may take in all, so that a measurement of a minute ends within three."""
_READY_FIRST: Final = 0.65
"""What of it the first type may take."""
_READY_LEAST: Final = 15.0


class Measuring(NamedTuple):
    """On what and how long to measure. folder: the cache's, None for one that is not kept."""

    backends: tuple[str, ...]
    threads: int = 1
    budget_s: float = 60.0
    folder: Path | None = None


def measure(
    graph: Graph, wishes: Sequence[Wish], how: Measuring, hear: Callable[[Progress], None] = lambda _: None
) -> tuple[Run, ...]:
    """A run for each type that something is wanted in and a backend takes."""
    found: list[Run] = []
    left = _READY_S
    for dtype, share in _SAMPLED.items():
        wanted = [wish for wish in wishes if dtype in wish.dtypes]
        takes = tuple(name for name in how.backends if dtype in backend(name).DTYPES)
        if wanted and takes:
            begin = monotonic()
            ready_s = max(_READY_LEAST, left if found else _READY_FIRST * left)
            sampled_s = share * how.budget_s
            found.append(profile(_request(graph, wanted, takes, dtype, how, sampled_s, ready_s), hear=hear))
            left -= monotonic() - begin - sampled_s
    return tuple(found)


def _request(
    graph: Graph, wishes: Sequence[Wish], backends: tuple[str, ...], dtype: Dtype, how: Measuring,
    sampled_s: float, ready_s: float,
) -> Request:  # fmt: skip
    graphs: dict[str, Graph] = {"": graph}
    parts: dict[str, dict[str, None]] = {"": {}}
    for wish in wishes:
        graphs.setdefault(wish.variant, wish.graph)
        parts.setdefault(wish.variant, {})[wish.part] = None
    return Request(
        graphs, {variant: tuple(found) for variant, found in parts.items()}, backends, dtype,
        threads=how.threads, budget_s=sampled_s, folder=how.folder, ready_s=ready_s,
    )  # fmt: skip
