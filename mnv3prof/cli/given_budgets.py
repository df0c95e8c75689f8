"""Budgets on the command line."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from ..budgets.limits import Budget, budgets_from
from ..graph.errors import InputError, quote
from .options import budget_option

_QUOTED: Final = re.compile(r"(?:(?<=\.)|^)(?:\"([^\"]+)\"|'([^']+)')(?=\.|$)")
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
        limits.setdefault(_unquoted(name.strip()), []).append(_unquoted(limit.strip()))
    return budgets_from(limits, "--budget", place_of) if limits else ()


def _unquoted(text: str) -> str:
    """Return a name or a limit without the quotes that TOML needs: latency."onnxruntime@pi"."""
    return _QUOTED.sub(lambda found: found[1] or found[2], text)
