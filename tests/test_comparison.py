"""The saving of depthwise-separable convolution by hand, and what `compare` sets side by side."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from random_tables import small_sizes, tables

from mnv3prof.arch.files import read_table
from mnv3prof.arch.layers import expand
from mnv3prof.arch.table import Row
from mnv3prof.arch.variants import vary
from mnv3prof.cost.comparison import network, saving
from mnv3prof.cost.counts import count, macs
from mnv3prof.show.comparison import blocks_sheet, totals_sheet


def _networks(*changes, table="large", size=224):
    return [network(expand(vary(read_table(table), **change), size)) for change in changes]


def _column(sheet, key):
    at = [column.key for column in sheet.columns].index(key)
    return [row[at] for row in sheet.rows]


@pytest.mark.parametrize(
    ("kernel", "out", "times"),
    # MobileNets, section 3.1: 8 to 9 times for 3×3; k² as N grows.
    [(3, 16, Fraction(144, 25)), (3, 64, Fraction(576, 73)), (3, 1024, Fraction(9216, 1033)), (5, 40, Fraction(200, 13)), (1, 1, Fraction(1, 2))],
)  # fmt: skip
def test_the_saving_by_hand(kernel, out, times):
    assert saving(Row(8, out, kernel, 1, False, "RE")) == pytest.approx(float(times), rel=1e-15)


@given(tables, small_sizes)
def test_the_formula_is_the_exact_ratio_of_the_pair(table, size):
    """Standard convolution's MACs over depthwise + project, from the layers of both networks."""
    separable = expand(replace(table, conv="separable"), size)
    standard = expand(replace(table, conv="standard"), size)
    for number, row in enumerate(table.rows, 1):
        pair = [x for x in separable.layers if x.block == str(number) and x.role in ("depthwise", "project")]
        (one,) = [x for x in standard.layers if x.block == str(number) and x.role == "standard"]
        assert len(pair) == 2
        assert float(Fraction(macs(one), sum(map(macs, pair)))) == pytest.approx(saving(row), rel=1e-12)


def test_a_pair_alone_in_its_block_has_the_formulas_ratio():
    """Row 1 of Large has neither expand convolution nor squeeze-excite: its block is the pair."""
    sheet = blocks_sheet(_networks({}, {"standard_conv": True}))
    assert _column(sheet, "pair")[1] == pytest.approx(_column(sheet, "macs_B/A")[1], rel=1e-12)
    assert _column(sheet, "pair")[0] is None  # the stem has no pair
    assert all(
        pair > ratio
        for pair, ratio in zip(_column(sheet, "pair")[2:-2], _column(sheet, "macs_B/A")[2:-2], strict=True)
    )


def test_the_formula_does_not_stand_beside_another_networks_standard_convolution():
    standard = vary(read_table("small"), standard_conv=True)
    sheet = blocks_sheet([network(expand(table)) for table in (read_table("large"), standard)])
    assert "pair" not in [column.key for column in sheet.columns]
    beside = blocks_sheet(_networks({}, {"standard_conv": True, "without_se": True}))
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
def test_the_formula_stands_only_beside_standard_convolution(changes):
    sheet = blocks_sheet(_networks(*changes))
    assert "pair" not in [column.key for column in sheet.columns]
    assert {len(row) for row in (*sheet.rows, *sheet.totals)} == {len(sheet.columns)}


def test_large_without_se_and_all_relu_is_large_minimalistic_but_for_its_kernels():
    plain, minimal = (
        expand(table)
        for table in (
            vary(read_table("large"), without_se=True, activation="relu"),
            read_table("large-minimal"),
        )
    )
    assert [x.op for x in plain.layers] == [x.op for x in minimal.layers]
    assert {x.kernel for x in minimal.layers} == {1, 3}


@given(st.lists(tables, min_size=2, max_size=4), small_sizes)
def test_blocks_add_up_to_the_totals_and_absent_ones_are_said(several, size):
    networks = [network(expand(table, size)) for table in several]
    sheet = blocks_sheet(networks)
    letters = "ABCD"[: len(networks)]
    longest = max(networks, key=lambda n: len(n.blocks))
    assert _column(sheet, "block") == list(longest.graph.blocks)
    for letter, table, net in zip(letters, several, networks, strict=True):
        figures = _column(sheet, f"macs_{letter}")
        assert (
            sum(x for x in figures if x is not None)
            == net.totals.macs
            == sum(c.macs for c in count(expand(table, size)))
        )
        assert figures.count(None) == len(longest.blocks) - len(table.rows) - 3
    for row in totals_sheet(networks).rows:
        values, ratios = row[1 : 1 + len(letters)], row[1 + len(letters) :]
        assert ratios == tuple(value / values[0] for value in values[1:])
