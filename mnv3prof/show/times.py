"""Table of latencies: parts by targets."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from ..analysis.compare import compare_sums
from ..analysis.grid import Grid, grid_of, part_costs, peak_of, rates
from ..analysis.load import clock_of
from ..cost.counts import Totals
from ..graph.graph import Graph
from ..graph.parts import NET
from ..record.run import Run
from ..record.stats import Summary
from ..record.target import Target, shared_settings
from ..record.timing import Timing
from ..render.sheet import Column, Sheet
from .costs import titled
from .order import UNSORTED, Order, sorted_parts
from .timing_notes import NOISY_MARK, timing_notes

_ADDITIVITY: Final = (
    "The sum of parts can differ from the whole network: a part that runs alone finds its data in caches, "
    "and every call has a fixed overhead, such as allocation."
)


ABOVE_PEAK: Final = (
    "More than 100 % of peak is possible: a runtime may do fewer multiplications than are counted (e.g. in a "
    "Winograd convolution), compute in another dtype, or multiply faster than the library that measured the "
    "peak."
)
_BY_CPU_TIME: Final = "In rows with CPU time, GMAC/s, % of peak and ms per image are those of CPU time."


class Cells(NamedTuple):
    """Cells of a part on one target; ms is the status where there is no time."""

    ms: str | None = None
    cpu_ms: str | None = None
    per_image: str | None = None
    gmacs: float | None = None
    of_peak: float | None = None
    limited_by: str | None = None


def times_sheet(graph: Graph, timings: Sequence[Timing], run: Run, order: Order = UNSORTED) -> Sheet:
    """Return latency, rate and % of peak by part and target; the sum of parts if all blocks were timed."""
    grid = grid_of(graph, timings)
    parts, left = sorted_parts(graph, grid, order)
    shown = {target: _fields(target, timings, run) for target in _measured_targets(grid)}
    costs = {dtype: part_costs(graph, dtype, timings) for dtype in {t.dtype for t in grid.targets}}
    cells = {
        (part, target): cells_of(grid.at(part, target), costs[target.dtype][part], run)
        for part in grid.parts
        for target in shown
    }
    several = any(target.batch > 1 for target in shown)
    columns = [Column("part", "Part", "text"), Column("macs", "MACs per image" if several else "MACs")]
    for target, fields in shown.items():
        columns += _columns(grid.labels[target], target, fields)
    rows = tuple(
        (
            part if grid.same[part] == part else f"{part} = {grid.same[part]}",
            costs[next(iter(shown)).dtype][part].macs,
            *chain(*(_picked(cells[part, target], fields) for target, fields in shown.items())),
        )
        for part in parts
    )
    additive = {*graph.block_names, NET} <= set(grid.parts)
    notes = (
        *left,
        *timing_notes(grid, timings, run),
        *rate_notes(cells.values()),
        *([_ADDITIVITY] if additive else []),
    )
    return Sheet(
        titled(graph, f"latency {measured_on(grid, run)}"),
        tuple(columns),
        rows,
        _additivity(graph, grid, shown) if additive else (),
        notes,
        _alarms(grid, parts),
        stacked=len(shown) > 1,
    )


def measured_on(grid: Grid, run: Run) -> str:
    """Return the machines and the settings of all targets, for a title."""
    machines = ", ".join(dict.fromkeys(run.processor_of(target.device) for target in grid.targets))
    return ", ".join(filter(None, (f"on {machines}", shared_settings(grid.targets))))


def rate_notes(cells: Iterable[Cells]) -> tuple[str, ...]:
    """Return the notes that the rates in some cells need."""
    known = list(cells)
    above = any(each.of_peak and each.of_peak > 1 for each in known)
    by_cpu = any(each.cpu_ms for each in known)
    return (*([ABOVE_PEAK] if above else []), *([_BY_CPU_TIME] if by_cpu else []))


def _fields(target: Target, timings: Sequence[Timing], run: Run) -> list[str]:
    """Return the cells of a target that are shown: CPU time if it replaces wall time, time per image if calls
    are of several, the limit if peak rates are known.
    """
    own = [timing for timing in timings if timing.target == target]
    return [
        "ms",
        *(["cpu_ms"] if any(clock_of(timing, run) == "CPU" for timing in own) else []),
        *(["per_image"] if target.batch > 1 else []),
        "gmacs",
        "of_peak",
        *(["limited_by"] if any(peak_of(timing, run) for timing in own) else []),
    ]


def _columns(name: str, target: Target, fields: Sequence[str]) -> list[Column]:
    call = " per call" if target.batch > 1 else ""
    columns = {
        "ms": Column(f"{name}_ms", f"{name}, ms{call}", "figure"),
        "cpu_ms": Column(f"{name}_cpu_ms", f"CPU time, ms{call}", "figure"),
        "per_image": Column(f"{name}_ms_per_image", "ms per image", "figure"),
        "gmacs": Column(f"{name}_gmacs", "GMAC/s", "number"),
        "of_peak": Column(f"{name}_of_peak", "% of peak", "percent"),
        "limited_by": Column(f"{name}_limited_by", f"Limited by ({name})", "text", importance=1),
    }
    return [columns[field] for field in fields]


def _picked(cells: Cells, fields: Sequence[str]) -> list[object]:
    return [getattr(cells, field) for field in fields]


def _measured_targets(grid: Grid) -> list[Target]:
    """Return the targets with a timed part, or all targets if there is none."""
    timed = {timing.target for timing in grid.cells.values() if timing.bursts or timing.reported}
    return [target for target in grid.targets if target in timed] or grid.targets


def spread_ms(s: Summary, *, noisy: bool) -> str:
    """Format a median in ms, its spread, and NOISY_MARK if it is noisy."""
    return f"{s.median * 1e3:.3f} ±{s.noise:4.1%} {NOISY_MARK if noisy else ' '}"


def spread_of(s: Summary, *, noisy: bool) -> str:
    """Format the spread of a median, and NOISY_MARK if it is noisy."""
    return f"±{s.noise:.1%}{f' {NOISY_MARK}' if noisy else ''}"


def time_ms(timing: Timing | None) -> str | None:
    """Format a timing's median in ms with its spread, or what another tool reported; None without a time."""
    if timing is None or timing.status != "ok":
        return None
    if timing.without_samples:
        return f"{(timing.seconds or 0) * 1e3:.3f} ({reported_as(timing)})"
    return spread_ms(timing.summary, noisy=timing.noisy) if timing.summary else None


def spread_text(timing: Timing) -> str:
    """Format the spread of a timing's median, or what another tool reported."""
    if timing.without_samples:
        return f"({reported_as(timing)} ms)"
    return spread_of(timing.summary, noisy=timing.noisy) if timing.summary else ""


def reported_as(timing: Timing) -> str:
    """Return what a reported time is, and its range in ms: "mean, 1.100 to 1.250"."""
    runs = timing.reported
    kinds = {"median" if each.is_median else "mean" for each in runs}
    kind = kinds.pop() if len(kinds) == 1 else "median or mean"
    of = f"{kind} of {len(runs)} runs" if len(runs) > 1 else kind
    ends = [time for each in runs for time in (each.min_s, each.max_s) if time is not None]
    return f"{of}, {min(ends) * 1e3:.3f} to {max(ends) * 1e3:.3f}" if len(ends) > 1 else of


def cells_of(timing: Timing | None, costs: Totals, run: Run) -> Cells:
    """Return the cells of a part of `costs`."""
    if timing is None or timing.seconds is None:
        return Cells(timing.status if timing and timing.status != "ok" else None)
    cpu = timing.cpu_summary if clock_of(timing, run) == "CPU" else None
    rate = rates(timing, costs, run)
    per_image = f"{(cpu.median if cpu else timing.seconds) / timing.target.batch * 1e3:.3f}"
    cpu_ms = spread_ms(cpu, noisy=cpu.noisy) if cpu else None
    return Cells(time_ms(timing), cpu_ms, per_image, rate.gmacs, rate.of_peak, rate.limited_by)


def _additivity(
    graph: Graph, grid: Grid, shown: Mapping[Target, Sequence[str]]
) -> tuple[tuple[object, ...], ...]:
    """Return the rows that compare the sum of the parts' medians with the whole network's."""
    rows: list[list[object]] = [[title, None] for title in ("sum of parts", "sum / net")]
    for target, fields in shown.items():
        for n, text in enumerate(_sums(graph, grid, target)):
            rows[n] += _picked(Cells(text), fields)
    return tuple(map(tuple, rows))


def _sums(graph: Graph, grid: Grid, target: Target) -> tuple[str | None, str | None]:
    """Return the sum of the parts' medians, and its ratio to the whole network's, with their intervals."""
    blocks = [grid.at(part, target) for part in graph.block_names]
    net, timed = grid.at(NET, target), [block for block in blocks if block]
    summaries = [block.summary for block in timed if block.status == "ok" and block.summary]
    if net is None or net.seconds is None or len(summaries) < len(blocks):
        return None, None
    total, low, high = (sum(getattr(s, name) for s in summaries) * 1e3 for name in ("median", "low", "high"))
    ratio = compare_sums([net], timed)
    return f"{total:.4g} ({low:.3g} to {high:.3g})", str(ratio) if ratio.ratio else None


def _alarms(grid: Grid, parts: Sequence[str]) -> frozenset[int]:
    mismatches = {part for (part, _), timing in grid.cells.items() if timing.status == "mismatch"}
    return frozenset(n for n, part in enumerate(parts) if grid.same[part] in mismatches)
