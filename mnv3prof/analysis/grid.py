"""Timings by part and target, their rates, and their shares of the peak rates."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from ..cost.counts import Cost, Dtype, Totals, count, subtotals, total
from ..graph.graph import Graph, Layer
from ..graph.once import once
from ..graph.parts import NET, identical_blocks, part_layers
from ..record.run import PeakRates, Run
from ..record.target import Target, labels
from ..record.timing import Timing
from .load import clock_of, summary_by


def timings_of(run: Run, variant: str) -> list[Timing]:
    """Return the timings of one variant."""
    return [t for t in run.timings if t.variant == variant]


def part_costs(graph: Graph, dtype: Dtype = "fp32", timings: Iterable[Timing] = ()) -> dict[str, Totals]:
    """Return the costs of each block, of the whole network, and of each module that was timed, by part."""
    found = dict(_block_costs(graph, dtype))
    for path in {timing.part for timing in timings} - found.keys():
        found[path] = cost_of(graph, part_layers(graph, path), path, dtype)
    return found


@once
def _block_costs(graph: Graph, dtype: Dtype) -> dict[str, Totals]:
    costs = count(graph, dtype)
    return {**{group.name: group for group in subtotals(graph, costs)}, NET: total(costs)}


def cost_of(graph: Graph, layers: Iterable[Layer], name: str, dtype: Dtype = "fp32") -> Totals:
    """Return the total cost of some layers, under a name."""
    costs = _by_layer(graph, dtype)
    return total((costs[layer.name] for layer in layers), name)


@once
def _by_layer(graph: Graph, dtype: Dtype) -> dict[str, Cost]:
    return {cost.layer: cost for cost in count(graph, dtype)}


class Grid(NamedTuple):
    """Timings by part and target. same: the first identical block of each part. labels: column titles, by
    what differs among the targets.
    """

    parts: list[str]
    targets: list[Target]
    cells: dict[tuple[str, Target], Timing]
    same: dict[str, str]
    labels: dict[Target, str]

    def at(self, part: str, target: Target) -> Timing | None:
        """Return the timing of the part, or of the identical block that was measured."""
        return self.cells.get((self.same[part], target))


def grid_of(graph: Graph, timings: Sequence[Timing]) -> Grid:
    """Return the timings of one network as a grid: blocks in order, the whole network, then modules."""
    measured = dict.fromkeys(timing.part for timing in timings)
    same = {**{part: part for part in measured}, **identical_blocks(graph)}
    parts = [part for part in (*graph.block_names, NET) if same[part] in measured]
    parts += [part for part in measured if part not in parts]
    targets = list(dict.fromkeys(timing.target for timing in timings))
    return Grid(parts, targets, {(t.part, t.target): t for t in timings}, same, labels(targets))


def reference_target(grid: Grid) -> Target | None:
    """Return the target whose times order the parts: of those with most timed parts, the fastest one.

    The fastest is that of the whole network, or else of the sum of all parts. None without times.
    """
    timed = {
        target: {part: t.per_image for part in grid.parts if (t := grid.at(part, target)) and t.per_image}
        for target in grid.targets
    }
    most = max(map(len, timed.values()), default=0)
    complete = [target for target, times in timed.items() if times and len(times) == most]
    return min(
        complete, key=lambda target: timed[target].get(NET) or sum(timed[target].values()), default=None
    )


LIMITED: Final = 0.40
"""A part that reaches this share of a device's peak rate is limited by it."""

LimitedBy = Literal["compute", "memory", "neither"]


class Rates(NamedTuple):
    """How fast a part ran. gmacs: GMAC/s. intensity: MACs per byte moved.

    of_peak: share of the device's highest MAC/s; of_bandwidth: share of its highest bytes/s, each tensor
    moved once; limited_by: which of the two, if one is at least LIMITED.
    """

    gmacs: float | None = None
    intensity: float | None = None
    of_peak: float | None = None
    of_bandwidth: float | None = None
    limited_by: LimitedBy | None = None

    @property
    def of_roofline(self) -> float | None:
        """The share of the rate that the peaks allow at this intensity: the larger share of the two."""
        if self.of_peak is None or self.of_bandwidth is None:
            return None
        return max(self.of_peak, self.of_bandwidth)


def rates(timing: Timing, costs: Totals, run: Run) -> Rates:
    """Return the rates of a part of `costs`; None for what was not measured."""
    summary = summary_by(clock_of(timing, run), timing) if timing.status == "ok" else None
    seconds, batch = summary.median if summary else timing.seconds, timing.target.batch
    moved = costs.weight_bytes + batch * (costs.read_bytes + costs.write_bytes - costs.weight_bytes)
    if costs.unpriced or not seconds or not moved:
        return Rates()
    macs_per_s, bytes_per_s = batch * costs.macs / seconds, moved / seconds
    found = Rates(macs_per_s / 1e9, batch * costs.macs / moved)
    peak = peak_of(timing, run)
    if peak is None:
        return found
    of_peak, of_bandwidth = macs_per_s / peak.macs_per_s, bytes_per_s / peak.bytes_per_s
    limit: LimitedBy = "compute" if of_peak >= of_bandwidth else "memory"
    limited_by: LimitedBy = limit if max(of_peak, of_bandwidth) >= LIMITED else "neither"
    return found._replace(of_peak=of_peak, of_bandwidth=of_bandwidth, limited_by=limited_by)


def peak_of(timing: Timing, run: Run) -> PeakRates | None:
    """Return the peak rates of what the target ran on, at its dtype and threads, if they were measured."""
    target, host = timing.target, run.hosts[timing.target.device]
    runtime = host.runtimes.get(target.backend)
    wanted = (runtime.peak if runtime else "", target.dtype, target.threads)
    return next((p for p in host.peak_rates if (p.name, p.dtype, p.threads) == wanted), None)
