"""`mnv3prof diff`: show what changed between two networks or runs."""

from typing import Annotated

import typer

from ...budgets.diff import diff as changes
from ...budgets.document import diff_document
from ...show.comment import diff_comment, verdict_sheet
from ...show.diff import changes_sheet, diff_sheets
from ...show.load import busy_sheets
from ..network import Settings
from ..options import (
    SOURCE_HELP,
    OptionalBatchOption,
    OptionalDtypeOption,
    batch_in_range,
    open_source,
    presets,
)
from ..output import Output, Result, emit, output_format
from ..progress import step
from ..spread import spread


@spread
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=SOURCE_HELP, autocompletion=presets)],
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="The source to compare with OLD.", autocompletion=presets)
    ],
    *,
    dtype: OptionalDtypeOption = None,
    batch: OptionalBatchOption = None,
    settings: Settings,
    output: Output,
) -> None:
    """Show what changed between two networks or runs.

    Costs are compared per block and in total, latencies per part and target. A latency is faster or
    slower if the whole 95 % interval of its ratio is beyond 5 % and beyond its own half-width, the same
    if the whole interval is within 5 %, and unclear otherwise. Runs that differ in dtype, batch, threads
    or backend are compared across that difference; latencies of different machines are not compared. Of
    two different networks, the blocks that have a counterpart are compared. The options of the network
    change tables, not runs; a table is compared with a run at the run's input.

    --format md is for a comment on a pull request: at most 25 lines, and the rest folded.

    Example: mnv3prof diff large small
    """
    batch_in_range(batch)
    before, after = settings.resolve(
        *(open_source(source, settings.input) for source in (old, new)), dtype=dtype, batch=batch
    )
    with step("computing the changes"):
        difference = changes(before, after)
        busy = (
            *busy_sheets(before.run, "old run", with_times=False),
            *busy_sheets(after.run, "new run", with_times=False),
        )
        if output_format(output) == "md":
            sheets = diff_comment(difference, busy)
        else:
            sheets = (*busy, verdict_sheet(difference), *diff_sheets(difference))
    result = Result(sheets, changes_sheet(difference), lambda: diff_document(difference))
    emit(result, output)
