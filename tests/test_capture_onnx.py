import random
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torchvision_oracle
from fuzzing import damaged_bytes
from onnx import TensorProto, helper, numpy_helper

import mnv3prof
from mnv3prof.bench.schedule import BenchPlan, measure
from mnv3prof.capture.onnx import onnx_inputs, read_onnx
from mnv3prof.capture.onnx.pieces import run
from mnv3prof.device.protocol import PartKey
from mnv3prof.device.runtimes import Unsupported
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.graph import Graph, Tensor
from mnv3prof.graph.ops import OPS
from mnv3prof.record.target import Target
from mnv3prof.show.costs import unpriced_notes
from mnv3prof.source import open_source
from mnv3prof.workers.cache import key
from mnv3prof.workers.file_parts import FileParts
from mnv3prof.workers.requests import FileKind

torchvision: Any = vars(torchvision_oracle)["torchvision"]
pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's


def exported(folder: Path, module: Any, size: Any = 224, **options: Any) -> Any:
    path = folder / "net.onnx"
    given = size if isinstance(size, torch.Tensor) else torch.zeros(1, 3, size, size)
    torch.onnx.export(module.eval(), (given,), path, dynamo=False, **options)
    return path


def stored(name: str, *shape: int, dtype: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.ones(shape, dtype), name)


def numbers(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def model(nodes: Any, inputs: Any, weights: Any = (), outputs: Any = None, opset: int = 17) -> Any:
    """outputs: name of each, or name and type."""
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    names = outputs or [name for name in nodes[-1].output if name][:1]
    kinds = names if isinstance(names, dict) else dict.fromkeys(names, TensorProto.FLOAT)
    returned = [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    graph = helper.make_graph(nodes, "g", given, returned, list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def saved(folder: Path, *args: Any, **options: Any) -> Any:
    path = folder / "made.onnx"
    path.write_bytes(model(*args, **options).SerializeToString())
    return path


def read(path: Any, shapes: Any = ()) -> Graph:
    return read_onnx(path, path.name, "net", shapes)


def graph_of(folder: Path, *args: Any, **options: Any) -> Graph:
    return read(saved(folder, *args, **options))


def total(graph: Graph) -> int:
    return sum(layer.macs for layer in graph.layers)


def parameters(graph: Graph) -> int:
    shapes = {tensor.name: tensor.shape for layer in graph.layers for tensor in layer.weights}
    return sum(map(prod, shapes.values()))


node = helper.make_node


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("mobilenet_v2", 300_774_272),
        ("shufflenet_v2_x1_0", 144_907_992),
        ("swin_t", 4_490_566_656),
        ("vit_b_16", 17_563_828_224),
    ],
)
def test_macs_of_torchvision(tmp_path: Path, name: str, macs: int) -> None:
    graph = read(exported(tmp_path, getattr(torchvision.models, name)(weights=None)))
    assert total(graph) == macs
    assert all(layer.op in OPS for layer in graph.layers)
    assert [given.shape for given in graph.inputs] == [(3, 224, 224)]


def test_macs_of_computed_pads(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    graph = read(exported(tmp_path, timm.create_model("tf_efficientnet_lite0")))
    assert total(graph) == 385_187_552
    assert not any(layer.op in ("pad", "copy") for layer in graph.layers)


def test_equals_the_table(tmp_path: Path) -> None:
    """The exporter folds batch norm; the rest is the table's graph, in its order."""
    table = mnv3prof.read_table("small")
    expected = mnv3prof.expand(table, 64)
    graph = read(exported(tmp_path, mnv3prof.build(table), 64))
    kept = [layer for layer in expected.layers if layer.op not in ("batch_norm", "flatten", "dropout")]
    found = [layer for layer in graph.layers if layer.op != "view"]
    assert [(each.op, each.out_shape, each.macs) for each in found] == [
        (each.op, each.out_shape, each.macs) for each in kept
    ]
    assert [each.geometry for each in found] == [each.geometry for each in kept]
    weights = [[each.shape for each in layer.weights[:1]] for layer in found]
    assert weights == [[each.shape for each in layer.weights[:1]] for layer in kept]
    paths = [layer.path for layer in kept if layer.operation.weighted]
    assert [layer.path for layer in found if layer.operation.weighted] == paths
    assert mnv3prof.peaks(graph).fused.bytes == mnv3prof.peaks(expected).fused.bytes


def test_batch_norm_that_is_not_folded(tmp_path: Path) -> None:
    net = torchvision.models.mobilenet_v2(weights=None)
    mode = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    graph = read(exported(tmp_path, net, **mode))
    norms = [layer for layer in graph.layers if layer.op == "batch_norm"]
    assert len(norms) == 52
    assert {tuple(len(each.shape) for each in layer.weights) for layer in norms} <= {(1,), (1, 1)}
    assert len(graph.fused) == 52 + 35


def test_constants_are_in_no_total(tmp_path: Path) -> None:
    net = torchvision.models.swin_v2_t(weights=None)
    graph = read(exported(tmp_path, net, 256))
    assert sum(layer.macs for layer in graph.constants) == 18_662_400
    biases = [tensor for layer in graph.layers if layer.op == "add" for tensor in layer.weights]
    assert any("cpb_mlp" in tensor.name for tensor in biases)


def test_old_operators(tmp_path: Path) -> None:
    """At opset 9 h-swish, bounds and pads are attributes or several nodes."""
    graph = read(exported(tmp_path, torchvision.models.mobilenet_v3_small(weights=None), opset_version=9))
    assert total(graph) == 56_510_400
    swin = read(exported(tmp_path, torchvision.models.swin_t(weights=None), opset_version=11))
    assert total(swin) == 4_490_566_656


def test_symbolic_sizes(tmp_path: Path) -> None:
    net = torchvision.models.mobilenet_v2(weights=None)
    axes = {"images": {0: "batch", 2: "height", 3: "width"}}
    path = exported(tmp_path, net, 64, input_names=["images"], dynamic_axes=axes)
    assert onnx_inputs(path, "net") == {"images": ("batch", 3, "height", "width")}
    with pytest.raises(
        InputError,
        match=r"^net\.onnx: input 'images' has the open size batch x 3 x height x width; expected an input in numbers, e.g. 3x224x224$",
    ):
        read(path)
    graph = read(path, [(3, 224, 224)])
    assert (graph.inputs, total(graph)) == ((Tensor("images", (3, 224, 224)),), 300_774_272)
    assert read(path, [(224, 224)]) == graph
    with pytest.raises(InputError, match="the input 4x64x64 does not fit"):
        read(path, [(4, 64, 64)])
    with pytest.raises(InputError, match="1 inputs"):
        read(path, [(3, 64, 64)] * 2)
    with pytest.raises(InputError, match="expected sizes from 0 to 2"):
        read(path, [(3, 2**40, 64)])


def test_a_symbolic_batch_is_1(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["y"])]
    assert graph_of(tmp_path, nodes, {"x": ["N", 3]}).layers[0].out_shape == (3,)
    assert graph_of(tmp_path, nodes, {"x": [7, 3]}).layers[0].out_shape == (7, 3)
    for shape, what in (
        ([4, 3, 8, 8], "batch of 4"),
        (["N"], "size N; expected an input in numbers"),
        (None, "no sizes in the file; expected them as input"),
    ):
        with pytest.raises(InputError, match=what):
            graph_of(tmp_path, nodes, {"x": shape})


def test_recurrent_layers(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)
            self.gru = torch.nn.GRU(16, 8)
            self.rnn = torch.nn.RNN(8, 4)

        def forward(self, x: Any) -> Any:
            y, _ = self.lstm(x)
            y, hidden = self.gru(y)
            return self.rnn(y)[0], hidden

    graph = read(exported(tmp_path, Net(), torch.zeros(1, 5, 6)))
    macs = {op: sum(layer.macs for layer in graph.layers if layer.op == op) for op in ("lstm", "gru", "rnn")}
    lstm = 5 * 4 * 8 * 2 * ((6 + 8) + (16 + 8))
    assert macs == {"lstm": lstm, "gru": 5 * 3 * 8 * (16 + 8), "rnn": 5 * 4 * (8 + 4)}
    costs = [cost for cost in mnv3prof.count(graph) if cost.macs]
    gates = [2 * (64 + 30 * 8), 2 * (64 + 30 * 8), 48 + 21 * 8, 8 + 6 * 4]
    assert [(cost.flops or 0) - 2 * (cost.macs or 0) for cost in costs] == [5 * each for each in gates]
    assert len(graph.outputs) == 2


def test_gates_of_other_activations_have_no_price(tmp_path: Path) -> None:
    weights = [stored("w", 1, 16, 3), stored("r", 1, 16, 4)]
    kinds = [[b"Sigmoid", b"Tanh", b"Tanh"], [b"Sigmoid", b"Tanh", b"Relu"]]
    for kind, op in zip(kinds, ("lstm", "lstm_variant"), strict=True):
        nodes = [node("LSTM", ["x", "w", "r"], ["y"], hidden_size=4, activations=kind)]
        graph = graph_of(tmp_path, nodes, {"x": STEPS}, weights)
        whole = mnv3prof.total(mnv3prof.count(graph))
        assert [layer.op for layer in graph.layers] == [op]
        assert (bool(whole.unpriced), whole.uncounted) == (op != "lstm", ())
    notes = ("Without a price for all but their MACs: lstm_variant (y). FLOPs are lower bounds.",)
    assert unpriced_notes(graph, whole) == notes


@pytest.mark.parametrize(
    ("op", "inputs", "weights", "attributes", "expected"),
    [
        ("Gemm", {"x": [5, 3]}, [("w", (5, 7))], {"transA": 1}, ("linear", 3 * 5 * 7, (7, 5))),
        ("Gemm", {"x": [3, 5]}, [("w", (7, 5)), ("b", (7,))], {"transB": 1}, ("linear", 3 * 5 * 7, (7, 5))),
        ("Gemm", {"x": [3, 5], "y": [5, 7]}, [], {}, ("matmul", 3 * 5 * 7, None)),
        ("MatMul", {"x": [1, 9, 5]}, [("w", (5, 7))], {}, ("linear", 9 * 5 * 7, (7, 5))),
        ("MatMul", {"x": [1, 2, 9, 5], "y": [1, 2, 5, 7]}, [], {}, ("matmul", 2 * 9 * 5 * 7, None)),
        (
            "Conv",
            {"x": [1, 4, 8, 8]},
            [("w", (6, 2, 3, 3))],
            {"group": 2},
            ("conv", 6 * 36 * 18, (6, 2, 3, 3)),
        ),
        (
            "Conv",
            {"x": [1, 4, 8, 8]},
            [("w", (4, 1, 3, 3))],
            {"group": 4},
            ("depthwise", 4 * 36 * 9, (4, 1, 3, 3)),
        ),
        ("Conv", {"x": [1, 4, 8]}, [("w", (6, 4, 1))], {}, ("pointwise", 6 * 8 * 4, (6, 4, 1))),
        (
            "ConvTranspose",
            {"x": [1, 4, 8, 8]},
            [("w", (4, 3, 2, 2))],
            {"strides": [2, 2]},
            ("conv_transpose", 4 * 64 * 12, (4, 3, 2, 2)),
        ),
        (
            "ConvTranspose",
            {"x": [1, 4, 8]},
            [("w", (4, 3, 2))],
            {"group": 2},
            ("conv_transpose", 4 * 8 * 6, (4, 3, 2)),
        ),
        ("Einsum", {"x": [2, 3, 5], "y": [3, 7]}, [], {"equation": "abx,bc->ac"}, ("einsum", 42, None)),
        ("Einsum", {"x": [2, 3], "y": [3, 7]}, [], {"equation": "ab, bc"}, ("einsum", 42, None)),
        ("Einsum", {"x": [2, 3], "y": [1, 7]}, [], {"equation": "ab,bc->ac"}, ("einsum", 14, None)),
        ("Einsum", {"x": [2, 3]}, [], {"equation": "ab->ba"}, ("einsum", 0, None)),
    ],
)
def test_macs_of_products(
    tmp_path: Path, op: str, inputs: Any, weights: Any, attributes: Any, expected: Any
) -> None:
    made = [stored(name, *shape) for name, shape in weights]
    nodes = [node(op, [*inputs, *(name for name, _ in weights)], ["out"], **attributes)]
    (layer,) = graph_of(tmp_path, nodes, inputs, made).layers
    kernel = layer.weights[0].shape if layer.weights else None
    assert (layer.op, layer.macs, kernel) == expected
    assert [tensor.name for tensor in layer.weights] == [name for name, _ in weights]


def test_attention(tmp_path: Path) -> None:
    shapes = {"q": [1, 4, 6, 8], "k": [1, 2, 5, 8], "v": [1, 2, 5, 3]}
    graph = graph_of(tmp_path, [node("Attention", list(shapes), ["y"])], shapes, opset=23)
    assert (graph.layers[0].op, graph.layers[0].macs) == ("attention", 4 * 6 * 5 * (8 + 3))


def test_same_padding(tmp_path: Path) -> None:
    nodes = [node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])]
    (layer,) = graph_of(tmp_path, nodes, {"x": [1, 3, 8, 8]}, [stored("w", 4, 3, 3, 3)]).layers
    assert layer.geometry is not None
    assert layer.geometry.padding == ((0, 1), (0, 1))


def test_one_layer_per_output(tmp_path: Path) -> None:
    nodes = [
        node("Split", ["x", "sizes"], ["a", "b", "unread"], "cut", axis=1),
        node("Add", ["a", "b"], ["y"]),
        node("TopK", ["y", "k"], ["values", "places"]),
    ]
    weights = [numbers("sizes", 2, 2, 4), numbers("k", 1)]
    graph = graph_of(
        tmp_path, nodes, {"x": [1, 8, 3]}, weights, {"values": TensorProto.FLOAT, "places": TensorProto.INT64}
    )
    assert [(layer.name, layer.op, layer.inputs, layer.out_shape) for layer in graph.layers] == [
        ("cut", "gather", ("x",), (2, 3)),
        ("b", "gather", ("x",), (2, 3)),
        ("y", "add", ("cut", "b"), (2, 3)),
        ("values", "sort", ("y",), (2, 1)),
        ("places", "gather", ("values",), (2, 1)),
    ]
    assert (graph.outputs, parameters(graph)) == (("values", "places"), 0)


def test_views_share_memory(tmp_path: Path) -> None:
    nodes = [
        node("Reshape", ["x", "s"], ["r"]),
        node("Relu", ["r"], ["y"]),
        node("Reshape", ["w", "s"], ["u"]),
    ]
    graph = graph_of(
        tmp_path,
        [*nodes, node("Add", ["y", "u"], ["z"])],
        {"x": [1, 4, 4]},
        [numbers("s", 1, 16), stored("w", 4, 4)],
    )
    view, relu, add = graph.layers
    assert (view.op, view.storage, relu.storage, graph.constants) == ("view", "x", "y", ())
    assert add.weights == (Tensor("w", (4, 4)),)


def test_activations(tmp_path: Path) -> None:
    nodes = [
        node("Clip", ["x", "zero", "six"], ["a"]),
        node("Clip", ["a", "zero"], ["b"]),
        node("Clip", ["b", "", "six"], ["c"]),
        node("HardSwish", ["c"], ["d"]),
        node("Erf", ["d"], ["e"]),
        node("Softmax", ["e"], ["f"]),
        node("Shrink", ["f"], ["g"]),
    ]
    bounds = [helper.make_tensor(name, 1, [], [value]) for name, value in (("zero", 0.0), ("six", 6.0))]
    graph = graph_of(tmp_path, nodes, {"x": [1, 4]}, bounds)
    assert [layer.op for layer in graph.layers] == [
        "relu6",
        "relu",
        "minimum",
        "hardswish",
        "erf",
        "softmax",
        "shrink",
    ]
    assert graph.layers[-1].operation.flops is None


def test_names_of_unknown_operators_have_no_price() -> None:
    from mnv3prof.capture.onnx.node import Node
    from mnv3prof.capture.onnx.ops import find
    from mnv3prof.capture.onnx.products import PRODUCTS

    shapes = {"x": (1, 4, 8, 8)}
    names = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""} - set(PRODUCTS)
    ops = {name: find(Node(name, name, ("x",), ("x",), {}), shapes, {}).op for name in names}
    unknown = {name for name, op in ops.items() if op not in OPS}
    assert {"DFT", "Det", "GridSample", "LRN", "NonMaxSuppression", "ReduceL1", "RoiAlign", "STFT"} <= unknown
    assert len(unknown) < 120
    assert ops["Mean"] == "mean"
    assert ops["Max"] == "max of 1"


def test_quantized_weights(tmp_path: Path) -> None:
    """Weights behind DequantizeLinear are the convolution's; scales are no parameters."""
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.5])
    scales, zeros = stored("ws", 16), stored("wz", 16, dtype=np.int8)
    weights = [scale, scales, zeros, stored("w", 16, 3, 3, 3, dtype=np.int8), stored("b", 16, dtype=np.int32)]
    weights += [helper.make_tensor("z", TensorProto.INT8, [], [0])]
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["dx"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["dw"], axis=0),
        node("DequantizeLinear", ["b", "ws"], ["db"], axis=0),
        node("Conv", ["dx", "dw", "db"], ["y"]),
    ]
    graph = graph_of(tmp_path, nodes, {"x": [1, 3, 8, 8]}, weights)
    assert graph.layers[-1].weights == (Tensor("w", (16, 3, 3, 3)), Tensor("b", (16,)))
    assert (total(graph), parameters(graph), len(graph.constants)) == (16 * 36 * 27, 16 * 28, 2)
    operators = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearConv", ["q", "s", "z", "w", "ws", "wz", "s", "z", "b"], ["qy"]),
        node("DequantizeLinear", ["qy", "s", "z"], ["y"]),
    ]
    quantized = graph_of(tmp_path, operators, {"x": [1, 3, 8, 8]}, weights)
    assert (total(quantized), parameters(quantized)) == (16 * 36 * 27, 16 * 28)


def test_weights_as_constants_and_in_the_inputs(tmp_path: Path) -> None:
    constant = node("Constant", [], ["w"], value=stored("", 4, 3, 3, 3))
    made = model(
        [constant, node("Identity", ["w"], ["v"]), node("Conv", ["x", "v"], ["y"])],
        {"x": [1, 3, 8, 8]},
        [stored("lost", 9)],
    )
    made.graph.input.append(helper.make_tensor_value_info("lost", TensorProto.FLOAT, [9]))
    path = tmp_path / "old.onnx"
    path.write_bytes(made.SerializeToString())
    graph = read(path)
    assert graph.layers[0].weights == (Tensor("w", (4, 3, 3, 3)),)
    assert (graph.inputs, graph.unused) == ((Tensor("x", (3, 8, 8)),), (Tensor("lost", (9,)),))


def test_folded_weights_count(tmp_path: Path) -> None:
    nodes = [node("Reshape", ["b", "s"], ["c"]), node("Add", ["x", "c"], ["y"])]
    graph = graph_of(tmp_path, nodes, {"x": [1, 4, 4]}, [stored("b", 4), numbers("s", 4, 1)])
    assert graph.layers[0].weights == (Tensor("b", (4,)),)


def test_names(tmp_path: Path) -> None:
    nodes = [
        node("Sigmoid", ["x"], ["a\x1b[2J"]),
        node("Relu", ["a\x1b[2J"], ["b"], "n" * 200),
        node("Sigmoid", ["b"], ["c"], "n" * 201),
        node("Relu", ["c"], ["y" * 300], "/layer1/layer1.0/conv1/Relu_1"),
        node("Sigmoid", ["y" * 300], ["z\n"]),
        node("Relu", ["z\n"], ["x#2"], "x"),
    ]
    graph = graph_of(tmp_path, nodes, {"x": [1, 4]})
    long, path = f"{'n' * 97}...", "/layer1/layer1.0/conv1/Relu_1"
    assert [layer.name for layer in graph.layers] == ["a?[2J", long, f"{long}#2", path, "z ", "x#2"]
    assert [layer.path for layer in graph.layers] == ["", "", "", "layer1.0.conv1", "", ""]
    assert graph.outputs == ("x#2",)


def external(folder: Path, location: str, **place: Any) -> Any:
    made = model([node("Conv", ["x", "w"], ["y"])], {"x": [1, 3, 11, 10]}, [stored("w", 64, 3, 9, 8)])
    tensor = made.graph.initializer[0]
    (folder / "w.data").write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, location, **place)
    tensor.ClearField("raw_data")
    path = folder / "external.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def test_external_data(tmp_path: Path) -> None:
    assert total(read(external(tmp_path, "w.data", offset=0, length=55_296))) == 64 * 9 * 3 * 9 * 8
    (tmp_path / "link.data").symlink_to("w.data")
    (tmp_path / "inner").symlink_to(tmp_path)
    for location in (
        str(tmp_path / "w.data"),
        "../w.data",
        "a/../../w.data",
        "link.data",
        "inner/w.data",
        "C:\\w",
        "..\\w.data",
        "",
    ):
        with pytest.raises(
            InputError, match=r"external\.onnx: tensor 'w' is in .*; expected a file in the model's folder"
        ):
            read(external(tmp_path, location))
    with pytest.raises(InputError, match=r"'no\.data', which is missing"):
        read(external(tmp_path, "no.data"))
    with pytest.raises(InputError, match="cannot be read \\(File name too long\\)"):
        read(external(tmp_path, "x" * 300))
    with pytest.raises(InputError, match="expected 55,296"):
        read(external(tmp_path, "w.data", offset=4))
    with pytest.raises(InputError, match="expected two numbers"):
        read(external(tmp_path, "w.data", offset=-4))


def test_external_sizes_are_read(tmp_path: Path) -> None:
    made = model([node("Reshape", ["x", "s"], ["y"])], {"x": [1, 6]}, [numbers("s", 1, 2, 3)])
    onnx.external_data_helper.set_external_data(made.graph.initializer[0], "s.data", offset=8, length=24)
    (tmp_path / "s.data").write_bytes(bytes(8) + made.graph.initializer[0].raw_data)
    made.graph.initializer[0].ClearField("raw_data")
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    assert read(tmp_path / "m.onnx").layers[0].out_shape == (2, 3)


RELU = node("Relu", ["x"], ["y"])
BRANCH = helper.make_graph(
    [node("Relu", ["x"], ["t"])], "b", [], [helper.make_tensor_value_info("t", 1, None)]
)


@pytest.mark.parametrize(
    ("nodes", "weights", "expected"),
    [
        (
            [node("FusedConv", ["x"], ["y"], "f", domain="com.microsoft")],
            [],
            "node 'f' \\(FusedConv\\) is of domain 'com.microsoft'",
        ),
        (
            [
                node("Less", ["x", "x"], ["c"]),
                node("If", ["c"], ["y"], "branch", then_branch=BRANCH, else_branch=BRANCH),
            ],
            [],
            "node 'branch' \\(If\\) depends on data",
        ),
        (
            [node("AveragePool", ["x"], ["y"], "p", auto_pad="SOME", kernel_shape=[1])],
            [],
            "'p' \\(AveragePool\\) has the auto_pad 'SOME'; expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
        ),
        (
            [node("MatMul", ["x", "x"], ["y"], "m")],
            [],
            "ONNX Runtime refuses it: node 'm' \\(MatMul\\): Incompatible",
        ),
        (
            [node("NonZero", ["x"], ["n"]), node("Cast", ["n"], ["y"], to=1)],
            [],
            "\\(NonZero\\): the size of 'n' depends on data",
        ),
        (
            [
                node("NonZero", ["x"], ["n"], "nz"),
                node("Cast", ["n"], ["f"], to=1),
                node("MatMul", ["f", "f"], ["y"]),
            ],
            [],
            "depends on data",
        ),
        (
            [node("Einsum", ["x", "x"], ["y"], "e", equation="...i,...i->...")],
            [],
            "'e' \\(Einsum\\): '...i,...i->...' has no formula",
        ),
        ([node("Einsum", ["x", "x", "x"], ["y"], "e", equation="ij,ij,ij->i")], [], "has no formula"),
        (
            [node("Relu", ["y"], ["x2"]), node("Relu", ["x2"], ["y"])],
            [],
            "reads 'y', which nothing before it writes",
        ),
        ([node("Conv", ["x", "lost"], ["y"], "c")], [], "'c' \\(Conv\\) reads 'lost'"),
        ([RELU, RELU], [], "'y' is written twice"),
        ([node("Relu", ["x"], ["a"], "n"), node("Relu", ["a"], ["y"], "n")], [], "same node name"),
        ([RELU], [stored("y", 2)], "'y' is written twice"),
        ([node("NoSuchOp", ["x"], ["y"])], [], "ONNX Runtime refuses it"),
        ([node("Conv", ["x", "w"], ["y"])], [stored("w", 4, 3, 3, 3)], "ONNX Runtime refuses it"),
        (
            [node("Reshape", ["x", "t"], ["y"], "r")],
            [numbers("t", 5, 2)],
            "ONNX Runtime refuses it|number of elements",
        ),
        (
            [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])],
            [numbers("s", 2**30, 4)],
            "'c' has 4,294,967,296 elements",
        ),
        (
            [node("Reshape", ["x", "t"], ["r"]), node("Expand", ["r", "s"], ["y"])],
            [numbers("t", 12, 1), numbers("s", 12, 2**50)],
            "tensor 'y' has size",
        ),
        ([node("Add", ["w", "w"], ["y"])], [stored("w", 2)], "no node reads an input"),
        ([], [], "has no node"),
        (
            [node("Relu", ["x"], ["y"], f"n{n}") for n in range(50_001)],
            [],
            "50,001 nodes; expected at most 50,000",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, nodes: Any, weights: Any, expected: str) -> None:
    with pytest.raises(InputError, match=f"made.onnx: .*{expected}") as refused:
        graph_of(tmp_path, nodes, {"x": [3, 4]}, weights, ["y"])
    assert "mnv3prof-" not in str(refused.value)


IMAGE, STEPS = [1, 3, 8, 8], [5, 1, 3]


@pytest.mark.parametrize(
    ("op", "given", "weights", "options", "expected"),
    [
        (
            "Conv",
            IMAGE,
            [(4, 3, 3, 3)],
            {"group": 7},
            "its weight is 4x3x3x3 in 7 groups and its input 1x3x8x8",
        ),
        (
            "Conv",
            IMAGE,
            [(4, 3, 3, 3)],
            {"kernel_shape": [5, 5]},
            "states the kernel 5x5 and its weight has 3x3",
        ),
        ("Conv", IMAGE, [(4, 3, 3, 3), (5,)], {}, "its bias is 5 and its output has 4 channels"),
        ("Conv", IMAGE, [(4, 3, 9, 9)], {}, "its window does not fit its input"),
        ("Conv", IMAGE, [(4, 3, 11, 9)], {}, "has size 1 x 4 x -2 x 0; expected sizes from 0"),
        (
            "ConvTranspose",
            IMAGE,
            [(4, 3, 3, 3)],
            {},
            "its weight is 4x3x3x3 in 1 groups and its input 1x3x8x8",
        ),
        ("ConvTranspose", IMAGE, [(3, 4, 3, 3), (9,)], {}, "its bias is 9 and its output has 4 channels"),
        ("Gemm", [1, 8], [(8, 4), (9,)], {}, "its bias is 9 and its output 1x4"),
        (
            "Einsum",
            [1, 8],
            [(9, 4)],
            {"equation": "ab,bc->ac"},
            "its axis 'b' is 8 in one operand and 9 in another",
        ),
        ("LSTM", STEPS, [(1, 16, 7), (1, 16, 4)], {"hidden_size": 4}, "its weights are 1x16x7 and 1x16x4"),
        (
            "GRU",
            STEPS,
            [(1, 12, 3), (1, 12, 4)],
            {"hidden_size": 4, "direction": "bidirectional"},
            "its weights are",
        ),
    ],
)
def test_products_that_cannot_be(
    tmp_path: Path, op: str, given: Any, weights: Any, options: Any, expected: str
) -> None:
    names = [f"w{n}" for n in range(len(weights))]
    made = [stored(name, *shape) for name, shape in zip(names, weights, strict=True)]
    with pytest.raises(InputError, match=expected):
        graph_of(tmp_path, [node(op, ["x", *names], ["y"], "c", **options)], {"x": given}, made, ["y"])


@pytest.mark.parametrize(
    ("opset", "expected"),
    [(99, "its opset is 99; expected at most 2"), (0, "its opset is 0; expected 1 or more")],
)
def test_opsets_that_are_not_known(tmp_path: Path, opset: int, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        graph_of(tmp_path, [RELU], {"x": [3, 4]}, opset=opset)


def branch(name: str, *nodes: Any, weights: Any = ()) -> Any:
    output = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [output], list(weights))


def test_a_branch_that_is_always_taken(tmp_path: Path) -> None:
    """Its tensors are called apart from others of their names; the other branch is not read."""
    inner = branch("inner", node("Conv", ["a", "w"], ["b"]), weights=[stored("w", 4, 3, 1, 1)])
    unknown = branch("unknown", node("NoSuchOp", ["a"], ["b"]))
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Constant", [], ["yes"], value=stored("", dtype=np.bool_)),
        node(
            "If",
            ["yes"],
            ["z"],
            then_branch=branch(
                "outer",
                node("Conv", ["a", "w"], ["t"]),
                node("If", ["no"], ["t2"], then_branch=unknown, else_branch=inner),
            ),
            else_branch=unknown,
        ),
        node("Relu", ["z"], ["y"]),
    ]
    no = numpy_helper.from_array(np.array([False]), "no")
    graph = graph_of(tmp_path, nodes, {"x": IMAGE}, [no, stored("w", 9, 3, 1, 1)], ["y"])
    macs = {"a": 0, "t": 9 * 3 * 64, "z": 4 * 3 * 64, "y": 0}
    assert {layer.name: layer.macs for layer in graph.layers} == macs


def test_functions_of_a_file_are_inlined(tmp_path: Path) -> None:
    def function(name: str, *nodes: Any) -> Any:
        versions = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        return helper.make_function("own", name, ["a", "w"], ["b"], nodes, versions)

    def read_with(*functions: Any) -> Graph:
        call = node("Outer", ["x", "w"], ["y"], domain="own")
        made = model([call], {"x": IMAGE}, [stored("w", 4, 3, 3, 3)])
        made.functions.extend(functions)
        made.opset_import.append(helper.make_opsetid("own", 1))
        (tmp_path / "functions.onnx").write_bytes(made.SerializeToString())
        return read(tmp_path / "functions.onnx")

    inner = function("Inner", node("Conv", ["a", "w"], ["b"]))
    outer = function("Outer", node("Inner", ["a", "w"], ["c"], domain="own"), node("Relu", ["c"], ["b"]))
    graph = read_with(inner, outer)
    assert [layer.op for layer in graph.layers] == ["conv", "relu"]
    assert total(graph) == 36 * 4 * 27
    with pytest.raises(InputError, match="its function 'Outer' calls itself, or is too deep"):
        read_with(function("Outer", node("Outer", ["a", "w"], ["b"], domain="own")))
    many = [function(f"F{n}", *[node(f"F{n + 1}", ["a", "w"], ["b"], domain="own")] * 10) for n in range(9)]
    last = function("F9", node("Conv", ["a", "w"], ["b"]))
    with pytest.raises(InputError, match="more than 50,000 nodes"):
        read_with(*many, last, function("Outer", node("F0", ["a", "w"], ["b"], domain="own")))


@pytest.mark.parametrize(
    ("dims", "expected"),
    [([2**40], "0 to 2"), ([2**30] * 3, "2\\*\\*50"), ([-1], "0 to 2"), ([2**20], "bytes; expected")],
)
def test_sizes_of_weights(tmp_path: Path, dims: Any, expected: str) -> None:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=b"1234")
    with pytest.raises(InputError, match=f"tensor 'w' has .*{expected}"):
        graph_of(tmp_path, [node("Add", ["x", "w"], ["y"])], {"x": [1, 4]}, [weight])


@pytest.mark.parametrize("data", [b"", b"\x00", b"GIF89a", b"name = 'x'\n", b"\xff" * 200, b"\x08\x07"])
def test_other_files(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"^other\.onnx: it is .*no ONNX file"):
        read(path)
    with pytest.raises(InputError, match=r"^[^:]*: is a directory"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"^[^:]*missing\.onnx: cannot be read"):
        read(tmp_path / "missing.onnx")


def test_damaged_files(tmp_path: Path) -> None:
    whole = exported(tmp_path, mnv3prof.build(mnv3prof.read_table("small")), 32).read_bytes()
    weights = model(
        [
            node("Conv", ["x", "w"], ["c"], "conv", pads=[1] * 4),
            node("LSTM", ["s", "lw", "lr"], ["", "h"], hidden_size=4),
            node("Reshape", ["c", "to"], ["y"]),
        ],
        {"x": [1, 3, 8, 8], "s": [5, 1, 3]},
        [stored("w", 4, 3, 3, 3), stored("lw", 1, 16, 3), stored("lr", 1, 16, 4), numbers("to", 1, -1)],
        ["y", "h"],
    ).SerializeToString()
    path, chance, read_well = tmp_path / "damaged.onnx", random.Random(0), 0
    for case in range(150):
        data = damaged_bytes(whole[:100_000] if case % 10 == 0 else weights, chance)
        path.write_bytes(data[: chance.randrange(len(data) + 1)] if case % 4 == 0 else data)
        try:
            graph = read(path)
        except InputError as error:
            assert str(error).startswith(("damaged.onnx: ", str(path))), error
        else:
            read_well += 1
            assert all(layer.macs >= 0 for layer in graph.layers)
    assert 0 < read_well < 150


def test_reads_without_torch(tmp_path: Path) -> None:
    path = saved(tmp_path, [RELU], {"x": [1, 4]})
    code = f"import sys; from pathlib import Path; from mnv3prof.capture.onnx import read_onnx; read_onnx(Path({str(path)!r}), 'f', 'n'); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_packages_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    path = saved(tmp_path, [RELU], {"x": [1, 4]})
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        InputError, match=rf"{package} is not installed; pip install 'mnv3prof\[onnxruntime\]'"
    ):
        read(path)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for nodes in ([RELU], [node("NoSuchOp", ["x"], ["y"])], [node("Reshape", ["x", "s"], ["y"])]):
        try:
            graph_of(tmp_path, nodes, {"x": [1, 4]}, [numbers("s", 7)])
        except InputError:
            continue
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------- what is timed


def test_blocks_of_a_file_compose_and_are_timed(tmp_path: Path) -> None:
    """Each block with its input; together they are the network, bit for bit."""
    file = exported(tmp_path, mnv3prof.build(mnv3prof.read_table("small")).eval(), 64)
    subject = open_source(str(file)).subject
    parts = FileParts(subject, 1)
    value = parts.part("net").given[0].numpy()
    for block in subject.graph.blocks:
        part = parts.part(block.name)
        (expected,) = run(onnx.load(str(part.file)), {"x": part.given[0].numpy()}).values()
        assert np.array_equal(expected, part.expected[0].numpy())
        (value,) = run(onnx.load(str(part.file)), {"x": value}).values()
    assert np.array_equal(value, parts.part("net").expected[0].numpy())


def test_a_file_is_timed_by_the_runtimes_that_read_it(tmp_path: Path) -> None:
    file = exported(tmp_path, mnv3prof.build(mnv3prof.read_table("small")).eval(), 32)
    subject = open_source(str(file)).subject
    backends = ("onnxruntime", "openvino", "mnn", "ncnn", "cpu", "litert")
    targets = tuple(Target(backend=name) for name in backends)
    part = subject.graph.block_names[3]
    plan = BenchPlan({"": subject}, (PartKey("", part), PartKey("", "net")), targets, tmp_path / "cache", 1)
    statuses = {(each.target.backend, each.part): each.status for each in measure(plan)}
    assert {statuses[name, each] for name in backends[:4] for each in (part, "net")} == {"ok"}
    assert {statuses[name, each] for name in backends[4:] for each in (part, "net")} == {"unsupported"}


def test_a_file_that_has_changed_is_not_timed(tmp_path: Path) -> None:
    file = exported(tmp_path, torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), 16)
    subject = open_source(str(file)).subject
    file.write_bytes(file.read_bytes() + b"\x00")
    with pytest.raises(Unsupported, match="has changed since it was counted"):
        FileParts(subject, 1)


def test_an_export_of_other_weights_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    """Files of one structure share the entry that is timed, and not the one that is exported."""
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        file = exported(tmp_path, torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), 16)
        found.append(open_source(str(file)).subject)
    kind = FileKind("openvino", "fp32", 1)
    assert len({key(subject, "net", kind, exact=True) for subject in found}) == 2
    assert len({key(subject, "net", kind) for subject in found}) == 1
