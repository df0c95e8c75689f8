"""`mnv3prof diff`: what changed from one network or run to another."""

from pathlib import Path
from typing import Annotated

import typer

from ..graph.errors import InputError
from ..record.diff import diff as changes
from ..record.document import diff_document
from ..record.figures import Found
from ..record.read import is_run
from ..show.diff import changes_sheet, diff_sheets
from .options import Settings, spread
from .output import Output, Result, emit

_HELP = "A saved run, a preset, or a table's file."


@spread
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=_HELP)],
    new: Annotated[str, typer.Argument(metavar="NEW", help=_HELP)],
    *,
    settings: Settings,
    output: Output,
) -> None:
    """Tell what changed between two networks or runs: every figure by block and in total, every time.

    A time counts as slower or faster only if that is significant (Mann-Whitney over the samples) and
    more than the noise of both and the 5 % by which runs differ; times of other machines, types or
    threads are not compared. The network's options change the tables, never a run; a table beside a run
    has the run's input.

    Example: mnv3prof diff large small
    """
    found = changes(*both(old, new, settings))
    emit(Result(diff_sheets(found), changes_sheet(found), lambda: diff_document(found)), output)


def both(old: str, new: str, settings: Settings) -> tuple[Found, Found]:
    """What the two names stand for, a table at the input of the run beside it."""
    runs = [is_run(Path(source)) for source in (old, new)]
    if all(runs) and settings != Settings():
        raise InputError("the network's options change tables; allowed for two runs is none of them")
    if runs[0]:
        first = settings.found(old)
        return first, settings.found(new, first)
    second = settings.found(new)
    return settings.found(old, second if runs[1] else None), second
