"""`mnv3prof spaces`: count the networks of a space that fit, by width and input."""

from typing import Annotated

import typer

from ...budgets.choosing import within_by_context
from ...budgets.document import spaces_document
from ...show.choosing import spaces_sheet
from ...space.files import open_space
from ..given_budgets import BudgetOption, budgets_of_spaces
from ..interrupts import stopping
from ..options import DtypeOption, NoCacheOption
from ..output import Output, Result, emit
from ..progress import step
from ..spaces import SPACE_HELP, costs_of_space
from ..spread import spread


@spread
def spaces(
    space: Annotated[str, typer.Argument(metavar="SPACE", help=SPACE_HELP)],
    *,
    budget: BudgetOption = None,
    dtype: DtypeOption = "fp32",
    no_cache: NoCacheOption = False,
    output: Output,
) -> None:
    """Count the networks of a space that fit, by width and input.

    Shown are the number and share of the networks of each width and input (and head, last and classes, if
    these have choices) that are within the budgets, and their mean MACs. They are exact for limits on the
    fused peak with at most one other limit. With several others, or one on sums of too many values, they are
    exact for up to 200,000 networks; else shares are those of random networks, with their 95 % interval. The
    arena is limited by the fused peak.

    Example: mnv3prof spaces near-small --budget arena=256K --dtype int8
    """
    budgets = budgets_of_spaces(budget)
    known = open_space(space)
    with stopping(lambda: "nothing was counted; the same command starts again"):
        tables = costs_of_space(known, dtype, no_cache=no_cache)
        with step("counting the networks that fit"):
            counted = [*within_by_context(known, tables, budgets)]
    sheet = spaces_sheet(known, budgets, counted)
    data = spaces_sheet(known, budgets, counted, whole=True)
    emit(Result((sheet,), data, lambda: spaces_document(known, dtype, budgets, counted)), output)
