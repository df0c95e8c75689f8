from typing import Any

import pytest
from hypothesis import given
from random_tables import sizes, tables
from some import some

from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.expand import IMAGE, expand, image_size
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.source import read_table


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("224", (224, 224)),
        ("192x256", (192, 256)),
        ("1", (1, 1)),
        ("16384x1", (16384, 1)),
        (" 64X32 ", (64, 32)),
    ],
)
def test_sizes_are_height_by_width(text: str, size: Any) -> None:
    assert image_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-5",
        "abc",
        str(10**20),
        "16385",
        "",
        "x",
        "224x",
        "x224",
        "1x2x3",
        "224.0",
        "²²⁴",
        "٢٢٤",
        "1e2",
        "+5",
        "0x0",
        "1" * 5000,
    ],
)
def test_what_is_no_size(text: Any) -> None:
    with pytest.raises(InputError, match="expected 224 or 192x256") as refused:
        image_size(text)
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize(
    "size", [0, -1, 16_385, (224, 0), (), (1, 2, 3), True, 224.0, None, [224, "224"], "224x0"]
)
def test_expand_refuses_sizes_out_of_range(size: Any) -> None:
    with pytest.raises(InputError, match="each side from 1 to 16,384 pixels"):
        expand(read_table("small"), size)


def test_spatial_sizes_of_large() -> None:
    shapes = {b.name: b.layers[-1].out_shape for b in expand(read_table("large")).blocks}
    sides = [shapes[str(n)][1] for n in range(1, 16)]
    assert shapes["stem"] == (16, 112, 112)
    assert sides == [112, 56, 56, 28, 28, 28, 14, 14, 14, 14, 14, 14, 7, 7, 7]
    assert (shapes["head"], shapes["classifier"]) == ((960,), (1000,))


def test_a_block_written_out() -> None:
    table = Table(name="one", stem=8, rows=(Row(16, 8, 5, 1, True, "HS"),), last=12, classes=3)
    graph = expand(table, 32)
    layers = some(graph.block("1")).layers
    assert [(x.name.removeprefix("features.1."), x.op, graph.in_shape(x), x.out_shape) for x in layers] == [
        ("block.0.0", "pointwise", (8, 16, 16), (16, 16, 16)),
        ("block.0.1", "batch_norm", (16, 16, 16), (16, 16, 16)),
        ("block.0.2", "hardswish", (16, 16, 16), (16, 16, 16)),
        ("block.1.0", "depthwise", (16, 16, 16), (16, 16, 16)),
        ("block.1.1", "batch_norm", (16, 16, 16), (16, 16, 16)),
        ("block.1.2", "hardswish", (16, 16, 16), (16, 16, 16)),
        ("block.2.avgpool", "avg_pool", (16, 16, 16), (16, 1, 1)),
        ("block.2.fc1", "pointwise", (16, 1, 1), (8, 1, 1)),
        ("block.2.activation", "relu", (8, 1, 1), (8, 1, 1)),
        ("block.2.fc2", "pointwise", (8, 1, 1), (16, 1, 1)),
        ("block.2.scale_activation", "hardsigmoid", (16, 1, 1), (16, 1, 1)),
        ("block.2.mul", "mul", (16, 16, 16), (16, 16, 16)),
        ("block.3.0", "pointwise", (16, 16, 16), (8, 16, 16)),
        ("block.3.1", "batch_norm", (8, 16, 16), (8, 16, 16)),
        ("add", "add", (8, 16, 16), (8, 16, 16)),
    ]
    assert layers[-1].inputs == ("features.1.block.3.1", "features.0.2")
    assert layers[11].inputs == ("features.1.block.1.2", "features.1.block.2.scale_activation")


@given(tables, sizes)
def test_layers_read_what_was_written_before_them(table: Table, size: Any) -> None:
    graph = expand(table, size)
    written = {IMAGE: (table.channels, *size)}
    for layer in graph.layers:
        assert graph.in_shape(layer) == written[layer.inputs[0]]
        assert layer.name not in written
        assert all(name in written for name in layer.inputs)
        written[layer.name] = layer.out_shape
    rows = [str(n) for n in range(1, len(table.rows) + 1)]
    head = ["head"] if table.head != () else []
    assert graph.block_names == ("stem", *rows, *head, *(["classifier"] if table.classes else []))
