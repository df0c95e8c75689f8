"""Timings by part and backend, and what follows from them: rates, shares of the machine's roofs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..cost.counts import Dtype, Totals, count, subtotals, total
from ..graph.graph import Graph
from ..record.run import NET, Condition, Roof, Run, Timing, part_layers, twins


def conditions(run: Run) -> list[Condition]:
    """The conditions of the run's timings, in the order in which they were measured."""
    return list(dict.fromkeys(t.condition for t in run.timings))


def timings_of(run: Run, variant: str, condition: Condition) -> list[Timing]:
    """The timings of one network, "" for the run's main one, under one condition."""
    return [t for t in run.timings if t.variant == variant and t.condition == condition]


def part_costs(graph: Graph, dtype: Dtype, timings: Iterable[Timing] = ()) -> dict[str, Totals]:
    """What each block, the whole network, and each module that was timed by its path cost, by part."""
    costs = count(graph, dtype)
    found = {**{group.name: group for group in subtotals(graph, costs)}, NET: total(costs)}
    for path in {timing.part for timing in timings} - found.keys():
        names = {layer.name for layer in part_layers(graph, path)}
        found[path] = total((cost for cost in costs if cost.layer in names), path)
    return found


class Grid(NamedTuple):
    """Timings by part and backend. same: each part's first that is identical."""

    parts: list[str]
    backends: list[str]
    cells: dict[tuple[str, str], Timing]
    same: dict[str, str]

    def at(self, part: str, backend: str) -> Timing | None:
        """The timing that stands for the part, its own or its twin's."""
        return self.cells.get((self.same[part], backend))


def grid_of(graph: Graph, timings: Sequence[Timing]) -> Grid:
    """The timings of one network under one condition; parts in the network's order, the whole last,
    and after it the modules that were timed by their path.
    """
    measured = dict.fromkeys(timing.part for timing in timings)
    same = {**{part: part for part in measured}, **twins(graph)}
    parts = [part for part in (*graph.block_names, NET) if same[part] in measured]
    parts += [part for part in measured if part not in parts]
    backends = list(dict.fromkeys(timing.backend for timing in timings))
    return Grid(parts, backends, {(t.part, t.backend): t for t in timings}, same)


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
    rate = timing.batch * costs.macs / seconds if seconds else None
    moved = costs.weight_bytes + timing.batch * (costs.read_bytes + costs.write_bytes - costs.weight_bytes)
    intensity = timing.batch * costs.macs / moved if moved else None
    gmacs = rate and rate / 1e9
    if roof is None or intensity is None:
        return Rates(gmacs, intensity=intensity)
    reachable = min(roof.macs_per_s, intensity * roof.bytes_per_s)
    bound = "memory" if reachable < roof.macs_per_s else "compute"
    if rate is None or not reachable:
        return Rates(gmacs, bound=bound, intensity=intensity)
    return Rates(gmacs, rate / roof.macs_per_s, rate / reachable, bound, intensity)


def roof_of(timing: Timing, run: Run) -> Roof | None:
    """The roof of the device that the backend ran on, at the timing's type and threads, if measured."""
    runtime = run.host.runtimes.get(timing.backend)
    wanted = (runtime.roof if runtime else "", timing.dtype, timing.threads)
    return next((r for r in run.host.roofs if (r.device, r.dtype, r.threads) == wanted), None)
