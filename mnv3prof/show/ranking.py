"""Table of one part's latency: a row per target, the fastest first."""

from collections.abc import Sequence
from typing import Final

from ..analysis.compare import VERDICTS, compare
from ..analysis.grid import Grid, part_costs, rates
from ..analysis.load import clock_of
from ..graph.graph import Graph
from ..graph.parts import NET
from ..record.run import Run
from ..record.target import labels, shared_settings
from ..record.timing import Timing
from ..render.sheet import Column, Sheet
from .costs import titled
from .times import spread_ms

_FASTEST: Final = "fastest"


def ranking_sheet(
    graph: Graph, grid: Grid, part: str, timings: Sequence[Timing], run: Run, notes: Sequence[str] = ()
) -> Sheet:
    """Return latency, ratio to the fastest target and rates of a part, a row per target."""
    names = labels(grid.targets, with_backend=True)
    timed = [(target, grid.at(part, target)) for target in grid.targets]
    known = sorted(
        ((target, timing) for target, timing in timed if timing and timing.seconds is not None),
        key=lambda pair: pair[1].per_image or 0.0,
    )
    failed = [(target, timing) for target, timing in timed if timing and timing.seconds is None]
    fastest = known[0][1] if known else None
    costs = {target.dtype: part_costs(graph, target.dtype, timings)[part] for target in grid.targets}
    several = any(target.batch > 1 for target in grid.targets)
    cpu = any(clock_of(timing, run) == "CPU" for _, timing in known)
    columns = (
        Column("target", "Target", "text"),
        Column("ms", "ms per call" if several else "ms", "figure"),
        *([Column("cpu_ms", "CPU time, ms", "figure")] if cpu else []),
        *([Column("per_image", "ms per image", "figure")] if several else []),
        *([Column("change", f"Relative to the {_FASTEST}", "text")] if len(known) > 1 else []),
        Column("gmacs", "GMAC/s", "number", importance=2),
        Column("of_peak", "% of peak", "percent", importance=1),
        Column("limited_by", "Limited by", "text", importance=3),
    )
    rows = []
    for target, timing in (*known, *failed):
        rate = rates(timing, costs[target.dtype], run)
        cells = {
            "target": names[target],
            "ms": _ms(timing),
            "cpu_ms": _cpu_ms(timing, run),
            "per_image": _per_image(timing, run),
            "change": _change(fastest, timing, run),
            "gmacs": rate.gmacs,
            "of_peak": rate.of_peak,
            "limited_by": rate.limited_by,
        }
        rows.append(tuple(cells[column.key] for column in columns))
    what = "the whole network" if part == NET else f"part {part}"
    machines = ", ".join(dict.fromkeys(run.hosts[target.device].cpu for target in grid.targets))
    how = ", ".join(filter(None, (f"latency of {what} on {machines}", shared_settings(grid.targets))))
    verdicts = (VERDICTS,) if len(known) > 1 else ()
    bad = frozenset(n for n, (_, timing) in enumerate((*known, *failed)) if timing.status == "mismatch")
    return Sheet(titled(graph, how), columns, tuple(rows), notes=(*verdicts, *notes), highlighted=bad)


def _ms(timing: Timing) -> str | None:
    summary = timing.summary if timing.status == "ok" else None
    if summary is None:
        return timing.status if timing.status != "ok" else None
    return spread_ms(summary, noisy=timing.noisy)


def _cpu_ms(timing: Timing, run: Run) -> str | None:
    summary = timing.cpu_summary if timing.seconds and clock_of(timing, run) == "CPU" else None
    return spread_ms(summary, noisy=summary.noisy) if summary else None


def _per_image(timing: Timing, run: Run) -> str | None:
    summary = timing.cpu_summary if clock_of(timing, run) == "CPU" else timing.summary
    return f"{summary.median / timing.target.batch * 1e3:.3f}" if timing.seconds and summary else None


def _change(fastest: Timing | None, timing: Timing, run: Run) -> str | None:
    if fastest is None or timing.seconds is None:
        return None
    return _FASTEST if timing is fastest else compare(fastest, timing, run, run).described
