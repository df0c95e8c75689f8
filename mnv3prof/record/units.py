"""Amounts as people write them: 320KiB, 4 MiB, 220M."""

import re
from fractions import Fraction
from typing import Final

from ..arch.table import InputError, shown

_BYTES: Final = {
    "": 1, "b": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9,
    "k": 2**10, "m": 2**20, "g": 2**30, "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip
_MOST: Final = 2**60


def parse_bytes(text: str, what: str) -> int:
    """Bytes of "320KiB" (or 320K), "1.5 MiB", "2MB" or "4096". Raises InputError about `what`."""
    match = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
    if match and match[2] in _BYTES:
        value = int(Fraction(match[1]) * _BYTES[match[2]])
        if 1 <= value <= _MOST:
            return value
    allowed = "allowed is a size from 1 byte, as 4096, 320KiB, 1.5MiB or 2MB"
    raise InputError(f"{what}: {shown(text)} is not allowed; {allowed}")
