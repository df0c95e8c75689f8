"""Budgets on the command line."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from ..budgets.choosing import BUDGETS
from ..budgets.limits import KNOWN_NAMES, Budget, budgets_from
from ..budgets.where import ALIASES
from ..graph.errors import InputError, quote
from .options import budget_option

_QUOTED: Final = re.compile(r"(?:(?<=\.)|^)(?:\"([^\"]+)\"|'([^']+)')(?=\.|$)")
BudgetOption = Annotated[
    list[str] | None,
    budget_option("--budget", metavar="NAME=LIMIT", help="Budget, e.g. macs=220M or arena=4MiB; repeatable."),
]


def given_budgets(given: Sequence[str] | None) -> tuple[Budget, ...]:
    """Return the budgets of --budget. Raises InputError."""
    return _budgets(given, {}, KNOWN_NAMES)


def budgets_of_spaces(given: Sequence[str] | None) -> tuple[Budget, ...]:
    """Return the budgets of --budget for what can be limited of a space. Raises InputError."""
    return _budgets(given, ALIASES, BUDGETS)


def _budgets(
    given: Sequence[str] | None, aliases: Mapping[str, str], names: Sequence[str]
) -> tuple[Budget, ...]:
    from ..workers.backends import place_of

    limits: dict[str, list[str]] = {}
    for text in given or ():
        name, equals, limit = text.partition("=")
        if not equals:
            raise InputError(f"--budget: {quote(text)} is not allowed; expected NAME=LIMIT, e.g. macs=220M")
        name = _unquoted(name.strip())
        limits.setdefault(aliases.get(name, name), []).append(_unquoted(limit.strip()))
    return budgets_from(limits, "--budget", place_of, names) if limits else ()


def _unquoted(text: str) -> str:
    """Return a name or a limit without the quotes that TOML needs: latency."onnxruntime@pi"."""
    return _QUOTED.sub(lambda found: found[1] or found[2], text)
