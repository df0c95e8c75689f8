"""The metrics that budgets limit and diffs compare, by name."""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from ..analysis.select import select
from ..cost.counts import Dtype, Totals, count, subtotals, total
from ..cost.memory import Peak, arena, peaks, why_no_eager
from ..graph.graph import Graph
from ..graph.once import once
from ..graph.parts import BACKBONE, NET, backbone_blocks, identical_blocks, part_layers, selected_parts
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
    *sources: Source,
    change: Callable[[Subject, str], Subject] = lambda subject, _: subject,
    dtype: Dtype | None = None,
    batch: int | None = None,
) -> tuple[Side, ...]:
    """Return each source as a saved run, or as a network.

    A network that stands beside a run gets the run's dtype and batch. change: applied to each network, with
    the source's name. dtype, batch: of byte values, and the only ones whose timings are kept. Raises
    InputError for a source of several networks, and for a run that was not measured so.
    """
    known = {"dtype": () if dtype is None else (dtype,), "batch": () if batch is None else (batch,)}
    found = [(source.run, source.text) for source in sources]
    runs = [run and select(run, text, known) if any(known.values()) else run for run, text in found]
    usual = next((run.measured_as for run in runs if run), ("fp32", 1))
    dtype_and_batch = dtype or usual[0], batch or usual[1]
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


def split_name(name: str) -> tuple[str, str]:
    """Split the name of a limit into metric and part: "macs.head" is macs of head; without a part, of NET.

    The metric of a latency is "latency.BACKEND". An unknown name is returned as it is, with NET.
    """
    if name.startswith(LATENCY):
        backend, _, part = name.removeprefix(LATENCY).partition(".")
        return LATENCY + backend, part or NET
    for metric in NAMES:
        if name.startswith(f"{metric}."):
            return metric, name.removeprefix(f"{metric}.")
    return name, NET


def unit_of(metric: str) -> Unit:
    """Return the unit of a metric."""
    if metric.startswith(LATENCY):
        return "seconds"
    return _COSTS[metric][1] if metric in _COSTS else "bytes"


@once
def figures(graph: Graph, dtype: Dtype = "fp32", batch: int = 1) -> dict[str, Figure]:
    """Return the metrics in NAMES. MACs and FLOPs are per image; bytes are for `batch` images at `dtype`."""
    costs = count(graph, dtype, batch=batch)
    groups, whole = subtotals(graph, costs), total(costs)
    metrics = {name: _cost(field, unit, groups, whole) for name, (field, unit) in _COSTS.items()}
    by_definition = peaks(graph, dtype, batch)
    metrics |= {f"peak.{name}": _peak(graph, getattr(by_definition, name), dtype) for name in _PEAKS}
    metrics["arena"] = Figure("bytes", arena(graph, dtype, batch).bytes, metrics["peak.fused"].blocks)
    return metrics


def part_figure(graph: Graph, metric: str, part: str, dtype: Dtype = "fp32", batch: int = 1) -> Figure:
    """Return a metric of a part; `blocks` are its layers, and the blocks of the network and the backbone.

    Memory is the most live bytes while the part runs. Raises InputError if the network has no such part.
    """
    if part == NET:
        return figures(graph, dtype, batch)[metric]
    selected_parts(graph, [part], metric)
    if part == BACKBONE and backbone_blocks(graph):
        whole = figures(graph, dtype, batch)[metric]
        blocks = {block.name: whole.blocks[block.name] for block in backbone_blocks(graph) if whole.blocks}
        values = [*blocks.values()]
        value = (sum(values) if metric in _COSTS else max(values)) if values else None
        return Figure(whole.unit, value, blocks, whole.reason)
    layers = part_layers(graph, part)
    if metric in _COSTS:
        names = {layer.name for layer in layers}
        costs = [cost for cost in count(graph, dtype, batch=batch) if cost.layer in names]
        field, unit = _COSTS[metric]
        return _cost(field, unit, tuple(total([cost], cost.layer) for cost in costs), total(costs))
    peak: Peak | None = getattr(peaks(graph, dtype, batch), metric.removeprefix("peak."))
    if peak is None:
        return Figure("bytes", None, reason=why_no_eager(graph, dtype))
    live = {layer.name: size for layer, size in zip(graph.layers, peak.layers, strict=True)}
    of_part = {layer.name: live[layer.name] for layer in layers}
    return Figure("bytes", max(of_part.values()), of_part)


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
    missing = {"macs": whole.uncounted, "flops": whole.unpriced}.get(field)
    if missing:
        reason = f"no price is known for {', '.join(missing[:3])}, so it is a lower bound"
    blocks = {group.name: getattr(group, field) for group in groups}
    return Figure(unit, getattr(whole, field), blocks, reason)


def _peak(graph: Graph, peak: Peak | None, dtype: Dtype) -> Figure:
    if peak is None:
        return Figure("bytes", None, reason=why_no_eager(graph, dtype))
    return Figure("bytes", peak.bytes, dict(zip(graph.block_names, peak.blocks, strict=True)))
