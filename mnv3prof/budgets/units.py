"""Parse amounts with units: 320KiB, 4 MiB, 220M, 8ms, +5%."""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

from ..graph.errors import InputError, quote

_BYTES: Final = {"": 1, "b": 1} | {
    prefix + rest: 2**power
    for prefix, power in (("k", 10), ("m", 20), ("g", 30), ("t", 40))
    for rest in ("", "b", "ib")
}
"""256K, 256KB and 256KiB are the same size."""
_COUNTS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SECONDS: Final = {
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
}
_MOST: Final = 2**60
_MOST_SECONDS: Final = 86_400


def parse_bytes(text: str, what: str) -> int:
    """Parse bytes, e.g. "320KiB" (or 320K, 320KB), "1.5 MiB", "4096". Raises InputError about `what`."""
    return int(parse_amount(text, "bytes", what))


def parse_count(text: str, what: str) -> int:
    """Parse a count, e.g. "220M", "300k", "1.2G", "216589760". Raises InputError about `what`."""
    return int(parse_amount(text, "count", what))


def parse_amount(text: str, unit: str, what: str) -> Fraction:
    """Parse bytes or a count exactly: "1.3KiB" is 1331.2. unit: "bytes" or "count". Raises InputError."""
    if unit == "bytes":
        expected = "a size from 1 byte, e.g. 4096, 320KiB or 1.5MiB; KB means KiB"
        return _amount(text, what, _BYTES, lambda value: 1 <= int(value) <= _MOST, expected)
    expected = "a count, e.g. 216589760, 300k, 220M or 1.2G"
    return _amount(text, what, _COUNTS, lambda value: int(value) <= _MOST, expected)


def parse_seconds(text: str, what: str) -> float:
    """Parse seconds, e.g. "8ms", "800us", "1.5 s", "900ns". Raises InputError about `what`."""
    expected = "a time with a unit, e.g. 8ms, 800us or 1.5s, at most a day"
    return float(_amount(text, what, _SECONDS, lambda value: 0 < value <= _MOST_SECONDS, expected))


def parse_change(text: str, what: str) -> Fraction:
    """Parse a relative change, e.g. "+5%" (1/20), "-2.5%" (-1/40). Raises InputError about `what`."""
    match = re.fullmatch(r"([+-])\s*([0-9]{1,6}(?:\.[0-9]{1,20})?)\s*%", text.strip())
    if match:
        share = Fraction(match[1] + match[2]) / 100
        if share > -1:
            return share
    expected = "a change with a sign, e.g. +5%, +0% or -2.5%"
    raise InputError(f"{what}: {quote(text)} is not allowed; expected {expected}")


def _amount(
    text: str, what: str, units: Mapping[str, int | Fraction], fits: Callable[[Fraction], bool], expected: str
) -> Fraction:
    """Parse a decimal with one of `units`, exactly. Raises InputError about `what`."""
    match = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([a-zµμ]*)", text.strip().lower())
    if match and match[2] in units and fits(value := Fraction(match[1]) * units[match[2]]):
        return value
    raise InputError(f"{what}: {quote(text)} is not allowed; expected {expected}")
