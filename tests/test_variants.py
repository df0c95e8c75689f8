from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_tables import tables

from mnv3prof.cost.counts import count, total
from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.names import stage_sizes
from mnv3prof.mobilenetv3.table import HeadConv, Row, Table, head_convs, last_layers, make_divisible
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.source import read_table

# Table 9 of the paper's v5 (Small at 192: v1): size, width, million MAdds and parameters of Large and Small.
PUBLISHED = [
    (224, 1.25, 356, None, 91, 3.6),
    (224, 1.0, 217, 5.4, 57, 2.5),
    (224, 0.75, 155, 4.0, 44, 2.0),
    (224, 0.5, 69, 2.6, 21, 1.6),
    (224, 0.35, 40, 2.2, 12, 1.4),
    (256, 1.0, 282, 5.4, 74, 2.5),
    (192, 1.0, 160, 5.4, 42, None),
    (160, 1.0, 112, 5.4, 30, 2.5),
    (128, 1.0, 73, 5.4, 20, 2.5),
    (96, 1.0, 43, 5.4, 12, 2.5),
]
CELLS = [
    (name, size, width, madds, params)
    for size, width, large, large_params, small, small_params in PUBLISHED
    for name, madds, params in (("large", large, large_params), ("small", small, small_params))
]


def _totals(table: Table, size: Any = 224) -> Any:
    return total(count(expand(table, size)))


@pytest.mark.parametrize(("name", "size", "width", "madds", "params"), CELLS)
def test_published_multiply_adds_and_parameters(
    name: str, size: Any, width: Any, madds: Any, params: Any
) -> None:
    found = _totals(vary(read_table(name), width=width), size)
    assert abs(found.macs / 1e6 - madds) < 1
    if params is not None:  # printed with one decimal, by releases that differ in it
        assert abs(found.params / 1e6 - params) < 0.1


def test_parameters_of_large_at_1_25_as_the_facts_give_them() -> None:
    assert round(_totals(vary(read_table("large"), width=1.25)).params / 1e6, 2) == 8.26


@pytest.mark.parametrize(
    ("name", "changes", "macs", "params"),
    [
        ("large", {}, 216_589_760, 5_483_032),
        ("small", {}, 56_510_400, 2_542_856),
        ("large", {"width": 0.75}, 154_560_624, 3_993_528),
        ("large", {"standard_conv": True}, 1_331_974_016, 17_211_664),
        ("small", {"standard_conv": True}, 410_116_352, 6_686_976),
    ],
)
def test_exact_figures(name: str, changes: dict[str, Any], macs: int, params: int) -> None:
    found = _totals(vary(read_table(name), **changes))
    assert (found.macs, found.params) == (macs, params)


def test_the_torchvision_rule_is_another() -> None:
    found = _totals(vary(read_table("large"), width=0.75, width_rule="torchvision"))
    assert round(found.macs / 1e6, 1) == 140.0


def test_minimalistic_large() -> None:
    found = _totals(read_table("large-minimal"))
    assert (round(found.macs / 1e6), round(found.params / 1e6, 1)) == (209, 3.9)


def test_squeeze_excite_holds_1_512_280_parameters_of_large() -> None:
    whole, without = (_totals(vary(read_table("large"), without_se=out)) for out in (False, True))
    assert whole.params - without.params == 1_512_280


@pytest.mark.parametrize("name", ["large", "small"])
@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"reduced_tail": True}, {"reduced_tail": True}),
        ({"dilated": True}, {"dilated": True}),
        (
            {"reduced_tail": True, "dilated": True, "width": 0.6, "width_rule": "torchvision"},
            {"reduced_tail": True, "dilated": True, "width_mult": 0.6},
        ),
        ({"width": 1.7, "width_rule": "torchvision"}, {"width_mult": 1.7}),
    ],
)
def test_torchvisions_options_give_torchvisions_counts(
    name: str, changes: dict[str, Any], options: dict[str, Any]
) -> None:
    import torch
    import torchvision_oracle
    from torch.utils.flop_counter import FlopCounterMode

    model = getattr(torchvision_oracle, f"mobilenet_v3_{name}")(**options).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        model(torch.zeros(1, 3, 96, 128))
    found = _totals(vary(read_table(name), **changes), (96, 128))
    assert found.macs * 2 == flops.get_total_flops()
    assert found.params == sum(parameter.numel() for parameter in model.parameters())


def test_the_head_follows_the_scaled_last_out() -> None:
    assert head_convs(vary(read_table("small"), width=0.35)) == (
        HeadConv(192),
    )  # 6 × 32, not 200 = 576 × 0.35 rounded


def test_a_head_of_its_own_is_scaled_as_a_width() -> None:
    table = Table(name="own", rows=(Row(16, 16, 3, 1, False, "RE"),), head=100)
    assert vary(table, width=0.5).head == 48


def test_the_last_layer_grows_but_does_not_shrink_under_the_paper_rule() -> None:
    assert vary(read_table("large"), width=0.5).last == 1280
    assert vary(read_table("large"), width=1.25).last == 1600
    assert vary(read_table("large"), width=0.5, width_rule="torchvision").last == 640


def test_at_width_1_a_table_is_literal() -> None:
    odd = Table(name="odd", stem=13, rows=(Row(31, 7, 3, 1, True, "RE"),), head=11, last=5)
    assert vary(odd) == odd
    assert vary(odd, width=1.0, width_rule="torchvision") == odd


def test_without_a_change_nothing_changes() -> None:
    table = read_table("small")
    assert vary(table, classes=1000) == table
    assert vary(table, without_se=True).rows[0].se is False
    assert {r.activation for r in vary(table, activation="swish").rows} == {"SW"}
    assert vary(table, activation="h-swish").stem_activation == "HS"


def test_the_name_says_what_changed_and_stays_a_name() -> None:
    table = vary(read_table("small"), width=0.75, standard_conv=True, classes=10)
    assert table.name == "MobileNetV3-Small, width 0.75, 10 classes, standard conv"
    long = vary(Table(name="x" * 200, rows=table.rows), without_se=True)
    assert len(long.name) == 200


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"standard_conv": True, "dense_depthwise": True}, "cannot be combined"),
        ({"width": 0}, "a number above 0"),
        ({"width": -1}, "a number above 0"),
        ({"width": float("nan")}, "a number above 0"),
        ({"width": float("inf")}, "a number above 0"),
        ({"width": 1e9}, "at most 100"),
        ({"width": 99}, "at width 99: .* 1 to 65,536"),
        ({"width_rule": "slim"}, "expected paper, torchvision, timm or keras"),
        ({"classes": -1}, "classes: -1 is not allowed"),
        ({"activation": "gelu"}, "'gelu' is not allowed"),
    ],
)
def test_changes_that_make_no_network(changes: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        vary(read_table("large"), **changes)


@pytest.mark.parametrize("change", ["reduced_tail", "dilated"])
def test_a_tail_begins_at_a_stride_of_2(change: str) -> None:
    table = Table(name="flat", rows=(Row(16, 16, 3, 1, False, "RE"),))
    with pytest.raises(InputError, match="has no row of stride 2"):
        vary(table, **{change: True})  # type: ignore[arg-type]


def test_the_row_that_loses_its_stride_gains_no_identity() -> None:
    table = Table(name="same", stem=16, rows=(Row(32, 16, 3, 2, False, "RE"), Row(32, 16, 3, 1, False, "RE")))
    adds = [layer.name for layer in expand(vary(table, dilated=True), 32).layers if layer.op == "add"]
    assert adds == ["features.2.add"]


@settings(max_examples=100)
@given(tables, st.sampled_from([0.35, 0.75, 1.4, 3.0]))
def test_a_width_multiplier_scales_what_the_table_says(table: Table, width: float) -> None:
    def scaled(widths: list[int], scales: str) -> list[int]:
        if scales == "never" or (scales == "above-1" and width < 1):
            return widths
        return [make_divisible(each * width, table.divisor) for each in widths]

    try:
        wide = vary(table, width=width)
    except InputError as error:
        assert "is fused without expansion" in str(error)
        assume(False)
    assert [wide.stem] == scaled([table.stem], table.stem_scales)
    if table.head is not None:
        assert [c.out for c in head_convs(wide)] == scaled(
            [c.out for c in head_convs(table)], table.head_scales
        )
    assert [c.out for c in last_layers(wide)] == scaled(
        [c.out for c in last_layers(table)], table.last_scales
    )
    assert [row.out for row in wide.rows] == scaled([row.out for row in table.rows], "always")
    if table.names == "timm":
        assert stage_sizes(wide) == stage_sizes(table)


def test_an_expansion_that_rounding_removes_is_explained() -> None:
    """17 of 16 channels are 8 of 8 at half the width."""
    table = Table(name="t", rows=(Row(17, 24, 3, 2, False, "RE", conv="fused"),))
    with pytest.raises(
        InputError, match=r"^t at width 0\.5 \(widths are rounded to multiples of 8\): rows: row 1"
    ):
        vary(table, width=0.5)
