"""Parse conditions on the networks of a space: macs<=100M, peak<256KiB."""

import re
from collections.abc import Iterable
from typing import Final

from ..graph.errors import InputError, lookup, quote
from ..space.sweep import NAMES, Range
from .figures import unit_of
from .units import parse_bytes, parse_count

_EXPECTED: Final = "expected a condition such as macs<=100M or peak<=256KiB"


def conditions_from(texts: Iterable[str], where: str) -> tuple[Range, ...]:
    """Return the conditions in comma-separated lists. Raises InputError about `where`."""
    return tuple(_condition(item, where) for text in texts for item in text.split(","))


def _condition(text: str, where: str) -> Range:
    match = re.fullmatch(r"\s*([^<>=\s]+)\s*(<=|>=|<|>|=)\s*([^<>=]+)", text)
    if match is None:
        raise InputError(f"{where}: {quote(text)} is not allowed; {_EXPECTED}")
    name, sign, amount = match.groups()
    if name == "arena":
        raise InputError(f"{where}: an arena needs a plan of each network; expected peak, its lower bound")
    column = lookup(name, {known: number for number, known in enumerate(NAMES)}, where)
    value = (parse_bytes if unit_of(name) == "bytes" else parse_count)(amount, f"{where}: {name}")
    least = {">=": value, ">": value + 1, "=": value}.get(sign)
    most = {"<=": value, "<": value - 1, "=": value}.get(sign)
    return Range(column, least, most)
