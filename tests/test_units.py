from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnv3prof.budgets.units import parse_bytes, parse_change, parse_count, parse_seconds
from mnv3prof.graph.errors import InputError


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("1", 1),
        ("4096", 4096),
        ("4096B", 4096),
        ("320KiB", 327_680),
        ("320K", 327_680),
        ("320kib", 327_680),
        ("1.5 MiB", 1_572_864),
        ("2MB", 2_097_152),
        ("2 mb", 2_097_152),
        ("1.5kB", 1536),
        ("1GiB", 1_073_741_824),
        ("1G", 1_073_741_824),
        ("1GB", 1_073_741_824),
        (" 7 ", 7),
        ("0.5KiB", 512),
        ("1.9", 1),
        # A float would lose the last digits.
        ("123456789.5GB", 123_456_789 * 2**30 + 2**29),
    ],
)
def test_sizes(text: str, bytes_: Any) -> None:
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
        "1PiB",
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
def test_what_is_no_size_is_refused(text: Any) -> None:
    with pytest.raises(InputError, match=r"^--fit: .* is not allowed; expected a size from 1 byte"):
        parse_bytes(text, "--fit")


@given(
    st.decimals(min_value=1, max_value=10**6, places=9),
    st.sampled_from([("KiB", 2**10), ("MB", 2**20), ("G", 2**30)]),
)
def test_decimals_are_exact(value: Any, unit: Any) -> None:
    name, factor = unit
    assert parse_bytes(f"{value}{name}", "x") == int(Fraction(value) * factor)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("220M", 220_000_000),
        ("5.5M", 5_500_000),
        ("216589760", 216_589_760),
        ("300k", 300_000),
        ("1.2 G", 1_200_000_000),
        ("0", 0),
        ("0.9", 0),
        ("123456789.123456789G", 123_456_789_123_456_789),
    ],
)
def test_counts(text: str, count: int) -> None:
    assert parse_count(text, "x") == count


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("8ms", 0.008),
        ("800us", 0.0008),
        ("800 µs", 0.0008),
        ("800μs", 0.0008),
        ("1.5s", 1.5),
        ("900ns", 9e-7),
        ("0.1ms", 1e-4),
        ("86400s", 86_400.0),
    ],
)
def test_seconds(text: str, seconds: float) -> None:
    assert parse_seconds(text, "x") == seconds


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("+5%", Fraction(1, 20)),
        ("+0%", 0),
        ("-2.5%", Fraction(-1, 40)),
        (" +0.1 % ", Fraction(1, 1000)),
        ("+250%", Fraction(5, 2)),
    ],
)
def test_changes(text: str, share: Any) -> None:
    assert parse_change(text, "x") == share


@pytest.mark.parametrize(
    ("parse", "texts"),
    [
        (parse_count, ["", "M", "-1", "1,000", "1e9", "5MiB", "1P", "nan", "9" * 30, "٣", "1.", "+5"]),
        (parse_seconds, ["", "8", "ms", "0ms", "-8ms", "8 m s", "8min", "86401s", "infs", "8e-3s", "8%"]),
        (parse_change, ["", "5%", "+5", "+%", "-100%", "-101%", "+1e3%", "+5%%", "+-5%", "+9999999%", "+٣%"]),
    ],
)
def test_what_is_no_amount_is_refused(parse: Any, texts: Any) -> None:
    for text in texts:
        with pytest.raises(InputError, match=r"^budget x: .* is not allowed; expected a "):
            parse(text, "budget x")
