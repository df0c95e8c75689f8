from typing import Any

import pytest
import torch
from hypothesis import given, settings
from random_tables import sizes, small_sizes, tables

from mnv3prof.cost.counts import Totals, count, subtotals, total
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.network import build
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.source import read_table

# How PyTorch's modules run Large at 224: calls, MACs or elements, bias adds.
CLASSES = {
    "standard conv": (1, 5_419_008, 0),
    "depthwise conv": (15, 18_392_640, 0),
    "pointwise conv": (30, 188_762_112, 0),
    "SE 1×1 convs": (16, 1_507_200, 5_080),
    "linear": (2, 2_508_800, 2_280),
    "batch norm": (46, 4_399_808, 0),
    "ReLU": (19, 2_315_392, 0),
    "h-swish": (21, 1_511_264, 0),
    "h-sigmoid": (8, 4_056, 0),
    "SE multiply": (8, 597_408, 0),
    "residual add": (10, 423_360, 0),
    "average pool": (9, 5_016, 0),
}
_NAMES = {
    "conv": "standard conv",
    "depthwise": "depthwise conv",
    "linear": "linear",
    "batch_norm": "batch norm",
    "relu": "ReLU",
    "hardswish": "h-swish",
    "hardsigmoid": "h-sigmoid",
    "mul": "SE multiply",
    "add": "residual add",
    "avg_pool": "average pool",
}


def _class(layer: Any) -> Any:
    if layer.op == "pointwise":
        return "SE 1×1 convs" if len(layer.weights) > 1 else "pointwise conv"
    return _NAMES.get(layer.op)


def test_larges_classes_of_operations() -> None:
    found: dict[Any, Any] = {}
    for layer in expand(read_table("large")).layers:
        if (name := _class(layer)) is not None:
            calls, amount, biases = found.get(name, (0, 0, 0))
            bias = layer.elements if layer.operation.weighted and len(layer.weights) > 1 else 0
            found[name] = (calls + 1, amount + (layer.macs or layer.elements), biases + bias)
    assert found == CLASSES


@pytest.mark.parametrize(
    ("name", "totals"),
    [
        (
            "large",
            Totals("total", 187, 216_589_760, 449_144_856, 5_483_032, 21_883_328, 48_296_320, 21_731_808),
        ),
        (
            "small",
            Totals("total", 157, 56_510_400, 119_569_496, 2_542_856, 10_147_200, 19_137_024, 7_036_960),
        ),
    ],
)
def test_totals(name: str, totals: Any) -> None:
    found = total(count(expand(read_table(name))))
    assert found == totals


def test_flops_of_large_from_the_classes() -> None:
    m = 216_589_760
    others = (
        5_080
        + 2_280  # biases
        + 4_399_808  # the shift that folding leaves of batch norm
        + 2_315_392
        + 5 * 1_511_264
        + 4 * 4_056  # ReLU, h-swish, h-sigmoid
        + 597_408
        + 423_360  # multiply, add
        + 644_448
        + 5_016  # pooling: inputs and outputs
    )
    assert total(count(expand(read_table("large")))).flops == 2 * m + others
    assert (
        total(count(expand(read_table("large")), batch_norm="separate")).flops == 2 * m + others + 4_399_808
    )


TINY = Table(name="tiny", stem=2, rows=(Row(4, 2, 3, 1, True, "RE"),), last=3, classes=5, head=6, divisor=1)


def test_a_tiny_network_by_hand() -> None:
    """Input 4 × 4, so that everything runs at 2 × 2: 4 pixels. Squeeze width 4 / 4 = 1."""
    graph = expand(TINY, 4)
    found = {group.name: group for group in subtotals(graph, count(graph))}
    # stem: 3 → 2, 3×3: 4 · 2 · 27 = 216 MACs; 8 outputs: shift 8, h-swish 40.
    assert (found["stem"].macs, found["stem"].flops, found["stem"].params) == (216, 432 + 48, 54 + 4)
    # block: expand 4·4·2 = 32, depthwise 4·4·9 = 144, squeeze 4 + 4, project 4·2·4 = 32; in all 216.
    # others: shifts 16 + 16 + 8, ReLU 16 + 16, pool 16 + 4, biases 1 + 4, ReLU 1, gate 16, mul 16, add 8.
    assert found["1"].macs == 216
    assert found["1"].flops == 432 + 40 + 32 + 20 + 5 + 1 + 16 + 16 + 8
    # params: 8 + 8, 36 + 8, (4 + 1) + (4 + 4), 8 + 4.
    assert found["1"].params == 16 + 44 + 13 + 12
    # head: 4·6·2 = 48; shift 24, h-swish 120, pool 24 + 6. classifier: 18 + 15, biases 3 + 5, h-swish 15.
    assert (found["head"].macs, found["head"].flops) == (48, 96 + 24 + 120 + 30)
    assert (found["classifier"].macs, found["classifier"].flops) == (33, 66 + 8 + 15)
    assert found["classifier"].params == 18 + 3 + 15 + 5


def test_bytes_of_the_tiny_block_by_hand() -> None:
    graph = expand(TINY, 4)
    block = {cost.layer: cost for cost in count(graph)}
    expand_conv = block["features.1.block.0.0"]
    # reads 2·4 inputs and 8 weights, writes 4·4 outputs, 4 bytes each
    assert (expand_conv.read_bytes, expand_conv.write_bytes, expand_conv.weight_bytes) == (64, 64, 32)
    norm = block["features.1.block.0.1"]
    assert (norm.read_bytes, norm.write_bytes, norm.weight_bytes) == (16, 0, 16)
    assert block["features.1.block.0.2"].read_bytes == 0
    add = block["features.1.add"]
    assert (add.read_bytes, add.write_bytes) == (64, 32)
    alone = {cost.layer: cost for cost in count(graph, batch_norm="separate")}
    norm = alone["features.1.block.0.1"]
    assert (norm.flops, norm.read_bytes, norm.write_bytes, norm.weight_bytes) == (32, 64 + 64, 64, 64)
    assert alone["features.1.block.0.2"].read_bytes == 64


def test_types_change_bytes_and_nothing_else() -> None:
    graph = expand(TINY, 4)
    fp32, fp16, bf16, int8 = (total(count(graph, dtype)) for dtype in ("fp32", "fp16", "bf16", "int8"))
    assert fp16 == bf16
    assert (2 * fp16.weight_bytes, 2 * fp16.read_bytes) == (fp32.weight_bytes, fp32.read_bytes)
    assert 4 * int8.write_bytes == fp32.write_bytes
    # int8: 54 + 8 + 36 + 4 + 4 + 8 + 12 + 18 + 15 weights, 2 + 4 + 4 + 1 + 4 + 2 + 6 + 3 + 5 biases
    assert int8.weight_bytes == 159 + 4 * 31
    assert (fp32.macs, fp32.flops, fp32.params) == (int8.macs, int8.flops, int8.params)


@given(tables, sizes)
@settings(max_examples=60)
def test_macs_are_half_of_flop_counter_modes(table: Table, size: Any) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as flops:
        build(table).eval()(torch.zeros(1, table.channels, *size))
    graph = expand(table, size)
    assert 2 * total(count(graph)).macs == flops.get_total_flops()
    by_module = flops.get_flop_counts()
    for layer in graph.layers:
        counted = sum(by_module.get(f"MobileNetV3.{layer.name}", {}).values())
        assert 2 * layer.macs == counted, layer.name


@given(tables, small_sizes)
@settings(max_examples=60)
def test_parts_add_up_to_the_whole(table: Table, size: Any) -> None:
    graph = expand(table, size)
    costs = count(graph)
    whole = total(costs)
    for by in ("block", "op", "layer"):
        groups = subtotals(graph, costs, by)
        for field in ("layers", "macs", "flops", "params", "weight_bytes", "read_bytes", "write_bytes"):
            assert sum(getattr(group, field) for group in groups) == getattr(whole, field)


def test_a_view_moves_nothing_and_has_no_intensity() -> None:
    graph = expand(TINY, 4)
    groups = {group.name: group for group in subtotals(graph, count(graph), "op")}
    assert groups["flatten"].intensity is None
    assert groups["linear"].intensity == groups["linear"].flops / (
        groups["linear"].read_bytes + groups["linear"].write_bytes
    )
