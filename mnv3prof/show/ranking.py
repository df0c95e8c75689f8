"""Table of one part's latency: a row per target, the fastest first."""

from collections.abc import Sequence
from typing import Final

from ..analysis.compare import VERDICTS, compare
from ..analysis.grid import Grid, part_costs
from ..graph.graph import Graph
from ..graph.parts import NET
from ..record.run import Run
from ..record.target import labels
from ..record.timing import Timing
from ..render.sheet import Column, Sheet
from .costs import titled
from .times import Cells, cells_of, measured_on, rate_notes

_FASTEST: Final = "fastest"
_LOWEST: Final = "lowest"
"""Of a time whose noise is not known."""


def ranking_sheet(
    graph: Graph, grid: Grid, part: str, timings: Sequence[Timing], run: Run, notes: Sequence[str] = ()
) -> Sheet:
    """Return latency, ratio to the fastest target and rates of a part, a row per target."""
    found = [timing for target in grid.targets if (timing := grid.at(part, target))]
    found.sort(key=lambda timing: timing.per_image or float("inf"))
    costs = {t.target.dtype: part_costs(graph, t.target.dtype, timings)[part] for t in found}
    cells = [cells_of(timing, costs[timing.target.dtype], run) for timing in found]
    names = labels(grid.targets, with_backend=True)
    columns = _columns(found, cells)
    rows = tuple(
        _row(columns, names[timing.target], each, _change(found[0], timing, run))
        for timing, each in zip(found, cells, strict=True)
    )
    macs = next(iter(costs.values())).macs
    what = f"latency of {'the whole network' if part == NET else f'part {part}'} ({macs:,} MACs)"
    verdicts = (VERDICTS,) if any(column.key == "change" for column in columns) else ()
    return Sheet(
        titled(graph, f"{what} {measured_on(grid, run)}"),
        columns,
        rows,
        notes=(*verdicts, *notes, *rate_notes(cells)),
        highlighted=frozenset(n for n, timing in enumerate(found) if timing.status == "mismatch"),
    )


def _columns(timings: Sequence[Timing], cells: Sequence[Cells]) -> tuple[Column, ...]:
    several = any(timing.target.batch > 1 for timing in timings)
    timed = sum(timing.seconds is not None for timing in timings)
    return (
        Column("target", "Target", "text"),
        Column("ms", "ms per call" if several else "ms", "figure"),
        *([Column("cpu_ms", "CPU time, ms", "figure")] if any(each.cpu_ms for each in cells) else []),
        *([Column("per_image", "ms per image", "figure")] if several else []),
        *([Column("change", f"Relative to the {_FASTEST}", "text")] if timed > 1 else []),
        Column("gmacs", "GMAC/s", "number", importance=2),
        Column("of_peak", "% of peak", "percent", importance=1),
        Column("limited_by", "Limited by", "text", importance=3),
    )


def _row(columns: Sequence[Column], name: str, cells: Cells, change: str | None) -> tuple[object, ...]:
    values = {**cells._asdict(), "target": name, "change": change}
    return tuple(values[column.key] for column in columns)


def _change(fastest: Timing, timing: Timing, run: Run) -> str | None:
    if timing.seconds is None:
        return None
    first = _LOWEST if timing.without_samples else _FASTEST
    return first if timing is fastest else compare(fastest, timing, run, run).described
