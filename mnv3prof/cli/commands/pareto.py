"""`mnv3prof pareto`: find the networks that no other beats in every objective."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from ...bench.progress import Progress
from ...graph.errors import InputError, lookup, printable
from ...interface.pages import front_page
from ...page.front import Drawn
from ...render.sheet import Sheet
from ...show.points import front_sheet, shortened_sheet
from ...space.arenas import Planner, tables_in_toml
from ...space.costs import PEAK
from ...space.executors import Workers, threads
from ...space.pareto import (
    Ask,
    Front,
    Objective,
    Part,
    density_of,
    front_of,
    grid_of,
    part_of,
    require_library,
)
from ...space.points import SUFFIXES, Reader
from ...space.sweep import NAMES, Range, in_order, jobs_of
from ..interrupts import stoppable, stopped
from ..options import budget_option, listed, output_option
from ..output import Output, Result, check_writable, emit, write
from ..points import SPACE_HELP, Sampling, WhereOption, conditions, swept, ticking
from ..progress import progress
from ..spread import spread

_OBJECTIVES: Final = (*NAMES, "arena")
_CHUNKS: Final = 32
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
            help=f"Costs to minimise, comma-separated: {', '.join(_OBJECTIVES)}.",
            show_default=False,
        ),
    ] = None,
    most: Annotated[
        str | None,
        budget_option("--max", metavar="NAMES", help="Costs to maximise, such as macs.", show_default=False),
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
    and the front; a click on a point, or arrow keys and Enter, copy its table. Ctrl-C shows the front of what
    was computed. More than 100,000 points and two objectives need moocore: pip install 'mnv3prof[pareto]'.

    Example: mnv3prof pareto near-small -n 100k --dtype int8 --min params,arena --max macs
    """
    sampling.check()
    asked = conditions(where)
    objectives = _objectives(least, most)
    if html is not None:
        if html.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"--html: {printable(str(html))} has another suffix; expected FILE.html")
        check_writable(html)
    found = (
        _of_file(source, sampling, asked)
        if _is_file(source)
        else _of_space(source, sampling, asked, objectives)
    )
    with stoppable() as stop, progress() as on_progress, found.opened() as workers:

        def parts(ask: Ask) -> Iterator[Part]:
            phase = "counting points" if ask.grid else _FRONT
            tell = ticking(on_progress, phase, found.total)
            for part in found.parts(ask, workers, tell):
                yield part
                if stop.came:
                    return

        def planned(done: int, left: int) -> None:
            on_progress(Progress(f"{done:,} of {done + left:,} arenas", None, None, _FRONT))

        front = front_of(parts, objectives, found.planner.plan, planned)
        page = "" if html is None else front_page(_drawn(found, front, objectives, parts))
    if html is not None:
        write(html, page)
    _emit(front_sheet(found.name, front, objectives), output)
    if stop.came:
        computed = f"{front.seen:,} of {found.total:,}" if found.total else f"{front.seen:,}"
        raise stopped(f"{computed} networks were read or computed, and this is their front")


class _Found(NamedTuple):
    """Points to reduce. total: their number, 0 if it is not known. parts: yields what is asked of them, with
    workers; its last argument is called with the number of points done. opened: makes the workers.
    """

    name: str
    total: int
    planner: Planner
    parts: Callable[[Ask, Workers, Callable[[int], None]], Iterator[Part]]
    opened: Callable[[], AbstractContextManager[Workers]]


def _is_file(source: str) -> bool:
    return Path(source).suffix.lower() in SUFFIXES


def _of_file(source: str, sampling: Sampling, asked: tuple[Range, ...]) -> _Found:
    if sampling != Sampling():
        raise InputError(f"{printable(source)}: is a file; options of sampling are for a space")
    reader = Reader(Path(source), asked)

    def parts(ask: Ask, _: Workers, tell: Callable[[int], None]) -> Iterator[Part]:
        return reader.parts(ask, tell)

    return _Found(reader.name, reader.rows or 0, Planner(reader.name), parts, lambda: threads(1))


def _of_space(
    source: str, sampling: Sampling, asked: tuple[Range, ...], objectives: tuple[Objective, ...]
) -> _Found:
    found = swept(source, sampling)
    require_library(found.total, len(objectives))

    def parts(ask: Ask, workers: Workers, tell: Callable[[int], None]) -> Iterator[Part]:
        jobs = jobs_of(
            found.space, found.tables, sampling.number(), seed=sampling.seed, where=asked, chunks=_CHUNKS
        )
        done = 0
        for part in in_order(partial(part_of, ask, source), jobs, *workers):
            done += part.seen
            tell(done)
            yield part

    return _Found(source, found.total, Planner(source, sampling.dtype), parts, sampling.opened)


def _objectives(least: str | None, most: str | None) -> tuple[Objective, ...]:
    """Return what --min and --max name. Raises InputError."""
    found: list[Objective] = []
    for text, option, sign in ((least, "--min", 1), (most, "--max", -1)):
        if text is None:
            continue
        for name in listed(text, option, lambda name, _: name):
            known = {**{each: number for number, each in enumerate(NAMES)}, "arena": PEAK}
            column = lookup(name, known, option)
            if any(each.name == name for each in found):
                raise InputError(f"{option}: {name} is both minimised and maximised; expected one of them")
            found.append(Objective(name, column, sign, name == "arena"))
    if any(each.arena and each.sign < 0 for each in found):
        raise InputError("--max: arena cannot be maximised; expected --min arena, or --max peak")
    if len(found) < 2:
        raise InputError("--min and --max: expected at least two objectives, such as --min params --max macs")
    return tuple(found)


def _drawn(
    found: _Found, front: Front, objectives: tuple[Objective, ...], parts: Callable[[Ask], Iterator[Part]]
) -> Drawn:
    """Return what the page shows."""
    grid = grid_of(front, objectives)
    cells = None if grid is None else density_of(parts, objectives, grid)
    return Drawn(found.name, front, objectives, grid, cells, tables_in_toml(found.planner, front.networks))


def _emit(sheet: Sheet, output: Output) -> None:
    """Show a front. A table is cut, the other formats are whole."""
    keys = [column.key for column in sheet.columns]
    document = {"title": sheet.title, "networks": [dict(zip(keys, row, strict=True)) for row in sheet.rows]}
    emit(Result((shortened_sheet(sheet, _MOST_SHOWN),), sheet, lambda: document), output)
