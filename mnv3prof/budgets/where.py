"""Parse conditions on the networks of a space, such as macs<=100M, and objectives."""

import re
from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import Final

from ..graph.errors import InputError, lookup, quote
from ..space.costs import COLUMNS, PEAK
from ..space.points.pareto import Objective
from ..space.points.sweep import Range
from .figures import unit_of
from .units import parse_amount

OBJECTIVES: Final = (*COLUMNS, "arena")
ALIASES: Final = {"peak": "peak.fused"}
"""Shorter names: of a space no other peak is computed."""
_EXPECTED: Final = "expected a condition such as macs<=100M or peak.fused<=256KiB"


def conditions_from(texts: Iterable[str], where: str) -> tuple[Range, ...]:
    """Return the conditions in comma-separated lists. Raises InputError about `where`."""
    return tuple(_condition(item, where) for text in texts for item in text.split(","))


def _condition(text: str, where: str) -> Range:
    match = re.fullmatch(r"\s*([^<>=\s]+)\s*(<=|>=|<|>|=)\s*([^<>=]+)", text)
    if match is None:
        raise InputError(f"{where}: {quote(text)} is not allowed; {_EXPECTED}")
    name, sign, amount = match.groups()
    if name == "arena":
        raise InputError(f"{where}: arena needs a plan of each network; expected its lower bound, peak.fused")
    name = ALIASES.get(name, name)
    column = lookup(name, {known: number for number, known in enumerate(COLUMNS)}, where)
    value = parse_amount(amount, unit_of(name), f"{where}: {name}")
    least = {">=": ceil(value), ">": floor(value) + 1, "=": ceil(value)}.get(sign)
    most = {"<=": floor(value), "<": ceil(value) - 1, "=": floor(value)}.get(sign)
    return Range(column, least, most)


def objectives_from(
    least: Sequence[str], most: Sequence[str], options: tuple[str, str]
) -> tuple[Objective, ...]:
    """Return what comma-separated lists name, to be minimized and maximized. Raises InputError.

    options: what the lists are called.
    """
    found: list[Objective] = []
    for texts, option, sign in zip((least, most), options, (1, -1), strict=True):
        for name in (item.strip() for text in texts for item in text.split(",") if text):
            columns = {**{each: number for number, each in enumerate(COLUMNS)}, "arena": PEAK}
            name = ALIASES.get(name, name)  # noqa: PLW2901
            column = lookup(name, columns, option)
            if any(each.name == name for each in found):
                raise InputError(f"{option}: {name} is named twice; expected once")
            found.append(Objective(name, column, sign, name == "arena"))
    if any(each.arena and each.sign < 0 for each in found):
        raise InputError(f"{options[1]}: arena can only be minimized; expected peak.fused")
    if len(found) < 2:
        raise InputError(
            f"{options[0]} and {options[1]}: expected two or more costs, such as params and macs"
        )
    return tuple(found)
