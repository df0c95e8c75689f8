"""Budgets on the command line."""

from collections.abc import Sequence
from typing import Annotated

from ..budgets.limits import Budget, budgets_from
from ..graph.errors import InputError, quote
from .options import budget_option

BudgetOption = Annotated[
    list[str] | None,
    budget_option("--budget", metavar="NAME=LIMIT", help="Budget, e.g. macs=220M or arena=4MiB; repeatable."),
]


def given_budgets(given: Sequence[str] | None) -> tuple[Budget, ...]:
    """Return the budgets of --budget. Raises InputError."""
    from ..workers.backends import place_of

    limits: dict[str, list[str]] = {}
    for text in given or ():
        name, equals, limit = text.partition("=")
        if not equals:
            raise InputError(f"--budget: {quote(text)} is not allowed; expected NAME=LIMIT, e.g. macs=220M")
        limits.setdefault(name.strip(), []).append(limit)
    return budgets_from(limits, "--budget", place_of) if limits else ()
