"""`mnv3prof pareto`: find the networks that no other beats in every objective."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec.structs import replace

from ...bench.progress import OnProgress, Progress
from ...budgets.where import OBJECTIVES, objectives_from
from ...graph.errors import InputError, printable
from ...interface.pages import front_page
from ...interface.points import PointSource, of_file, of_space
from ...page.front import Drawn
from ...record.run import SCHEMA
from ...render.sheet import Sheet, join_words
from ...show.points import front_sheet, shortened_sheet
from ...space.points.arenas import tables_in_toml
from ...space.points.executors import Workers
from ...space.points.files import SUFFIXES
from ...space.points.pareto import Ask, Front, Objective, Part, density_of, front_of, grid_of
from ...space.points.sweep import Range
from ..interrupts import Stop, stoppable, stopped
from ..options import budget_option, first_given, output_option
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
    the most accurate is not known. Of networks with equal objectives one is shown.

    An arena is planned for the networks that can be on the front (a few ms each): it is at least the peak,
    so the others are left out without a plan. The result is exact. The page shows the density of the points
    and the front; a click on a point, or arrow keys and Enter, copy its table, or its name if the tables are
    too long for a page. Ctrl-C shows the front of what was computed. Three or more objectives
    over more than 100,000 points need moocore: pip install 'mnv3prof[pareto]'.

    Example: mnv3prof pareto near-small -n 9k --min params,peak.fused --max macs
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
        passes = _Passes(found, workers, on_progress, stop)
        front = front_of(passes.parts, objectives, found.planner.plan, passes.planned, passes.go_on)
        if stop.came and not front.seen:
            raise stopped("nothing was computed")
        notes = [_stopped_at(front, passes)] if stop.came else []
        page = ""
        if html is not None:
            drawn = _drawn(found, front, objectives, passes)
            notes += [drawn.note] if drawn.note else []
            page = front_page(drawn._replace(note=" ".join(notes)))
    if html is not None:
        write(html, page)
    sheet = front_sheet(found.name, front, objectives)
    _emit(replace(sheet, notes=(*notes, *sheet.notes)), found, output)
    if stop.came:
        files = [printable(str(path)) for path in (html, output.output) if path is not None]
        written = f", in {join_words(files)}" if files else ""
        raise stopped(f"{notes[0][0].lower()}{notes[0][1:-1]}{written}")


class _Passes:
    """Passes over the points of a source. After an interrupt in the first pass, later ones are of the same
    points; after a later one, no more is read or planned.
    """

    def __init__(self, found: PointSource, workers: Workers, on_progress: OnProgress, stop: Stop) -> None:
        self.found, self._workers, self._on_progress, self._stop = found, workers, on_progress, stop
        self._first: int | None = None
        self.shortened = False

    def parts(self, ask: Ask) -> Iterator[Part]:
        tell = ticking(
            self._on_progress, "counting points" if ask.grid else _FRONT, self._first or self.found.total
        )
        seen = 0
        for part in self.found.parts(ask, self._workers, tell):
            yield part
            seen += part.seen
            if self._stop.came and (not self.shortened or seen >= (self._first or 0)):
                break
        if self._first is None:
            self._first, self.shortened = seen, self._stop.came

    def go_on(self) -> bool:
        return self.shortened or not self._stop.came

    def planned(self, done: int, left: int) -> None:
        self._on_progress(Progress(f"{done:,} of {done + left:,} arenas", None, None, _FRONT))


def _stopped_at(front: Front, passes: _Passes) -> str:
    """Say what a front is of that an interrupt ended."""
    if passes.shortened:
        computed = f"{front.seen:,} of {passes.found.total:,}" if passes.found.total else f"{front.seen:,}"
        return f"This is the front of the first {computed} networks."
    if front.arenas is not None:
        return "This is the front as far as arenas were planned."
    return "The front is whole, its density is not."


def _opened(
    source: str, sampling: Sampling, asked: tuple[Range, ...], objectives: tuple[Objective, ...]
) -> PointSource:
    if Path(source).suffix.lower() not in SUFFIXES:
        return of_space(swept(source, sampling, asked), objectives)
    if given := first_given(sampling):
        raise InputError(f"{printable(source)}: is a file; {given} is for a space")
    return of_file(Path(source), asked)


def _drawn(found: PointSource, front: Front, objectives: tuple[Objective, ...], passes: _Passes) -> Drawn:
    """Return what the page shows."""
    grid = grid_of(front, objectives)
    cells = None if grid is None else density_of(passes.parts, objectives, grid)
    try:
        tables, note = tables_in_toml(found.planner, front), ""
    except InputError as error:  # the front does not need the space
        tables, note = None, f"A click copies names: {error}."
    return Drawn(found.name, front, objectives, grid, cells, tables, note)


def _emit(sheet: Sheet, found: PointSource, output: Output) -> None:
    """Show a front. A table is cut, the other formats are whole."""
    keys = [column.key for column in sheet.columns]
    document = {
        "schema": SCHEMA,
        "source": found.name,
        "dtype": found.dtype,
        "title": sheet.title,
        "notes": sheet.notes,
        "networks": [dict(zip(keys, row, strict=True)) for row in sheet.rows],
    }
    emit(Result((shortened_sheet(sheet, _MOST_SHOWN),), sheet, lambda: document), output)
