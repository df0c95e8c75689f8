"""Timings by part and target, and what follows from them: rates, shares of the machine's roofs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..cost.counts import Cost, Dtype, Totals, count, subtotals, total
from ..graph.graph import Graph, Layer
from ..graph.once import once
from ..record.run import NET, Roof, Run, twins
from ..record.target import Target, labels
from ..record.timing import Timing


def timings_of(run: Run, variant: str) -> list[Timing]:
    """The timings of one network, "" for the run's main one."""
    return [t for t in run.timings if t.variant == variant]


def part_costs(graph: Graph, dtype: Dtype = "fp32", timings: Iterable[Timing] = ()) -> dict[str, Totals]:
    """What each block, the whole network, and each module that was timed by its path cost, by part."""
    found = dict(_block_costs(graph, dtype))
    for path in {timing.part for timing in timings} - found.keys():
        found[path] = cost_of(graph, graph.under(path), path, dtype)
    return found


@once
def _block_costs(graph: Graph, dtype: Dtype) -> dict[str, Totals]:
    costs = count(graph, dtype)
    return {**{group.name: group for group in subtotals(graph, costs)}, NET: total(costs)}


def cost_of(graph: Graph, layers: Iterable[Layer], name: str, dtype: Dtype = "fp32") -> Totals:
    """What some of the graph's layers cost together, under a name."""
    costs = _by_layer(graph, dtype)
    return total((costs[layer.name] for layer in layers), name)


@once
def _by_layer(graph: Graph, dtype: Dtype) -> dict[str, Cost]:
    return {cost.layer: cost for cost in count(graph, dtype)}


class Grid(NamedTuple):
    """Timings by part and target. same: each part's first that is identical. labels: what its columns are
    called, each target by what differs among them.
    """

    parts: list[str]
    targets: list[Target]
    cells: dict[tuple[str, Target], Timing]
    same: dict[str, str]
    labels: dict[Target, str]

    def at(self, part: str, target: Target) -> Timing | None:
        """The timing that stands for the part, its own or its twin's."""
        return self.cells.get((self.same[part], target))


def grid_of(graph: Graph, timings: Sequence[Timing]) -> Grid:
    """The timings of one network; parts in the network's order, the whole last, and after it the modules
    that were timed by their path.
    """
    measured = dict.fromkeys(timing.part for timing in timings)
    same = {**{part: part for part in measured}, **twins(graph)}
    parts = [part for part in (*graph.block_names, NET) if same[part] in measured]
    parts += [part for part in measured if part not in parts]
    targets = list(dict.fromkeys(timing.target for timing in timings))
    return Grid(parts, targets, {(t.part, t.target): t for t in timings}, same, labels(targets))


class Rates(NamedTuple):
    """How fast a part ran. gmacs: GMAC/s; of_peak, of_roof: shares of the device's best product, and of
    what its roof allows at the part's intensity, MACs per byte moved; bound: "compute" or "memory".
    """

    gmacs: float | None = None
    of_peak: float | None = None
    of_roof: float | None = None
    bound: str | None = None
    intensity: float | None = None


def rates(timing: Timing, costs: Totals, run: Run) -> Rates:
    """The rates of a part of `costs`; what was not measured is None."""
    if costs.unpriced:
        return Rates()
    roof = roof_of(timing, run)
    seconds = timing.seconds
    batch = timing.target.batch
    rate = batch * costs.macs / seconds if seconds else None
    moved = costs.weight_bytes + batch * (costs.read_bytes + costs.write_bytes - costs.weight_bytes)
    intensity = batch * costs.macs / moved if moved else None
    gmacs = rate and rate / 1e9
    if roof is None or intensity is None:
        return Rates(gmacs, intensity=intensity)
    reachable = min(roof.macs_per_s, intensity * roof.bytes_per_s)
    if rate is None or not reachable:
        return Rates(intensity=intensity)
    bound = "memory" if reachable < roof.macs_per_s else "compute"
    return Rates(gmacs, rate / roof.macs_per_s, rate / reachable, bound, intensity)


def roof_of(timing: Timing, run: Run) -> Roof | None:
    """The roof of what the target ran on, at its dtype and threads, if measured."""
    target, host = timing.target, run.hosts[timing.target.device]
    runtime = host.runtimes.get(target.backend)
    wanted = (runtime.roof if runtime else "", target.dtype, target.threads)
    return next((r for r in host.roofs if (r.name, r.dtype, r.threads) == wanted), None)
