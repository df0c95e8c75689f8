"""The page of `pareto`: the density of the points, and the front with what a click copies."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..render.numbers import compact
from ..render.sheet import join_words
from ..show.points import front_sheet, is_bytes, notes_of, shortened_sheet, title_of
from ..space.costs import COLUMNS
from ..space.points.pareto import Front, Grid, Objective
from .charts.chart import Chart, Trace
from .report import Listed, Panel, Section, Tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_POINTS: Final = 5_000
_MOST_WITH_COSTS: Final = 1_500
"""Points up to which each has all costs; of more each has the objectives."""
_MOST_LETTERS: Final = 150_000
"""Letters of the names of the points that are drawn."""
_MOST_ROWS: Final = 200


class Drawn(NamedTuple):
    """A front and what it is of. cells: number of points in each cell of the grid. tables: of each network of
    the front in TOML, None if they are too long. note: about an interrupt, or "".
    """

    name: str
    front: Front
    objectives: tuple[Objective, ...]
    grid: Grid | None
    cells: "NDArray[Any] | None"
    tables: list[str] | None
    note: str = ""


def front_sections(drawn: Drawn) -> tuple[Section, ...]:
    """Return the sections of the page."""
    front = drawn.front
    sheet = shortened_sheet(front_sheet(drawn.name, front, drawn.objectives), _MOST_ROWS)
    tiles = (
        Tile("Networks", compact(front.seen)),
        Tile("Satisfy the conditions", compact(front.kept)),
        Tile("On the front", f"{len(front.networks):,}"),
    )
    charts = (_chart(drawn, "front-c"),) if drawn.grid and len(front.networks) else ()
    sentences = (*([drawn.note] if drawn.note else []), _sentence(drawn), *notes_of(front))
    panel = Panel("", sentences, tiles=tiles, charts=charts, sheets=(Listed(sheet),))
    return (Section("front", "Front", (panel,)),)


def _sentence(drawn: Drawn) -> str:
    if not drawn.front.networks:
        return "No network satisfies the conditions."
    what = "its table in TOML" if drawn.tables else "its name, which every command takes"
    counted = drawn.front.kept if drawn.cells is None else int(drawn.cells.sum())
    some = f", of {counted:,}" if counted < drawn.front.kept else ""
    return (
        f"Color: number of networks{some}. {_others(drawn)}Points: the front. A click on a point copies "
        f"{what}; so do the arrow keys and Enter on the chart."
    )


def _others(drawn: Drawn) -> str:
    """Say which objectives the chart does not show."""
    grid = drawn.grid
    if grid is None:
        return ""
    shown = [each for each in drawn.objectives if each.column in grid.columns and not each.arena]
    others = [title_of(each.name) for each in drawn.objectives if each not in shown]
    if not others:
        return ""
    return f"Not drawn: {join_words(others)}; some points are on the front because of it alone. "


def _chart(drawn: Drawn, key: str) -> Chart:
    front, grid = drawn.front, drawn.grid
    assert grid is not None
    shown = _drawn_numbers(front)
    axes = [next(each for each in drawn.objectives if each.column == column) for column in grid.columns]
    titles = [_axis_title(each) for each in axes]
    left_out = len(front.networks) - len(shown)
    layout = {
        "xaxis": {"title": {"text": titles[0]}, "tickformat": "~s"},
        "yaxis": {"title": {"text": titles[1]}, "tickformat": "~s"},
        "showlegend": False,
        "margin": {"l": 58, "r": 16, "t": 84, "b": 56},
        "hovermode": "closest",
    }
    counted = 0 if drawn.cells is None else int(drawn.cells.sum())
    points = f"{len(shown):,} of {left_out + len(shown):,}" if left_out else f"{len(shown):,}"
    alt = f"Density of {counted:,} networks and {points} points of the front, {' by '.join(titles)}"
    data = [_density(drawn, titles), _points(drawn, shown)]
    copies = [drawn.tables[number] for number in shown] if drawn.tables else []
    return Chart(key, alt, data, layout, grid.bins**2 + len(shown), 520, axis="copies", copies=copies)


def _axis_title(objective: Objective) -> str:
    unit = ", bytes" if is_bytes(objective.name) else ""
    name = title_of("peak.fused" if objective.arena else objective.name)
    return f"{name}{unit} ({'least' if objective.sign > 0 else 'most'})"


def _drawn_numbers(front: Front) -> list[int]:
    """Return the numbers of the points that are drawn, spread over all."""
    count = len(front.networks)
    longest = max(map(len, front.networks)) + 3
    most = max(2, min(_MOST_POINTS, _MOST_LETTERS // longest))
    return list(range(count)) if count <= most else [n * (count - 1) // (most - 1) for n in range(most)]


def _density(drawn: Drawn, titles: list[str]) -> Trace:
    """Return the cells; the script takes the logarithm of their counts."""
    grid, cells = drawn.grid, drawn.cells
    assert grid is not None and cells is not None
    wide = [(high - low + 1) / grid.bins for low, high in zip(grid.low, grid.high, strict=True)]
    powers = range(len(str(int(cells.max()))))
    return {
        "type": "heatmap",
        "counts": cells.tolist(),
        "x0": grid.low[0] + wide[0] / 2,
        "dx": wide[0],
        "y0": grid.low[1] + wide[1] / 2,
        "dy": wide[1],
        "zmin": 0,
        "colorscale": [[0, "var:low"], [1, "var:macs"]],
        "colorbar": {
            "title": {"text": "networks in a cell", "side": "top"},
            "thickness": 10,
            "orientation": "h",
            "len": 0.9,
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "tickvals": list(powers),
            "ticktext": [
                f"{10 ** (power % 3)}{'kMG'[power // 3 - 1] if power > 2 else ''}" for power in powers
            ],
            "tickangle": 0,
        },
        "hovertemplate": f"%{{customdata:,}} networks<br>{titles[0]}: %{{x:.4s}}<br>{titles[1]}: %{{y:.4s}}"
        "<extra></extra>",
    }


def _points(drawn: Drawn, shown: list[int]) -> Trace:
    """Return the points of the front, with their names and costs."""
    front, grid = drawn.front, drawn.grid
    assert grid is not None
    asked = [each.name for each in drawn.objectives]
    values = front.costs
    axes = [COLUMNS[column] for column in grid.columns]
    told = [each for each in values if each not in axes and (each in asked or len(shown) <= _MOST_WITH_COSTS)]
    lines = [f"{title_of(each)}: %{{{axis}:,}}{_unit(each)}" for each, axis in zip(axes, "xy", strict=True)]
    lines += [f"{title_of(each)}: %{{customdata[{n}]}}{_unit(each)}" for n, each in enumerate(told, 1)]
    return {
        "type": "scatter",
        "mode": "markers",
        **{axis: [values[each][n] for n in shown] for axis, each in zip("xy", axes, strict=True)},
        "customdata": [[front.networks[n], *(f"{values[each][n]:,}" for each in told)] for n in shown],
        "marker": {"color": "var:time", "size": 6, "line": {"width": 1, "color": "var:paper"}},
        "hovertemplate": f"<b>%{{customdata[0]}}</b><br>{'<br>'.join(lines)}<extra></extra>",
    }


def _unit(name: str) -> str:
    return " bytes" if is_bytes(name) else ""
