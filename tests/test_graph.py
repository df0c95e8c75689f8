"""Graphs of networks without a layer table: counts, fusion, memory and output."""

import inspect
import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from msgspec.structs import replace
from random_tables import small_sizes, tables
from some import some
from subjects import subject
from torch import nn

from mnv3prof.analysis.operators import join
from mnv3prof.budgets.diff import diff
from mnv3prof.budgets.figures import Side, figures
from mnv3prof.budgets.judge import judge
from mnv3prof.budgets.limits import budgets_from
from mnv3prof.cost.comparison import network_costs
from mnv3prof.cost.conventions import COUNTERS, counted_as
from mnv3prof.cost.counts import count, subtotals, total
from mnv3prof.cost.memory import arena, peaks
from mnv3prof.device.protocol import RuntimeOp
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.graph import Block, Geometry, Graph, Layer, Tensor
from mnv3prof.graph.ops import OPS, convolution, op_called
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record import document
from mnv3prof.render.markdown import to_csv
from mnv3prof.render.sheet import AtLeast
from mnv3prof.render.terminal import to_terminal
from mnv3prof.show.comparison import totals_sheet
from mnv3prof.show.costs import block_summary, cost_sheet
from mnv3prof.show.readings import convention_sheet


def _layer(name: str, op: Any, inputs: Any, shape: Any, **how: Any) -> Any:
    return Layer(name, op, tuple(inputs.split()), shape, name, how.pop("storage", name), **how)


def _graph(layers: Any, inputs: Any, outputs: Any = None, blocks: Any = None) -> Any:
    """A graph of one block, or of blocks of so many layers."""
    inputs = tuple(Tensor(name, shape) for name, shape in inputs.items())
    made, begin = [], 0
    for number, many in enumerate(blocks or [len(layers)]):
        made.append(Block(f"part.{number}", f"part {number}", tuple(layers[begin : begin + many]), ("m",)))
        begin += many
    return Graph("by hand", inputs, tuple(outputs or [layers[-1].name]), tuple(made))


def _linear(name: str, source: Any, tokens: Any, features: Any, out: Any) -> Any:
    weights = (Tensor(f"{name}.weight", (out, features)), Tensor(f"{name}.bias", (out,)))
    shape = (*tokens, out)
    return _layer(name, "linear", source, shape, contraction=features, weights=weights)


def _mlp(activation: str = "squash") -> Any:
    """A vision transformer's: 197 tokens of 768 features, to 3,072 and back."""
    return _graph(
        [
            _linear("up", "x", (197,), 768, 3072),
            _layer("act", activation, "up", (197, 3072)),
            _linear("down", "act", (197,), 3072, 768),
            _layer("sum", "add", "down x", (197, 768)),
        ],
        {"x": (197, 768)},
    )


# ---------------------------------------------------------------- counts


def test_a_linear_layer_counts_every_token() -> None:
    """197 · 768 outputs of 768 products each, and as many biases as outputs."""
    graph = _graph([_linear("fc", "x", (197,), 768, 768)], {"x": (197, 768)})
    (cost,) = count(graph)
    assert cost.macs == 116_195_328 == 197 * 768 * 768
    assert cost.flops == 2 * 116_195_328 + 197 * 768
    assert cost.params == 768 * 768 + 768
    assert (cost.weight_bytes, cost.read_bytes, cost.write_bytes) == (
        4 * 590_592,
        4 * (151_296 + 590_592),
        4 * 151_296,
    )


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv1d(6, 4, 5, 2, 2, groups=2, bias=False), (6, 33)),
        (nn.Conv2d(3, 8, (3, 5), (2, 1), (1, 2), bias=False), (3, 20, 17)),
        (nn.Conv2d(6, 12, 3, 1, 1, groups=6), (6, 9, 9)),
        (nn.Conv3d(2, 4, 3, (1, 2, 2), 1), (2, 5, 8, 8)),
        (nn.ConvTranspose2d(6, 4, 3, 2, groups=2, bias=False), (6, 7, 8)),
    ],
)
def test_convolutions_of_any_dimension_are_what_flop_counter_mode_counts(
    module: Any, shape: tuple[Any, ...]
) -> None:
    """Output elements × contraction; a transposed one's are known otherwise: input elements × its weights'."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        out = tuple(module(torch.zeros(1, *shape)).shape[1:])
    size = tuple(module.weight.shape)
    transposed = isinstance(module, nn.ConvTranspose2d)
    layer = _layer(
        "c",
        "conv",
        "x",
        out,
        contraction=0 if transposed else torch.Size(size[1:]).numel(),
        known_macs=torch.Size(shape).numel() * torch.Size(size[1:]).numel() if transposed else None,
        weights=tuple(Tensor(name, tuple(p.shape)) for name, p in module.named_parameters()),
        geometry=Geometry(
            module.kernel_size,
            module.stride,
            tuple((p, p) for p in module.padding),
            module.dilation,
            module.groups,
        ),
    )
    (cost,) = count(_graph([layer], {"x": shape}))
    assert 2 * cost.macs == counter.get_total_flops()  # type: ignore[operator]
    assert cost.params == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("channels", "groups", "kernel", "name"),
    [
        (16, 16, (3, 3), "depthwise"),
        (16, 16, (1, 1), "depthwise"),
        (16, 1, (1, 1), "pointwise"),
        (16, 1, (1, 3), "conv"),
        (16, 4, (1, 1), "conv"),
        (1, 1, (3, 3), "conv"),
        (1, 1, (1, 1), "pointwise"),
    ],
)
def test_what_a_convolution_is_called_follows_from_its_geometry(
    channels: int, groups: int, kernel: tuple[Any, ...], name: str
) -> None:
    assert convolution(channels, groups, kernel) == name


def test_an_operation_without_a_price_has_no_cost_and_is_named() -> None:
    graph = _mlp()
    costs = {cost.layer: cost for cost in count(graph)}
    assert (costs["act"].macs, costs["act"].flops, costs["act"].reason) == (None, None, "squash has no price")
    assert costs["act"].write_bytes == 4 * 197 * 3072
    whole = total(costs.values())
    assert whole.macs == 2 * 197 * 768 * 3072
    assert whole.unpriced == ("act",)
    assert whole.intensity is None


def test_totals_that_lack_a_price_say_at_least() -> None:
    graph = _mlp()
    note = "Not counted: squash (act). MACs and FLOPs are lower bounds."
    for by in ("block", "op", "layer"):
        sheet = cost_sheet(graph, count(graph), by)
        assert note in sheet.notes
        assert "≥ 929,562,624" in to_terminal([sheet], 200)
        assert ">= 929,562,624" in to_terminal([sheet], 200, ascii_only=True)
    table = cost_sheet(graph, count(graph), "op")
    (row,) = [row for row in table.rows if row[0] == "squash"]
    assert row[2:5] == (None, None, None)
    assert "squash,1,,,,0," in to_csv(table)
    both = totals_sheet([network_costs(graph), network_costs(_mlp("swish"))])
    assert note in both.notes
    assert both.rows[0] == ("MACs", "≥ 929,562,624", "929,562,624", None)  # no ratio of a lower bound


def test_a_lower_bound_can_break_a_budget_but_not_keep_one() -> None:
    found = figures(_mlp())
    assert found["macs"].value == 929_562_624
    assert found["macs"].reason == "no price is known for act, so it is a lower bound"
    assert found["params"].reason == ""
    checked = Side("mlp", _subject_of(_mlp()))
    over, within = judge(budgets_from({"macs": ["900M", "1G"]}, "here", ()), checked, None)  # type: ignore[arg-type]
    assert (over.status, over.reason) == ("exceeded", "")
    assert (within.status, within.breach) == ("unclear", "error")
    assert within.reason == found["macs"].reason


def _subject_of(graph: Graph) -> Any:
    """A subject whose graph no table made."""
    made = subject("small", 32)
    made.__dict__["graph"] = graph
    return made


def test_a_product_is_counted_and_its_missing_price_is_said() -> None:
    """Attention scores: 3 heads of 197 × 197, 64 products each; softmax has no price."""
    scores = _layer("s", "matmul", "x y", (3, 197, 197), contraction=64)
    attention = _layer("a", "sparse_attention", "x y", (3, 197, 64), known_macs=14_902_656)
    sizes = {"x": (3, 197, 64), "y": (3, 64, 197)}
    (cost,) = count(_graph([scores], sizes))
    assert (cost.macs, cost.flops, cost.reason) == (3 * 197 * 197 * 64, 2 * 3 * 197 * 197 * 64, "")
    (cost,) = count(_graph([attention], sizes))
    assert (cost.macs, cost.flops, cost.reason) == (14_902_656, None, "sparse_attention has no price")
    whole = total([cost])
    assert (whole.macs, whole.flops, whole.unpriced) == (14_902_656, 2 * 14_902_656, ("a",))
    (row,) = cost_sheet(_graph([attention], sizes), [cost], "layer").rows
    assert row[6:8] == (14_902_656, 2 * 14_902_656)  # lower bounds, not dashes
    assert isinstance(row[7], AtLeast)


def test_what_a_tool_counts_of_an_unknown_operation_is_not_known() -> None:
    sheet = convention_sheet(_mlp(), "fvcore", "op")
    assert {row[0]: row[2] for row in sheet.rows}["squash"] is None
    assert sheet.totals == (("total", None, 929_562_624),)
    assert to_csv(sheet).splitlines()[2] == "squash,,"
    assert "It is unknown how fvcore counts squash." in sheet.notes


def test_weights_that_two_layers_share_are_counted_once() -> None:
    """144 weights are moved once: by the first layer, which reads 4 · (256 + 144) bytes."""
    first = _conv("c", "x")
    graph = _graph([first, replace(first, name="d", path="d", storage="d", inputs=("c",))], IMAGE)
    costs = count(graph)
    assert [cost.params for cost in costs] == [144, 0]
    assert [cost.weight_bytes for cost in costs] == [576, 0]
    assert [cost.read_bytes for cost in costs] == [1600, 1024]
    assert [cost.macs for cost in costs] == [256 * 36] * 2
    assert (total(costs).params, total(costs).weight_bytes) == (144, 576)


@pytest.mark.parametrize(("dtype", "stored"), [("fp32", [4 * 48, 4 * 8]), ("int8", [40 + 4 * 8, 4 * 8])])
def test_a_shared_kernel_with_a_bias_of_its_own_stores_the_bias(dtype: Any, stored: Any) -> None:
    """A tied output layer: 8 × 5 weights are the first layer's, its 8 biases its own."""
    first = _linear("up", "x", (3,), 5, 8)
    tied = replace(
        first, name="to", path="to", storage="to", weights=(first.weights[0], Tensor("to.bias", (8,)))
    )
    costs = count(_graph([first, tied], {"x": (3, 5)}), dtype)
    assert [cost.params for cost in costs] == [48, 8]
    assert [cost.weight_bytes for cost in costs] == stored


def test_a_tensor_that_is_read_twice_is_moved_once() -> None:
    (cost,) = count(_graph([_layer("s", "add", "x x", (4, 8, 8))], IMAGE))
    assert (cost.read_bytes, cost.write_bytes) == (1024, 1024)


def test_a_constant_reads_nothing() -> None:
    layers = [_layer("k", "arange", "", (4, 8, 8)), _layer("s", "add", "x k", (4, 8, 8))]
    graph = _graph(layers, IMAGE)
    assert [cost.read_bytes for cost in count(graph)] == [0, 2048]
    assert graph.in_shape(graph.layers[0]) == ()
    assert some(peaks(graph).eager).layers == (2048, 3072)
    assert block_summary(graph.blocks[0]) == "arange, add"


def test_the_document_names_what_has_no_price() -> None:
    graph = _mlp()
    found = document.cost_document(_subject_of(graph), count(graph))
    assert found["totals"]["unpriced"] == ("act",)
    assert found["blocks"][0]["unpriced"] == ("act",)
    assert [layer["reason"] for layer in found["layers"]] == ["", "squash has no price", "", ""]
    assert [layer["macs"] for layer in found["layers"]][1] is None


def test_a_priced_mlp_by_hand() -> None:
    """Products 2 · 197 · 768 · 3072, biases 197 · 3840, sigmoid and multiply 5 an element, one add."""
    whole = total(count(_mlp("swish")))
    assert whole.unpriced == ()
    assert whole.flops == 2 * whole.macs + 197 * 3840 + 5 * 197 * 3072 + 197 * 768


# ---------------------------------------------------------------- folding


def _conv(name: str, source: Any, channels: int = 4, side: int = 8) -> Any:
    return _layer(
        name,
        "conv",
        source,
        (channels, side, side),
        contraction=channels * 9,
        weights=(Tensor(f"{name}.weight", (channels, channels, 3, 3)),),
        geometry=Geometry((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    )


def _norm(name: str, source: Any, channels: int = 4, side: int = 8) -> Any:
    weights = (Tensor(f"{name}.weight", (channels,)), Tensor(f"{name}.bias", (channels,)))
    return _layer(name, "batch_norm", source, (channels, side, side), weights=weights)


def _act(name: str, source: Any, side: int = 8) -> Any:
    return _layer(name, "relu", source, (4, side, side))


IMAGE = {"x": (4, 8, 8)}


@pytest.mark.parametrize(
    ("layers", "outputs", "wanted"),
    [
        ([_conv("c", "x"), _norm("n", "c"), _act("a", "n")], ["a"], {"n": "c", "a": "c"}),
        # Pre-activation: nothing stands before the norm into which it could fold.
        ([_norm("n", "x"), _act("a", "n"), _conv("c", "a")], ["c"], {"a": "n"}),
        # Read twice, or handed out: the unnormed values are needed as they are.
        ([_conv("c", "x"), _norm("n", "c"), _layer("s", "add", "n c", (4, 8, 8))], ["s"], {}),
        ([_conv("c", "x"), _norm("n", "c")], ["n", "c"], {}),
        # After a residual add an activation folds, a batch norm does not.
        ([_layer("s", "add", "x x", (4, 8, 8)), _act("a", "s")], ["a"], {"a": "s"}),
        ([_layer("s", "add", "x x", (4, 8, 8)), _norm("n", "s")], ["n"], {}),
        # A view computes nothing into which an activation could fold, nor does the image.
        ([_layer("v", "flatten", "x", (256,), storage="x"), _layer("a", "relu", "v", (256,))], ["a"], {}),
        ([_act("a", "x")], ["a"], {}),
        # An operation that is not known and writes no memory of its own may be a view.
        ([_conv("c", "x"), _layer("p", "permute", "c", (4, 8, 8), storage="c"), _act("a", "p")], ["a"], {}),
        ([_conv("c", "x"), _layer("p", "squash", "c", (4, 8, 8)), _act("a", "p")], ["a"], {"a": "p"}),
        # A second norm finds no convolution before it.
        ([_conv("c", "x"), _norm("n", "c"), _norm("m", "n")], ["m"], {"n": "c"}),
    ],
)
def test_what_folds_into_what(layers: Any, outputs: list[Any], wanted: dict[str, Any]) -> None:
    assert _graph(layers, IMAGE, outputs).fused == wanted


def test_a_norm_that_does_not_fold_runs_by_itself() -> None:
    """2 FLOPs an element; four vectors of 4 channels are read, and the image; all of it is written."""
    graph = _graph([_norm("n", "x"), _conv("c", "n")], IMAGE)
    norm = count(graph)[0]
    assert (norm.flops, norm.params, norm.weight_bytes) == (2 * 256, 8, 4 * 16)
    assert (norm.read_bytes, norm.write_bytes) == (4 * 256 + 4 * 16, 4 * 256)
    assert norm.fused_into == ""
    assert peaks(graph).fused.bytes == 4 * 2 * 256  # a buffer of its own
    (alone, _) = subtotals(graph, count(graph), "layer")
    assert alone.intensity == 512 / (2 * 4 * 256 + 64)


def test_a_folded_layer_alone_has_no_intensity_and_its_block_has() -> None:
    """By hand: 2 · 256 · 36 + 256 + 256 FLOPs; image, 144 weights and 4 biases read, 256 written."""
    graph = _graph([_conv("c", "x"), _norm("n", "c"), _act("a", "n")], IMAGE)
    costs = count(graph)
    assert [group.intensity for group in subtotals(graph, costs, "layer")][1:] == [None, None]
    assert {g.name: g.intensity for g in subtotals(graph, costs, "op")}["batch_norm"] is None
    (block,) = subtotals(graph, costs)
    assert block.intensity == (2 * 256 * 36 + 512) / (4 * (256 + 144 + 4 + 256))


def test_a_convolution_with_a_bias_takes_a_norm_without_another_one() -> None:
    """592 bytes of 144 weights and 4 biases; one addition an output, not two."""
    conv = _conv("c", "x")
    conv = replace(conv, weights=(*conv.weights, Tensor("c.bias", (4,))))
    whole = total(count(_graph([conv, _norm("n", "c")], IMAGE)))
    assert whole.weight_bytes == 4 * 148
    assert whole.flops == 2 * 256 * 36 + 256
    assert whole.params == 148 + 8


def test_a_norm_without_parameters_has_statistics_all_the_same() -> None:
    bare = _layer("n", "batch_norm", "c", (4, 8, 8))
    folded, alone = count(_graph([_conv("c", "x"), bare], IMAGE)), count(_graph([bare], {"c": (4, 8, 8)}))
    assert (folded[1].params, folded[1].weight_bytes) == (0, 16)
    assert (alone[0].params, alone[0].weight_bytes) == (0, 32)


@given(tables, small_sizes)
@settings(max_examples=60)
def test_every_norm_and_activation_of_a_table_folds(table: Any, size: Any) -> None:
    graph = expand(table, size)
    kinds = {layer.name: layer.operation.kind for layer in graph.layers}
    assert set(graph.fused) == {name for name, kind in kinds.items() if kind in ("norm", "activation")}


# ---------------------------------------------------------------- memory


def test_two_inputs_and_two_outputs_stay_alive() -> None:
    """x, y and s = x + y are 256 elements each, t halves s. s is handed out too, so it lives to the end."""
    layers = [
        _layer("s", "add", "x y", (4, 8, 8)),
        _layer("p", "avg_pool", "s", (4, 4, 4)),
        _layer("t", "mul", "p p", (4, 4, 4)),
    ]
    graph = _graph(layers, {"x": (4, 8, 8), "y": (4, 8, 8)}, ["s", "t"], [1, 2])
    found = peaks(graph)
    assert some(found.eager).bytes == some(found.eager).layers[1] == 4 * (3 * 256 + 64)
    assert found.unfused.layers == (4 * 768, 4 * (256 + 64), 4 * (256 + 64 + 64))
    assert found.unfused.blocks == (4 * 768, 4 * (256 + 64 + 64))
    assert found.unfused.block == "part.0"
    assert arena(graph).bytes == 4 * 768
    assert arena(graph, image=False).bytes == 4 * (256 + 128)


def test_eager_counts_a_tensor_that_is_read_twice_once() -> None:
    graph = _graph([_layer("a", "relu", "x", (4, 8, 8)), _layer("s", "mul", "a a", (4, 8, 8))], IMAGE)
    assert some(peaks(graph).eager).layers == (2048, 3072)
    assert some(peaks(graph).eager).alive == (("x", 1024), ("a", 1024), ("s", 1024))


def test_eager_ends_a_call_when_another_begins() -> None:
    """m(x) and m(y): the second call keeps y alive, not x's result."""
    first, second = (
        Layer(name, "relu", (source,), (4, 8, 8), "m", name) for name, source in (("a", "x"), ("b", "y"))
    )
    between = _layer("c", "add", "a y", (4, 8, 8))
    graph = _graph([first, between, second], {**IMAGE, "y": (4, 8, 8)})
    assert some(peaks(graph).eager).layers == (3 * 1024, 4 * 1024, 3 * 1024)


def test_a_chain_in_place_is_one_storage() -> None:
    """r writes into h, which wrote into c."""
    layers = [
        _conv("c", "x"),
        _layer("h", "hardswish", "c", (4, 8, 8), storage="c"),
        _layer("r", "relu", "h", (4, 8, 8), storage="h"),
        _layer("s", "add", "r x", (4, 8, 8)),
    ]
    assert some(peaks(_graph(layers, IMAGE)).eager).alive == (("x", 1024), ("c", 1024), ("s", 1024))


def test_a_view_that_is_not_known_has_no_buffer() -> None:
    layers = [_conv("c", "x"), _layer("p", "permute", "c", (8, 8, 4), storage="c")]
    assert peaks(_graph(layers, IMAGE)).unfused.layers == (2048, 1024)


# ---------------------------------------------------------------- blocks


def _renamed(layer: Any, prefix: Any) -> Any:
    return replace(
        layer,
        name=prefix + layer.name,
        path=prefix + layer.path,
        inputs=tuple(n if n == "x" else prefix + n for n in layer.inputs),
        storage=layer.storage if layer.storage == "x" else prefix + layer.storage,
        weights=tuple(Tensor(prefix + t.name, t.shape) for t in layer.weights),
    )


def _keys(layers: Any, blocks: Any = None, outputs: Any = None) -> Any:
    return list(_graph(layers, IMAGE, outputs, blocks).keys.values())


RESIDUAL = [_conv("c", "x"), _norm("n", "c"), _layer("s", "add", "n x", (4, 8, 8))]


def test_equal_structure_has_one_key_whatever_the_names() -> None:
    assert _keys(RESIDUAL) == _keys([_renamed(layer, "other.") for layer in RESIDUAL])
    twice = [*RESIDUAL, *(_renamed(layer, "b.") for layer in RESIDUAL)]
    assert len(set(_keys(twice, [3, 3]))) == 1


def test_blocks_of_one_kind_in_a_row_have_one_key() -> None:
    """Pre-activation blocks that work in place: each reads what the one before wrote into its own input."""
    layers, source = [], "x"
    for n in range(3):
        layers += [
            _layer(f"r{n}", "relu", source, (4, 8, 8), storage=source),
            _conv(f"c{n}", f"r{n}"),
            _norm(f"n{n}", f"c{n}"),
            _layer(f"s{n}", "add", f"n{n} {source}", (4, 8, 8), storage=f"n{n}"),
        ]
        source = f"s{n}"
    assert len(set(_keys(layers, [4, 4, 4]))) == 1


@pytest.mark.parametrize(
    "other",
    [
        [_conv("c", "x"), _norm("n", "c"), _layer("s", "add", "n c", (4, 8, 8))],  # other wiring
        [_conv("c", "x"), _norm("n", "c"), _layer("s", "mul", "n x", (4, 8, 8))],  # another operation
        [_conv("c", "x"), _norm("n", "c"), _layer("s", "add", "n x", (4, 8, 8), storage="n")],  # in place
        [_conv("c", "x"), _norm("n", "c"), _layer("s", "add", "n x", (4, 8, 8), storage="x")],
        RESIDUAL[:2],
        [replace(RESIDUAL[0], geometry=Geometry((3, 3), (1, 1), ((0, 2), (1, 1)), (1, 1))), *RESIDUAL[1:]],
    ],
)
def test_another_structure_has_another_key(other: Any) -> None:
    assert _keys(other) != _keys(RESIDUAL)


def test_blocks_that_fuse_differently_have_other_keys() -> None:
    """The first convolution's output is read again, so its batch norm cannot be fused into it."""
    layers = [
        _conv("c", "x"),
        _norm("n", "c"),
        _conv("d", "n"),
        _norm("m", "d"),
        _layer("s", "add", "m c", (4, 8, 8)),
    ]
    first, second, _ = _keys(layers, [2, 2, 1])
    assert first != second
    # An activation at the head of a block is fused into the block before it, or runs by itself.
    layers = [_act("r", "x"), _conv("c", "r"), _act("q", "c"), _conv("d", "q")]
    first, second = _keys(layers, [2, 2])
    assert first != second


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"layers": [_act("a", "nowhere")]}, "layer 'a': 'nowhere' is not defined before"),
        ({"layers": [_act("a", "b"), _act("b", "x")]}, "layer 'a': 'b' is not defined before"),
        ({"layers": [_act("a", "x"), _act("a", "x")]}, "layer 'a': the name is taken"),
        ({"layers": [_act("x", "x")]}, "layer 'x': the name is taken"),
        ({"layers": [_layer("a", "relu", "x", (4,), storage="z")]}, "layer 'a': 'z' is not defined before"),
        ({"layers": [_act("a", "x")], "outputs": ["z"]}, "the output: 'z' is not defined before"),
        ({"layers": [_act("a", "x")], "blocks": [1, 0]}, "block 'part.1': it has no layer"),
    ],
)
def test_a_graph_that_cannot_run_is_refused(change: Any, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        _graph(inputs=IMAGE, **change)


def test_names_that_are_there_twice_and_a_graph_of_nothing_are_refused() -> None:
    block = _graph([_act("a", "x")], IMAGE).blocks[0]
    with pytest.raises(InputError, match="two blocks have the same name"):
        Graph("twice", (Tensor("x", (4, 8, 8)),), ("a",), (block, block))
    with pytest.raises(InputError, match="two inputs have the same name"):
        Graph("twice", (Tensor("x", (4, 8, 8)), Tensor("x", (1,))), ("a",), (block,))
    with pytest.raises(InputError, match="'empty': it has no block"):
        Graph("empty", (Tensor("x", (4, 8, 8)),), (), ())


@given(tables, small_sizes)
@settings(max_examples=60)
def test_blocks_tile_the_layers_and_equal_keys_cost_the_same(table: Any, size: Any) -> None:
    graph = expand(table, size)
    assert sum((block.layers for block in graph.blocks), ()) == graph.layers
    costs = {group.name: group for group in subtotals(graph, count(graph))}
    known: dict[Any, Any] = {}
    for name, key in graph.keys.items():
        assert known.setdefault(key, replace(costs[name], name="")) == replace(costs[name], name="")


@given(tables, small_sizes)
@settings(max_examples=60)
def test_the_modules_of_a_block_run_its_layers(table: Any, size: Any) -> None:
    for block in expand(table, size).blocks:
        for layer in block.layers:
            assert sum(f"{layer.name}.".startswith(f"{module}.") for module in block.modules) == 1


def test_a_block_in_a_few_words() -> None:
    large = {block.name: block_summary(block) for block in expand(subject("large").table).blocks}
    assert large["stem"] == "3→16, 3×3 /2, HS"
    assert large["1"] == "16→16, 3×3, RE"
    assert large["4"] == "24→72→40, 5×5 /2, SE, RE"
    assert large["head"] == "160→960, 1×1, HS, pool"
    assert large["classifier"] == "960→1280→1000, HS"
    dense = expand(replace(subject("large").table, conv="dense-depthwise"))
    assert block_summary(dense.block("4")) == "24→72→40, dense 5×5 /2, SE, RE"  # type: ignore[arg-type]
    assert block_summary(_mlp().blocks[0]) == "768→3072→768"
    assert block_summary(_graph([_layer("s", "add", "x x", (4, 8, 8))], IMAGE).blocks[0]) == "add"
    tall = replace(
        _conv("c", "x"),
        out_shape=(4, 4, 8),
        weights=(Tensor("c.weight", (4, 4, 5, 3)),),
        geometry=Geometry((5, 3), (2, 1), ((2, 2), (1, 1)), (1, 1)),
    )
    assert block_summary(_graph([tall], IMAGE).blocks[0]) == "4→4, 5×3 /2×1"
    flat = [
        _conv("c", "x"),
        _layer("f", "flatten", "c", (64, 4), storage="c"),
        _linear("l", "f", (64,), 4, 16),
    ]
    assert block_summary(_graph(flat, IMAGE).blocks[0]) == "4→4→16, 3×3"


def test_a_block_that_begins_with_squeeze_excite_has_it() -> None:
    """Small's first row, standard: 16 channels in and expanded, so nothing stands before its SE."""
    graph = expand(vary(subject("small").table, standard_conv=True))
    assert some(graph.block("1")).layers[0].name == "features.1.block.0.avgpool"
    assert [layer.role for layer in some(graph.block("stem")).layers] == ["stem", "stem_norm", "activation"]
    # 16 · 112² and its half after SE: the multiply reads one map and writes another.
    assert peaks(graph).fused.blocks[1] == 4 * (2 * 16 * 112 * 112 + 16)


# ---------------------------------------------------------------- the table of operations


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.torch], ids=lambda op: op.name)
def test_an_activations_module_is_in_torch_and_in_place_where_torch_can(op: Any) -> None:
    assert ("inplace" in inspect.signature(getattr(nn, op.torch)).parameters) == op.in_place
    assert op.temporaries == 0


def test_every_price_and_code_is_told_once() -> None:
    assert {op.kind for op in OPS.values() if op.flops is None} == {"recurrent"}
    codes = [op.code for op in OPS.values() if op.code]
    assert sorted(codes) == ["HS", "HS-CLAMP", "HS-RELU6", "R6", "RE", "SW"]
    unknown = op_called("squash")
    assert (unknown.kind, unknown.flops, unknown.weighted, unknown.folds) == ("other", None, False, False)


def test_a_layer_outside_of_its_blocks_modules_is_joined_by_its_own_name() -> None:
    graph = _graph([_conv("c", "x"), _act("a", "c")], IMAGE)
    ((_, layer, how),) = join(graph, "part.0", [RuntimeOp("r", "Relu", 1.0)])
    assert (some(layer).name, how) == ("a", "order")


def test_a_diff_says_that_its_figures_are_lower_bounds() -> None:
    found = diff(Side("old", _subject_of(_mlp())), Side("new", _subject_of(_mlp("swish"))))
    assert "old: no price is known for squash. MACs and FLOPs are lower bounds." in found.notes
    assert not any(note.startswith("new: no price") for note in found.notes)


@pytest.mark.parametrize("tool", COUNTERS)
def test_a_tool_counts_products_wherever_they_come_from(tool: Any) -> None:
    per_mac = COUNTERS[tool].coefficients["linear"]
    figures = counted_as(_graph([_linear("fc", "x", (197,), 768, 768)], {"x": (197, 768)}), tool)
    assert figures[0] - COUNTERS[tool].coefficients.get("linear_bias", 0) * 197 * 768 == per_mac * 116_195_328  # type: ignore[operator]


def test_graphs_are_data() -> None:
    assert hash(_mlp()) == hash(_mlp())
    assert _mlp() == _mlp()
