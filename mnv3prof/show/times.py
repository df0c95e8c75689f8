"""Table of latencies: parts by targets."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from ..analysis.grid import Grid, grid_of, part_costs, rates, roof_of
from ..cost.counts import Dtype, Totals
from ..graph.graph import Graph
from ..record.run import NET, Run
from ..record.stats import Summary
from ..record.target import Target, shared_settings
from ..record.timing import Timing
from ..render.sheet import Column, Sheet
from .costs import titled
from .timing_notes import NOISY_MARK, timing_notes

_ADDITIVITY: Final = (
    "The sum of parts differs from the whole network: a part that runs alone finds its data in the CPU's "
    "cache, and every call has a fixed overhead, such as allocation."
)


class _Cells(NamedTuple):
    """Cells of a part on one target."""

    ms: str | None = None
    per_image: str | None = None
    gmacs: float | None = None
    of_peak: float | None = None
    bound: str | None = None


def times_sheet(graph: Graph, timings: Sequence[Timing], run: Run) -> Sheet:
    """Return latency, rate and % of peak by part and target; the sum of parts if all blocks were timed."""
    grid = grid_of(graph, timings)
    shown = _measured_targets(grid)
    roofs = {roof_of(timing, run) for timing in timings if timing.bursts}
    bounds = len(roofs - {None}) > 1
    costs = {dtype: part_costs(graph, dtype, timings) for dtype in {t.dtype for t in grid.targets}}
    several = any(target.batch > 1 for target in shown)
    columns = [Column("part", "Part", "text"), Column("macs", "MACs per image" if several else "MACs")]
    columns += [] if bounds else [Column("bound", "Limited by", "text")]
    for target in shown:
        columns += _picked(_columns(grid.labels[target], target), target, bounds)
    rows = tuple(_row(part, grid, shown, costs, run, bounds) for part in grid.parts)
    additive = {*graph.block_names, NET} <= set(grid.parts)
    machines = ", ".join(dict.fromkeys(run.hosts[target.device].cpu for target in grid.targets))
    how = ", ".join(filter(None, (f"latency on {machines}", shared_settings(grid.targets))))
    return Sheet(
        titled(graph, how), tuple(columns), rows, _additivity(graph, grid, shown, bounds) if additive else (),
        (*timing_notes(grid, timings, run), *([_ADDITIVITY] if additive else [])), _alarms(grid),
        stacked=True,
    )  # fmt: skip


def _columns(name: str, target: Target) -> tuple[Column, ...]:
    """Return the columns of a target, one per field of _Cells."""
    return (
        Column(f"{name}_ms", f"{name}, ms{' per call' if target.batch > 1 else ''}", "figure"),
        Column(f"{name}_ms_per_image", "ms per image", "figure"),
        Column(f"{name}_gmacs", "GMAC/s", "number"),
        Column(f"{name}_of_peak", "% of peak", "percent"),
        Column(f"{name}_bound", "Limited by", "text"),
    )


def _picked(cells: Sequence[Any], target: Target, bounds: bool) -> list[Any]:
    """Drop the column or cell per image at batch 1, and the limit if the targets share one peak."""
    ms, per_image, *rates_, bound = cells
    return [ms, *([per_image] if target.batch > 1 else []), *rates_, *([bound] if bounds else [])]


def _measured_targets(grid: Grid) -> list[Target]:
    """Return the targets with a timed part, or all targets if there is none."""
    timed = {timing.target for timing in grid.cells.values() if timing.bursts}
    return [target for target in grid.targets if target in timed] or grid.targets


def spread_ms(s: Summary) -> str:
    """Format the median in ms, its spread, and NOISY_MARK if it is noisy."""
    return f"{s.median * 1e3:.3f} ±{s.noise:4.1%} {NOISY_MARK if s.noisy else ' '}"


def _row(
    part: str, grid: Grid, shown: Sequence[Target], costs: Mapping[Dtype, Mapping[str, Totals]], run: Run,
    bounds: bool,
) -> tuple[object, ...]:  # fmt: skip
    cells = [_cells(grid.at(part, target), costs[target.dtype][part], run) for target in shown]
    name = part if grid.same[part] == part else f"{part} = {grid.same[part]}"
    bound = [] if bounds else [next((each.bound for each in cells if each.bound), None)]
    picked = [_picked(each, target, bounds) for each, target in zip(cells, shown, strict=True)]
    return (name, costs[shown[0].dtype][part].macs, *bound, *chain(*picked))


def _cells(timing: Timing | None, costs: Totals, run: Run) -> _Cells:
    s = timing.summary if timing and timing.status == "ok" else None
    if timing is None or s is None:
        return _Cells(timing.status if timing and timing.status != "ok" else None)
    rate = rates(timing, costs, run)
    per_image = f"{s.median / timing.target.batch * 1e3:.3f}"
    return _Cells(spread_ms(s), per_image, rate.gmacs, rate.of_peak, rate.bound)


def _additivity(
    graph: Graph, grid: Grid, shown: Sequence[Target], bounds: bool
) -> tuple[tuple[object, ...], ...]:
    """Return the rows that compare the sum of the parts' medians with the whole network's."""
    head = [None] if bounds else [None, None]
    rows: list[list[object]] = [[title, *head] for title in ("sum of parts", "net − sum", "sum / net")]
    for target in shown:
        for n, text in enumerate(_sums(graph, grid, target)):
            rows[n] += _picked(_Cells(text), target, bounds)
    return tuple(map(tuple, rows))


def _sums(graph: Graph, grid: Grid, target: Target) -> tuple[str | None, str | None, str | None]:
    timings = {part: grid.at(part, target) for part in (*graph.block_names, NET)}
    seconds = {part: t.seconds for part, t in timings.items() if t and t.seconds is not None}
    if len(seconds) < len(timings) or not seconds[NET]:
        return None, None, None
    net = seconds.pop(NET)
    parts = sum(seconds.values())
    pad = " " * 9  # aligns the sums with the medians, which have their spread on the right
    return f"{parts * 1e3:.3f}{pad}", f"{(net - parts) * 1e3:+.3f}{pad}", f"×{parts / net:.3f}{pad}"


def _alarms(grid: Grid) -> frozenset[int]:
    wrong = {part for (part, _), timing in grid.cells.items() if timing.status == "wrong"}
    return frozenset(n for n, part in enumerate(grid.parts) if grid.same[part] in wrong)
