from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnv3prof.arch.table import InputError
from mnv3prof.record.units import parse_bytes


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("1", 1), ("4096", 4096), ("4096B", 4096), ("320KiB", 327_680), ("320K", 327_680), ("320kib", 327_680),
        ("1.5 MiB", 1_572_864), ("2MB", 2_000_000), ("2 mb", 2_000_000), ("1.5kB", 1500), ("1GiB", 1_073_741_824),
        ("1G", 1_073_741_824), ("1GB", 1_000_000_000), (" 7 ", 7), ("0.5KiB", 512), ("1.9", 1),
        # A float would lose the last digits.
        ("123456789.123456789GB", 123_456_789_123_456_789),
    ],
)  # fmt: skip
def test_sizes(text, bytes_):
    assert parse_bytes(text, "--fit") == bytes_


@pytest.mark.parametrize(
    "text",
    [
        "",
        "KiB",
        "-1",
        "+1",
        "0",
        "0.4",
        "1,000",
        "1e9",
        "1 K B",
        "1TiB",
        "inf",
        "nan",
        "0x10",
        "1.",
        ".5",
        "1_000",
        "٣",
        "9" * 30,
    ],
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InputError, match=r"^--fit: .* is not allowed; allowed is a size from 1 byte"):
        parse_bytes(text, "--fit")


@given(st.decimals(min_value=1, max_value=10**6, places=9), st.sampled_from([("KiB", 1024), ("MB", 10**6)]))
def test_decimals_are_exact(value, unit):
    name, factor = unit
    assert parse_bytes(f"{value}{name}", "x") == int(Fraction(value) * factor)
