"""The metrics that budgets limit and diffs compare, by name."""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from ..cost.counts import Dtype, Totals, count, subtotals, total
from ..cost.memory import Peak, arena, peaks
from ..graph.graph import Graph
from ..graph.once import once
from ..graph.parts import identical_blocks
from ..record.run import Run, Subject
from ..record.target import Target
from ..record.timing import Timing
from ..source import Source

Unit = Literal["count", "bytes", "seconds"]

LATENCY: Final = "latency."
"""Prefix of a latency's name; a backend's name follows."""

_COSTS: Final[dict[str, tuple[str, Unit]]] = {
    "macs": ("macs", "count"),
    "flops": ("flops", "count"),
    "params": ("params", "count"),
    "weights": ("weight_bytes", "bytes"),
    "read": ("read_bytes", "bytes"),
    "written": ("write_bytes", "bytes"),
}
_PEAKS: Final = ("eager", "unfused", "fused")
NAMES: Final = (*_COSTS, *(f"peak.{name}" for name in _PEAKS), "arena")
"""Names of the metrics that are computed from a table, without measuring."""


class Side(msgspec.Struct, frozen=True):
    """A network to check or compare.

    source: its name as given. dtype, batch: those of its byte values. run: None for a table.
    """

    source: str
    subject: Subject
    dtype: Dtype = "fp32"
    batch: int = 1
    run: Run | None = None

    @property
    def sizes(self) -> tuple[tuple[Dtype, int], ...]:
        """The (dtype, batch) pairs that it was measured with."""
        return self.run.sizes if self.run else ((self.dtype, self.batch),)

    @property
    def subjects(self) -> dict[str, Subject]:
        """The network as "", and a run's variants by name."""
        return {"": self.subject} if self.run is None else self.run.subjects


def sides(
    *sources: Source, change: Callable[[Subject, str], Subject] = lambda subject, _: subject
) -> tuple[Side, ...]:
    """Return each source as a saved run, or as a network.

    A network that stands beside a run gets the run's dtype and batch. change: applied to each network, with
    the source's name. Raises InputError for a source of several networks.
    """
    runs = [source.run for source in sources]
    dtype_and_batch = next((run.measured_as for run in runs if run), ("fp32", 1))
    return tuple(
        Side(source.text, run.subject, *run.measured_as, run)
        if run
        else Side(source.text, change(source.subject, source.text), *dtype_and_batch)
        for source, run in zip(sources, runs, strict=True)
    )


class Figure(msgspec.Struct, frozen=True):
    """A metric of the network and of each block.

    blocks: parts of the sum for a cost, the maximum of live bytes in each block for a memory metric.
    reason: why the value is None or a lower bound.
    """

    unit: Unit
    value: int | None
    blocks: dict[str, int] = {}
    reason: str = ""


def unit_of(name: str) -> Unit:
    """Return the unit of a metric."""
    if name.startswith(LATENCY):
        return "seconds"
    return _COSTS[name][1] if name in _COSTS else "bytes"


@once
def figures(graph: Graph, dtype: Dtype = "fp32", batch: int = 1) -> dict[str, Figure]:
    """Return the metrics in NAMES. MACs and FLOPs are per image; bytes are for `batch` images at `dtype`."""
    costs = count(graph, dtype, batch=batch)
    groups, whole = subtotals(graph, costs), total(costs)
    metrics = {name: _cost(field, unit, groups, whole) for name, (field, unit) in _COSTS.items()}
    by_definition = peaks(graph, dtype, batch)
    metrics |= {f"peak.{name}": _peak(graph, getattr(by_definition, name)) for name in _PEAKS}
    metrics["arena"] = Figure("bytes", arena(graph, dtype, batch).bytes, metrics["peak.fused"].blocks)
    return metrics


def timings_by_part(run: Run, variant: str = "") -> dict[str, list[Timing]]:
    """Return the timings of each part, which are those of the identical part that was measured.

    Parts are the blocks, the whole network, and the modules that were timed by path.
    """
    ours = [timing for timing in run.timings if timing.variant == variant]
    measured = {**identical_blocks(run.subjects[variant].graph)}
    measured |= {timing.part: timing.part for timing in ours if timing.part not in measured}
    return {part: [t for t in ours if t.part == first] for part, first in measured.items()}


def targets_of(run: Run | None, variant: str = "") -> tuple[Target, ...]:
    """Return the targets that a network of the run was timed on."""
    return tuple(dict.fromkeys(t.target for t in run.timings if t.variant == variant)) if run else ()


def _cost(field: str, unit: Unit, groups: tuple[Totals, ...], whole: Totals) -> Figure:
    reason = ""
    if whole.unpriced and field in ("macs", "flops"):
        reason = f"no price is known for {', '.join(whole.unpriced[:3])}, so it is a lower bound"
    blocks = {group.name: getattr(group, field) for group in groups}
    return Figure(unit, getattr(whole, field), blocks, reason)


def _peak(graph: Graph, peak: Peak | None) -> Figure:
    if peak is None:
        return Figure("bytes", None, reason="PyTorch eager does not run int8")
    return Figure("bytes", peak.bytes, dict(zip(graph.block_names, peak.blocks, strict=True)))
