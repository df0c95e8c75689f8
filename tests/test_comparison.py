"""The saving of depthwise-separable convolution by hand, and the tables of `compare`."""

import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_tables import small_sizes, tables
from some import some

from mnv3prof.cli.main import run
from mnv3prof.cost.comparison import network_costs
from mnv3prof.cost.counts import count
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.saving import pair_saving, separable_savings
from mnv3prof.mobilenetv3.table import Row, row_names
from mnv3prof.mobilenetv3.variants import vary, with_option
from mnv3prof.show.comparison import blocks_sheet, totals_sheet
from mnv3prof.source import read_table


def _blocks_sheet(*tables: Any) -> Any:
    return blocks_sheet([network_costs(expand(table)) for table in tables], separable_savings(tables))


def _changed(*changes: Any) -> Any:
    return [vary(read_table("large"), **change) for change in changes]


def _column(sheet: Any, key: Any) -> Any:
    at = [column.key for column in sheet.columns].index(key)
    return [row[at] for row in sheet.rows]


@pytest.mark.parametrize(
    ("kernel", "out", "times"),
    # MobileNets, section 3.1: 8 to 9 times for 3×3; k² as N grows.
    [
        (3, 16, Fraction(144, 25)),
        (3, 64, Fraction(576, 73)),
        (3, 1024, Fraction(9216, 1033)),
        (5, 40, Fraction(200, 13)),
        (1, 1, Fraction(1, 2)),
    ],
)
def test_the_saving_by_hand(kernel: int, out: int, times: Any) -> None:
    assert pair_saving(Row(8, out, kernel, 1, False, "RE")) == pytest.approx(float(times), rel=1e-15)


@given(tables, small_sizes)
def test_the_formula_is_the_exact_ratio_of_the_pair(table: Any, size: Any) -> None:
    """Standard convolution's MACs over depthwise + project, from the layers of both networks."""
    separable = expand(with_option(table, "conv", "separable"), size)
    standard = expand(with_option(table, "conv", "standard"), size)
    for name, row in zip(row_names(table), table.rows, strict=True):
        pair = [x.macs for x in some(separable.block(name)).layers if x.role in ("depthwise", "project")]
        (one,) = [x.macs for x in some(standard.block(name)).layers if x.role == "standard"]
        assert len(pair) == 2
        assert float(Fraction(one, sum(pair))) == pytest.approx(pair_saving(row), rel=1e-12)


def test_a_pair_alone_in_its_block_has_the_formulas_ratio() -> None:
    """Row 1 of Large has neither expand convolution nor squeeze-excite: its block is the pair."""
    sheet = _blocks_sheet(*_changed({}, {"standard_conv": True}))
    assert _column(sheet, "pair")[1] == pytest.approx(_column(sheet, "macs_B/A")[1], rel=1e-12)
    assert _column(sheet, "pair")[0] is None  # the stem has no pair
    assert all(
        pair > ratio
        for pair, ratio in zip(_column(sheet, "pair")[2:-2], _column(sheet, "macs_B/A")[2:-2], strict=True)
    )


def test_the_formula_does_not_stand_beside_another_networks_standard_convolution() -> None:
    standard = vary(read_table("small"), standard_conv=True)
    sheet = _blocks_sheet(read_table("large"), standard)
    assert "pair" not in [column.key for column in sheet.columns]
    beside = _blocks_sheet(*_changed({}, {"standard_conv": True, "without_se": True}))
    assert _column(beside, "pair")[4] == pytest.approx(15.3846, abs=1e-4)  # 1 / (1/40 + 1/25)


@pytest.mark.parametrize(
    "changes",
    [
        ({}, {"dense_depthwise": True}),
        ({"standard_conv": True}, {}),
        ({}, {"width": 0.5}),
        ({}, {"without_se": True}),
    ],
)
def test_the_formula_stands_only_beside_standard_convolution(changes: tuple[Any, ...]) -> None:
    sheet = _blocks_sheet(*_changed(*changes))
    assert "pair" not in [column.key for column in sheet.columns]
    assert {len(row) for row in (*sheet.rows, *sheet.totals)} == {len(sheet.columns)}


def test_large_without_se_and_all_relu_is_large_minimalistic_but_for_its_kernels() -> None:
    plain, minimal = (
        expand(table)
        for table in (
            vary(read_table("large"), without_se=True, activation="relu"),
            read_table("large-minimal"),
        )
    )
    assert [x.op for x in plain.layers] == [x.op for x in minimal.layers]
    assert {x.geometry.kernel for x in minimal.layers if x.geometry} == {(1, 1), (3, 3)}


@given(st.lists(tables, min_size=2, max_size=4), small_sizes)
def test_blocks_add_up_to_the_totals_and_absent_ones_are_said(several: Any, size: Any) -> None:
    networks = [network_costs(expand(table, size)) for table in several]
    sheet = blocks_sheet(networks, separable_savings(several))
    letters = "ABCD"[: len(networks)]
    names = [name.split(" → ") for name in _column(sheet, "block")]
    names = [row * len(networks) if len(row) == 1 else row for row in names]
    for letter, table, net in zip(letters, several, networks, strict=True):
        figures = _column(sheet, f"macs_{letter}")
        assert (
            sum(x for x in figures if x is not None)
            == net.totals.macs
            == sum(c.macs for c in count(expand(table, size)))  # type: ignore[misc]
        )
        mine = [row["ABCD".index(letter)] for row in names]
        assert [name for name in mine if name != "–"] == list(net.graph.block_names)
        assert [n for n, x in enumerate(figures) if x is None] == [
            n for n, name in enumerate(mine) if name == "–"
        ]
    by_name = {row[0]: row[1:] for row in totals_sheet(networks).rows}
    for name, values in (
        ("MACs", [n.totals.macs for n in networks]),
        ("weights", [n.totals.weight_bytes for n in networks]),
        ("planned arena", [n.arena.bytes for n in networks]),
    ):
        shown, ratios = by_name[name][: len(letters)], by_name[name][len(letters) :]
        assert ratios == tuple(value / values[0] for value in values[1:])
        assert all(
            cell.endswith((" B", "iB")) or cell == f"{v:,}" for cell, v in zip(shown, values, strict=True)
        )


def test_both_networks_of_a_change_have_the_input(capsys: pytest.CaptureFixture[str]) -> None:
    for options, wanted in (
        (["--input", "96", "--width", "0.5"], ["96×96", "96×96"]),
        (["--input", "96"], ["224×224", "96×96"]),
    ):
        assert run(["compare", "small", *options]) == 0
        assert re.findall(r"\d+×\d+", capsys.readouterr().out.splitlines()[0]) == wanted
