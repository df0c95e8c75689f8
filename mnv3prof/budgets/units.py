"""Amounts as people write them: 320KiB, 4 MiB, 220M, 8ms, +5%."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from ..graph.errors import InputError, shown

_BYTES: Final = {"": 1, "b": 1} | {
    prefix + rest: 2**power for prefix, power in (("k", 10), ("m", 20), ("g", 30)) for rest in ("", "b", "ib")
}
"""256K, 256KB and 256KiB of memory are one size."""
_COUNTS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_SECONDS: Final = {
    "s": Fraction(1), "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6), "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6), "ns": Fraction(1, 10**9),
}  # fmt: skip
_MOST: Final = 2**60
_MOST_SECONDS: Final = 86_400


def parse_bytes(text: str, what: str) -> int:
    """Bytes of "320KiB" (or 320K, 320KB), "1.5 MiB" or "4096". Raises InputError about `what`."""
    value = _amount(text, _BYTES)
    if value is not None and 1 <= int(value) <= _MOST:
        return int(value)
    allowed = "expected a size from 1 byte, e.g. 4096, 320KiB or 1.5MiB; KB is 1,024 bytes, as KiB is"
    raise InputError(f"{what}: {shown(text)} is not allowed; {allowed}")


def parse_count(text: str, what: str) -> int:
    """The number of "220M", "5.5M", "300k", "1.2G" or "216589760". Raises InputError about `what`."""
    value = _amount(text, _COUNTS)
    if value is not None and int(value) <= _MOST:
        return int(value)
    allowed = "allowed is a count, as 216589760, 300k, 220M or 1.2G"
    raise InputError(f"{what}: {shown(text)} is not allowed; {allowed}")


def parse_seconds(text: str, what: str) -> float:
    """Seconds of "8ms", "800us", "1.5 s" or "900ns". Raises InputError about `what`."""
    value = _amount(text, _SECONDS)
    if value is not None and 0 < value <= _MOST_SECONDS:
        return float(value)
    allowed = "allowed is a time with its unit, as 8ms, 800us or 1.5s, up to a day"
    raise InputError(f"{what}: {shown(text)} is not allowed; {allowed}")


def parse_change(text: str, what: str) -> Fraction:
    """The share that "+5%" or "-2.5%" adds: 1/20, -1/40. Raises InputError about `what`."""
    match = re.fullmatch(r"([+-])\s*([0-9]{1,6}(?:\.[0-9]{1,20})?)\s*%", text.strip())
    if match:
        share = Fraction(match[1] + match[2]) / 100
        if share > -1:
            return share
    allowed = "allowed is a change with its sign, as +5%, +0% or -2.5%"
    raise InputError(f"{what}: {shown(text)} is not allowed; {allowed}")


def _amount(text: str, units: Mapping[str, int | Fraction]) -> Fraction | None:
    """The exact amount of a decimal and one of `units`; None where it is no such thing."""
    match = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([a-zµμ]*)", text.strip().lower())
    if match is None or match[2] not in units:
        return None
    return Fraction(match[1]) * units[match[2]]
