"""A network's figures by the names under which budgets and diffs know them."""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from ..cost.counts import Dtype, Totals, count, subtotals, total
from ..cost.memory import Arena, Peak, Peaks, arena, peaks
from ..graph.graph import Graph
from ..graph.once import once
from ..record.run import Run, Subject, twins
from ..record.target import Target
from ..record.timing import Timing

Unit = Literal["count", "bytes", "seconds"]

LATENCY: Final = "latency."
"""What the name of a time begins with; a backend's name follows."""

_COSTS: Final[dict[str, tuple[str, Unit]]] = {
    "macs": ("macs", "count"),
    "flops": ("flops", "count"),
    "params": ("params", "count"),
    "weights": ("weight_bytes", "bytes"),
    "read": ("read_bytes", "bytes"),
    "written": ("write_bytes", "bytes"),
}
_PEAKS: Final[dict[str, Callable[[Peaks], Peak | None]]] = {
    "peak.eager": lambda found: found.eager,
    "peak.liveness": lambda found: found.liveness,
    "peak.folded": lambda found: found.folded,
}
NAMES: Final = (*_COSTS, *_PEAKS, "arena")
"""Of the figures that a table alone decides."""


class Found(msgspec.Struct, frozen=True):
    """A network to be judged: a saved run's, or a table's on paper, whose run is None.

    source: what the user called it. dtype, batch: for which its bytes are told.
    """

    source: str
    subject: Subject
    dtype: Dtype = "fp32"
    batch: int = 1
    run: Run | None = None

    @property
    def sizes(self) -> tuple[tuple[Dtype, int], ...]:
        """Each dtype and batch that it was measured with, its own first."""
        return self.run.sizes if self.run else ((self.dtype, self.batch),)

    @property
    def subjects(self) -> dict[str, Subject]:
        """The network as "", and a run's variants by their names."""
        return {"": self.subject} if self.run is None else self.run.subjects


class Figure(msgspec.Struct, frozen=True):
    """One figure: what the network needs of it, and each block. reason: why the value is None, or why it
    is a lower bound.

    Blocks add up to a cost; of a memory figure they are the most bytes alive while each runs.
    """

    unit: Unit
    value: int | None
    blocks: dict[str, int] = {}
    reason: str = ""


def unit_of(name: str) -> Unit:
    """What the figure called `name` is counted in."""
    if name.startswith(LATENCY):
        return "seconds"
    return _COSTS[name][1] if name in _COSTS else "bytes"


@once
def figures(graph: Graph, dtype: Dtype = "fp32", batch: int = 1) -> dict[str, Figure]:
    """Every figure in NAMES. Costs are of one image; memory holds `batch` images at `dtype`."""
    costs = count(graph, dtype)
    groups, whole = subtotals(graph, costs), total(costs)
    found = {name: _cost(field, unit, groups, whole) for name, (field, unit) in _COSTS.items()}
    alive, plan = peaks(graph, dtype, batch), arena(graph, dtype, batch)
    found |= {name: _peak(graph, choose(alive)) for name, choose in _PEAKS.items()}
    return {**found, "arena": _arena(graph, plan, alive)}


def timings_of(run: Run, variant: str = "") -> dict[str, list[Timing]]:
    """Each part's timings, or those of the identical part that was measured for it.

    Parts are the blocks, the whole network, and the modules that were timed by their path.
    """
    ours = [timing for timing in run.timings if timing.variant == variant]
    same = {**twins(run.subjects[variant].graph)}
    same |= {timing.part: timing.part for timing in ours if timing.part not in same}
    return {part: [t for t in ours if t.part == first] for part, first in same.items()}


def targets_of(run: Run | None, variant: str = "") -> tuple[Target, ...]:
    """The targets on which one network of the run was timed."""
    return tuple(dict.fromkeys(t.target for t in run.timings if t.variant == variant)) if run else ()


def _cost(field: str, unit: Unit, groups: tuple[Totals, ...], whole: Totals) -> Figure:
    reason = ""
    if whole.unpriced and field in ("macs", "flops"):
        reason = f"it is at least that: no price is known for {', '.join(whole.unpriced[:3])}"
    blocks = {group.name: getattr(group, field) for group in groups}
    return Figure(unit, getattr(whole, field), blocks, reason)


def _peak(graph: Graph, peak: Peak | None) -> Figure:
    if peak is None:
        return Figure("bytes", None, reason="PyTorch eager does not run int8")
    return Figure("bytes", peak.bytes, dict(zip(graph.block_names, peak.blocks, strict=True)))


def _arena(graph: Graph, plan: Arena, alive: Peaks) -> Figure:
    return Figure("bytes", plan.bytes, dict(zip(graph.block_names, alive.folded.blocks, strict=True)))
