import math
from typing import Any

import pytest

from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.table import (
    HeadConv,
    LastLayer,
    Row,
    Table,
    adds_identity,
    head_convs,
    in_widths,
    make_divisible,
    squeeze_width,
)
from mnv3prof.source import read_table

ROW = {"expand": 64, "out": 24, "kernel": 3, "stride": 2, "se": False, "activation": "RE"}
TABLE = {"name": "net", "rows": (Row(**ROW),)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "divisor", "width"),
    [
        (16, 8, 16),
        (4, 8, 8),
        (12, 8, 16),
        (11, 8, 16),
        (11.9, 8, 16),
        (18, 8, 24),
        (20, 8, 24),
        (19, 8, 24),
        (40 * 0.75, 8, 32),
        (112 * 0.35, 8, 40),
        (16 * 0.35, 8, 8),
        (40 * 0.35, 8, 16),
        (72 / 4, 8, 24),
        (120 / 4, 8, 32),
        (480 / 4, 8, 120),
        (672 / 4, 8, 168),
        (960 / 4, 8, 240),
        (0.1, 8, 8),
        (7, 1, 7),
        (10, 4, 12),
        (9, 4, 12),
        (8.9, 4, 12),
        (8.8, 4, 8),
        (36, 16, 48),
        (35, 16, 32),
    ],
)
def test_make_divisible_as_worked_out_by_hand(value: Any, divisor: int, width: int) -> None:
    assert make_divisible(value, divisor) == width


def test_squeeze_widths_of_large() -> None:
    table = read_table("large")
    squeezed = [
        squeeze_width(table, row, width)
        for row, width in zip(table.rows, in_widths(table), strict=True)
        if row.se
    ]
    assert squeezed == [24, 32, 32, 120, 168, 168, 240, 240]


def test_what_follows_from_a_table() -> None:
    table = read_table("large")
    assert in_widths(table) == (16, 16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160)
    assert head_convs(table) == (HeadConv(960),)
    identities = [
        n for n, (r, w) in enumerate(zip(table.rows, in_widths(table), strict=True), 1) if adds_identity(r, w)
    ]
    assert identities == [1, 3, 5, 6, 8, 9, 10, 12, 14, 15]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("expand", 0, "an integer from 1 to 65,536"),
        ("expand", -16, "an integer from 1 to 65,536"),
        ("expand", 65_537, "an integer from 1 to 65,536"),
        ("expand", 10**40, "an integer from 1 to 65,536"),
        ("expand", 16.0, "an integer from 1 to 65,536"),
        ("out", True, "an integer from 1 to 65,536"),
        ("out", "24", "an integer from 1 to 65,536"),
        ("kernel", 2, "an odd integer"),
        ("kernel", 0, "an odd integer"),
        ("kernel", 65, "an odd integer from 1 to 63"),
        ("stride", 9, "an integer from 1 to 8, or [height, width] that differ"),
        ("stride", (2, 2), "[height, width] that differ"),
        ("stride", True, "an integer from 1 to 8"),
        ("stride", (2, 0), "an integer from 1 to 8"),
        ("stride", [2, 1], "an integer from 1 to 8"),
        ("stride", (2, 1, 1), "an integer from 1 to 8"),
        ("stride", 1.0, "an integer from 1 to 8"),
        ("activation", "GELU", "RE, R6, HS"),
        ("activation", 5, "RE, R6, HS"),
        ("dilation", 0, "an integer from 1 to 64"),
        ("identity", 1, "true or false"),
        ("se_ratio", 0, "an integer from 1 to 1,024, or left out"),
        ("conv", "dense", "separable, standard, dense-depthwise or fused, or left out"),
        ("project_activation", "GELU", "RE, R6, HS"),
        ("se_place", "before", "after-depthwise, before-activation or after-project"),
    ],
)
def test_a_row_refuses(field: str, value: Any, expected: str) -> None:
    with pytest.raises(InputError, match=field) as refused:
        Row(**{**ROW, field: value})
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_row_refuses_a_number_that_may_be_true_for_se() -> None:
    with pytest.raises(InputError, match="SE: 1 is not allowed; expected true, false, or the squeezed width"):
        Row(**{**ROW, "se": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\x1b[31mb"),
        ("name", 3),
        ("stem", 0),
        ("stem", None),
        ("head", 0),
        ("head", 65_537),
        ("last", -1),
        ("classes", 65_537),
        ("classes", 1e3),
        ("dropout", 1),
        ("dropout", -0.1),
        ("dropout", math.nan),
        ("dropout", True),
        ("conv", "dense"),
        ("conv", None),
        ("norm_between", 0),
        ("se_ratio", 0),
        ("se_form", "fc"),
        ("se_activation", "gelu"),
        ("channels", 0),
        ("stem_stride", (2, 2, 2)),
        ("stem_kernel", 4),
        ("head", [960]),
        ("head", (960, "x")),
        ("head", (LastLayer(1280),)),
        ("head", (8,) * 17),
        ("last", (HeadConv(1280),)),
        ("last", None),
        ("classes", -1),
        ("padding", "valid"),
        ("names", "keras"),
        ("stages", [15]),
        ("head_scales", "sometimes"),
        ("se_divisor", 0),
        ("se_gate", "relu"),
        ("divisor", 0),
        ("bn_eps", 0),
        ("bn_eps", math.inf),
        ("bn_momentum", 1),
        ("stem_activation", "silu"),
        ("head_activation", 1),
    ],
)
def test_a_table_refuses(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{field}: .* is not allowed; expected "):
        Table(**{**TABLE, field: value})


def test_a_table_has_1_to_1000_rows() -> None:
    for rows in ((), (Row(**ROW),) * 1_001):  # type: ignore[arg-type]
        with pytest.raises(InputError, match="1 to 1,000"):
            Table(name="net", rows=rows)


def test_a_head_that_follows_from_the_last_out_must_fit_too() -> None:
    wide = Row(**{**ROW, "out": 20_000})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="6 × the last out is 120,000"):
        Table(name="net", rows=(wide,))
    assert head_convs(Table(name="net", rows=(wide,), head=64)) == (HeadConv(64),)
