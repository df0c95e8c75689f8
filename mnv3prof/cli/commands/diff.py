"""`mnv3prof diff`: what changed from one network or run to another."""

from typing import Annotated

import typer

from ...budgets.diff import diff as changes
from ...budgets.document import diff_document
from ...show.diff import changes_sheet, diff_sheets
from ...source import open_source
from ..network import Settings
from ..options import SOURCE_HELP, presets
from ..output import Output, Result, emit
from ..spread import spread


@spread
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=SOURCE_HELP, autocompletion=presets)],
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="The source to compare OLD with.", autocompletion=presets)
    ],
    *,
    settings: Settings,
    output: Output,
) -> None:
    """Tell what changed between two networks or runs: every figure by block and in total, every time.

    A time is slower or faster if the 95 % interval of its ratio is beyond 5 % (and its own half-width),
    the same if all of it is within, else unclear. Times of other machines are not compared. Another
    dtype, batch, thread count or backend is, where that is what the runs differ in; of another network,
    the blocks that have a counterpart. The network's options change the tables, never a run; a table
    beside a run has the run's input.

    Example: mnv3prof diff large small
    """
    found = changes(*settings.found(open_source(old), open_source(new)))
    emit(Result(diff_sheets(found), changes_sheet(found), lambda: diff_document(found)), output)
