"""`mnv3prof pareto`: find the networks that no other beats in every objective."""

from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec.structs import replace

from ...bench.progress import Progress
from ...budgets.where import OBJECTIVES, objectives_from
from ...graph.errors import InputError, printable
from ...interface.pages import front_page
from ...interface.points import PointSource, of_file, of_space
from ...page.front import Drawn
from ...render.sheet import Sheet, join_words
from ...show.points import front_sheet, shortened_sheet
from ...space.points.arenas import tables_in_toml
from ...space.points.files import SUFFIXES
from ...space.points.pareto import Ask, Front, Objective, Part, density_of, front_of, grid_of
from ...space.points.sweep import Range
from ..interrupts import Stop, stoppable, stopped
from ..options import budget_option, output_option
from ..output import Output, Result, check_writable, emit, write
from ..points import Sampling, WhereOption, conditions, swept, ticking
from ..progress import progress
from ..spaces import SPACE_HELP
from ..spread import spread

_FRONT: Final = "computing the front"
_MOST_SHOWN: Final = 40
"""Rows on a terminal."""


@spread
def pareto(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help=f"A file of points that sweep wrote (.csv, .parquet). {SPACE_HELP}"
        ),
    ],
    *,
    least: Annotated[
        str | None,
        budget_option(
            "--min",
            metavar="NAMES",
            help=f"Costs to minimize, comma-separated: {', '.join(OBJECTIVES)}.",
            show_default=False,
        ),
    ] = None,
    most: Annotated[
        str | None,
        budget_option("--max", metavar="NAMES", help="Costs to maximize, such as macs.", show_default=False),
    ] = None,
    where: WhereOption = None,
    sampling: Sampling,
    html: Annotated[
        Path | None,
        output_option(
            "--html",
            metavar="FILE",
            help="Page with the density of the points and the front.",
            show_default=False,
        ),
    ] = None,
    output: Output,
) -> None:
    """Find the networks that no other beats in every objective.

    The points are those of a file, or the networks of a space, which are sampled (--count) or listed, and
    reduced without a file. --max macs finds the largest networks for the other objectives; which network is
    the most accurate is not known. Of networks with equal objectives the first is shown.

    An arena is planned for the networks that can be on the front (a few ms each): it is at least the peak,
    so the others are left out without a plan. The result is exact. The page shows the density of the points
    and the front; a click on a point, or arrow keys and Enter, copy its table, or its name if the tables are
    too long for a page. Ctrl-C shows the front of what was computed. More than 100,000 points and two
    objectives need moocore: pip install 'mnv3prof[pareto]'.

    Example: mnv3prof pareto near-small -n 100k --min params,peak --max macs
    """
    sampling.check()
    asked = conditions(where)
    objectives = objectives_from([least or ""], [most or ""], ("--min", "--max"))
    if html is not None:
        if html.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"--html: {printable(str(html))} has another suffix; expected FILE.html")
        check_writable(html)
    for path in (html, output.output):
        if path is not None and path.resolve() == Path(source).resolve():
            raise InputError(f"{printable(source)}: is read; expected another file to write")
    found = _opened(source, sampling, asked, objectives)
    with stoppable() as stop, progress() as on_progress, sampling.opened() as workers:

        def parts(ask: Ask) -> Iterator[Part]:
            tell = ticking(on_progress, "counting points" if ask.grid else _FRONT, found.total)
            most = front.seen if ask.grid else inf
            yield from _until(found.parts(ask, workers, tell), stop, most)

        def planned(done: int, left: int) -> None:
            on_progress(Progress(f"{done:,} of {done + left:,} arenas", None, None, _FRONT))

        front = front_of(parts, objectives, found.planner.plan, planned)
        if not front.seen:
            raise stopped("nothing was computed")
        note = _stopped_at(front, found) if stop.came else ""
        page = "" if html is None else front_page(_drawn(found, front, objectives, parts, note))
    if html is not None:
        write(html, page)
    sheet = front_sheet(found.name, front, objectives)
    _emit(replace(sheet, notes=(*([note] if note else []), *sheet.notes)), output)
    if stop.came:
        files = join_words([printable(str(path)) for path in (html, output.output) if path is not None])
        what = f"{note[0].lower()}{note[1:-1]}" if note else "the front is whole, the density is not"
        raise stopped(f"{what}{f', in {files}' if files else ''}")


def _until(parts: Iterator[Part], stop: Stop, most: float) -> Iterator[Part]:
    """Yield parts until an interrupt, after an earlier one those of `most` networks."""
    before, seen = stop.came, 0
    for part in parts:
        yield part
        seen += part.seen
        if stop.came and (not before or seen >= most):
            return


def _stopped_at(front: Front, found: PointSource) -> str:
    """Say what a front is of that an interrupt ended."""
    computed = f"{front.seen:,} of {found.total:,}" if found.total else f"{front.seen:,}"
    arenas = "" if front.arenas is None else ", as far as arenas were planned"
    return f"This is the front of the {computed} networks that were read or computed{arenas}."


def _opened(
    source: str, sampling: Sampling, asked: tuple[Range, ...], objectives: tuple[Objective, ...]
) -> PointSource:
    if Path(source).suffix.lower() not in SUFFIXES:
        return of_space(swept(source, sampling, asked), objectives)
    if sampling != Sampling():
        raise InputError(f"{printable(source)}: is a file; --count and the like are for a space")
    return of_file(Path(source), asked)


def _drawn(
    found: PointSource,
    front: Front,
    objectives: tuple[Objective, ...],
    parts: Callable[[Ask], Iterator[Part]],
    note: str,
) -> Drawn:
    """Return what the page shows."""
    grid = grid_of(front, objectives)
    cells = None if grid is None else density_of(parts, objectives, grid)
    tables = tables_in_toml(found.planner, front.networks)
    return Drawn(found.name, front, objectives, grid, cells, tables, note)


def _emit(sheet: Sheet, output: Output) -> None:
    """Show a front. A table is cut, the other formats are whole."""
    keys = [column.key for column in sheet.columns]
    document = {"title": sheet.title, "networks": [dict(zip(keys, row, strict=True)) for row in sheet.rows]}
    emit(Result((shortened_sheet(sheet, _MOST_SHOWN),), sheet, lambda: document), output)
