"""`mnv3prof spaces`: count the networks of a space that fit, by width and input."""

from typing import Annotated

import typer

from ...budgets.choosing import within_by_context
from ...budgets.document import spaces_document
from ...show.choosing import spaces_sheet
from ...space.files import open_space
from ..given_budgets import BudgetOption, given_budgets
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

    Shown are the number and share of the networks of each width and input that are within the budgets, and
    their mean MACs. They are exact with a limit on the fused peak, and with one on params or weights or in
    spaces of up to 200,000 networks for a width and input. Else, where the sums are too many to count, shares
    are those of random networks, with 95 % intervals. The arena is limited by the fused peak.

    Example: mnv3prof spaces near-small --budget arena=256K --dtype int8
    """
    budgets = given_budgets(budget)
    known = open_space(space)
    with stopping(lambda: "nothing was counted; the same command starts again"):
        tables = costs_of_space(known, dtype, no_cache=no_cache)
        with step("counting the networks that fit"):
            counted = [*within_by_context(known, tables, budgets)]
    sheet = spaces_sheet(known, budgets, counted)
    emit(Result((sheet,), sheet, lambda: spaces_document(known, dtype, budgets, counted)), output)
