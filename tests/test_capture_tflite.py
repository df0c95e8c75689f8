"""TFLite files: their counts against the tables' and published figures, and what is refused."""

import random
import struct
import subprocess
import sys
import time
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision_oracle
from fuzzing import damaged_bytes

import mnv3prof
from mnv3prof.capture.tflite import file, read_tflite
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.graph import Graph, Tensor
from mnv3prof.graph.ops import OPS

flatbuffers = pytest.importorskip("flatbuffers")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
CODES = {name: code for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int8": 9}


def options(kind: str, **values: Any) -> Any:
    made = getattr(schema, f"{kind}OptionsT")()
    for name, value in values.items():
        assert hasattr(made, name)
        setattr(made, name, value)
    return made


def window(kind: str = "Conv2D", stride: int = 1, padding: str = "VALID", **values: Any) -> Any:
    return options(kind, padding=("SAME", "VALID").index(padding), strideH=stride, strideW=stride, **values)


def tensor(name: str, given: Any, buffers: Any) -> Any:
    """given: a shape, of which -1 is a size that is not fixed, or an array, which is stored."""
    made = schema.TensorT()
    made.name, made.buffer = name.encode(), 0
    if isinstance(given, np.ndarray):
        buffers.append(schema.BufferT())
        buffers[-1].data = np.frombuffer(given.tobytes(), np.uint8)
        made.buffer, made.type, made.shape = len(buffers) - 1, TYPES[str(given.dtype)], list(given.shape)
        if given.dtype == np.int8:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = [0.5]
    else:
        made.shape = [max(1, size) for size in given]
        made.shapeSignature = list(given) if -1 in given else None
    return made


def made(operators: Any, tensors: Any, inputs: Any = ("x",), outputs: Any = ("y",)) -> bytes:
    """operators: (name, inputs, outputs, options), with None for an input that is left out."""
    graph, model = schema.SubGraphT(), schema.ModelT()
    buffers, places = [schema.BufferT()], {name: n for n, name in enumerate(tensors)}
    graph.tensors = [tensor(name, given, buffers) for name, given in tensors.items()]
    graph.inputs, graph.outputs = ([places[name] for name in names] for names in (inputs, outputs))
    model.operatorCodes, graph.operators = [], []
    for n, (name, read, written, *rest) in enumerate(operators):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = CODES.get(name, CODES["CUSTOM"])
        code.deprecatedBuiltinCode = min(127, code.builtinCode)
        code.customCode = None if name in CODES else name.encode()
        model.operatorCodes.append(code)
        operator.opcodeIndex = n
        operator.inputs = [-1 if each is None else places[each] for each in read]
        operator.outputs = [places[each] for each in written]
        if rest:
            kind = type(rest[0]).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = rest[0]
        graph.operators.append(operator)
    model.version, model.subgraphs, model.buffers = 3, [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def stored(*shape: int, dtype: Any = np.float32) -> Any:
    return np.ones(shape, dtype)


def read(folder: Path, data: bytes) -> Graph:
    path = folder / "net.tflite"
    path.write_bytes(data)
    return read_tflite(path, path.name, "net")


def total(graph: Graph) -> int:
    return sum(layer.macs for layer in graph.layers)


CONV = [("CONV_2D", ["x", "w", "b"], ["y"], window(padding="SAME", stride=2, fusedActivationFunction=3))]
CONV_TENSORS = {"x": (1, 8, 8, 3), "w": stored(16, 3, 3, 3), "b": stored(16), "y": (1, 4, 4, 16)}


def converted(module: Any, folder: Path, *inputs: Any) -> bytes:
    litert_torch = pytest.importorskip("litert_torch")
    path = folder / "converted.tflite"
    litert_torch.convert(module.eval(), inputs).export(str(path))
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_equals_the_table(tmp_path: Path) -> None:
    """The converter folds batch norm and adds pads; products and blocks are the table's."""
    table = mnv3prof.read_table("small")
    expected = mnv3prof.expand(table, 64)
    data = converted(mnv3prof.build(table), tmp_path, torch.zeros(1, 3, 64, 64))
    graph = read(tmp_path, data)
    wanted, found = (
        [layer for layer in each.layers if layer.operation.weighted] for each in (expected, graph)
    )
    assert [(each.op, each.out_shape, each.macs) for each in found] == [
        (each.op, each.out_shape, each.macs) for each in wanted
    ]
    assert [each.weights[0].shape for each in found] == [each.weights[0].shape for each in wanted]
    assert [each.widths for each in found] == [each.widths for each in wanted]
    assert [sum(layer.macs for layer in block.layers) for block in graph.blocks] == [
        sum(layer.macs for layer in block.layers) for block in expected.blocks
    ]
    assert graph.block_names == (*(f"features.{n}" for n in range(13)), "classifier")
    assert (graph.inputs[0].shape, total(graph)) == ((3, 64, 64), 6_516_480)
    assert all(layer.op in OPS for layer in graph.layers)
    assert {layer.op for layer in graph.layers if layer.inputs == ("serving_default_args_0",)} == {"copy"}
    _damage(tmp_path, data, 200)


@pytest.mark.filterwarnings("ignore")
def test_macs_of_a_transformer(tmp_path: Path) -> None:
    assert torchvision_oracle.mobilenet_v2  # its operators are declared, which timm needs
    timm = pytest.importorskip("timm")
    net = timm.create_model("vit_tiny_patch16_224")
    graph = read(tmp_path, converted(net, tmp_path, torch.zeros(1, 3, 224, 224)))
    assert total(graph) == 1_253_683_200
    assert graph.block_names == ("patch_embed", *(f"blocks.{n}" for n in range(12)), "head")
    assert not mnv3prof.total(mnv3prof.count(graph)).unpriced


def _damage(folder: Path, data: bytes, cases: int) -> None:
    """Whatever the file, it is read or refused at once."""
    header = len(data) // 100
    refused = 0
    for n in range(cases):
        chance = random.Random(n)
        bad = bytearray(data)
        if n % 4 == 0:
            bad = bad[: chance.randrange(len(bad))]
        elif n % 4 == 1:
            bad = bytearray(damaged_bytes(data, chance))
        else:
            for _ in range(chance.choice((1, 3, 30))):
                # Most of a file is weights; offsets and sizes are at both ends.
                at = chance.choice((chance.randrange(header), len(bad) - 1 - chance.randrange(60_000)))
                bad[max(0, at)] = chance.randrange(256)
        start = time.process_time()
        try:
            graph = read(folder, bytes(bad))
            assert total(graph) >= 0
        except InputError as error:
            refused += 1
            assert str(error).startswith("net.tflite: ")
            assert "\n" not in str(error)
        assert time.process_time() - start < 10
    assert refused > cases // 4


def test_damaged_files(tmp_path: Path) -> None:
    data = made(CONV, CONV_TENSORS)
    for n in range(1_000):
        chance = random.Random(n)
        bad = bytearray(data)
        for _ in range(chance.choice((1, 2, 5))):
            at = chance.randrange(len(bad) - 4)
            bad[at : at + 4] = struct.pack(
                "<I", chance.choice((0, 1, 2**31 - 1, 2**32 - 1, chance.randrange(2**32)))
            )
        try:
            read(tmp_path, bytes(bad[: chance.choice((len(bad), len(bad), chance.randrange(len(bad))))]))
        except InputError as error:
            assert str(error).startswith("net.tflite: ")


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 64, b"PK\3\4" * 20, b"\x18\0\0\0TFL3", b"\0\0\0\0TFL3" + b"\xff" * 99]
)
def test_other_files(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match=r"^net\.tflite: is damaged or no TFLite file"):
        read(tmp_path, data)


def test_the_operators_are_those_of_the_schema() -> None:
    assert vars(file)["_OPERATORS"] == tuple(sorted(CODES, key=lambda name: CODES[name]))


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(made(CONV, CONV_TENSORS))
    code = (
        "import sys, pathlib; from mnv3prof.capture.tflite import file, read_tflite; "
        f"print(read_tflite(pathlib.Path({str(tmp_path / 'net.tflite')!r}), 'f', 'n').layers[0].macs, "
        "*{'torch', 'numpy', 'flatbuffers', 'ai_edge_litert'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(16 * 16 * 27)]


def test_a_convolution_and_its_activation(tmp_path: Path) -> None:
    graph = read(tmp_path, made(CONV, CONV_TENSORS))
    conv, relu6 = graph.layers
    assert (graph.inputs, graph.outputs) == ((Tensor("x", (3, 8, 8)),), ("y.relu6",))
    assert (conv.name, conv.op, conv.out_shape, conv.macs) == ("y", "conv", (16, 4, 4), 16 * 16 * 27)
    assert conv.geometry is not None
    assert (conv.geometry.padding, conv.geometry.stride) == (((0, 1), (0, 1)), (2, 2))
    assert conv.weights == (Tensor("w", (16, 3, 3, 3)), Tensor("b", (16,)))
    assert (relu6.op, relu6.inputs, relu6.storage, relu6.out_shape) == ("relu6", ("y",), "y", (16, 4, 4))
    assert graph.fused == {"y.relu6": "y"}


@pytest.mark.parametrize(
    ("op", "inputs", "weights", "out", "given", "expected"),
    [
        (
            "CONV_2D",
            {"x": (1, 8, 8, 4)},
            [(6, 3, 3, 2)],
            (1, 6, 6, 6),
            window(),
            ("conv", 36 * 6 * 18, (6, 2, 3, 3)),
        ),
        (
            "CONV_2D",
            {"x": (1, 8, 8, 4)},
            [(6, 1, 1, 4)],
            (1, 8, 8, 6),
            window(padding="SAME"),
            ("pointwise", 64 * 24, (6, 4, 1, 1)),
        ),
        (
            "DEPTHWISE_CONV_2D",
            {"x": (1, 8, 8, 4)},
            [(1, 3, 3, 4)],
            (1, 4, 4, 4),
            window("DepthwiseConv2D", 2, "SAME"),
            ("depthwise", 16 * 36, (4, 1, 3, 3)),
        ),
        (
            "DEPTHWISE_CONV_2D",
            {"x": (1, 8, 8, 4)},
            [(1, 3, 3, 8), (8,)],
            (1, 4, 4, 8),
            window("DepthwiseConv2D", dilationHFactor=2, dilationWFactor=2),
            ("depthwise", 16 * 72, (8, 1, 3, 3)),
        ),
        (
            "CONV_3D",
            {"x": (1, 5, 8, 8, 4)},
            [(2, 3, 3, 4, 6)],
            (1, 4, 6, 6, 6),
            window("Conv3D", strideD=1),
            ("conv", 4 * 36 * 6 * 72, (6, 4, 2, 3, 3)),
        ),
        (
            "FULLY_CONNECTED",
            {"x": (1, 9, 5)},
            [(7, 5), (7,)],
            (1, 9, 7),
            options("FullyConnected"),
            ("linear", 9 * 35, (7, 5)),
        ),
        (
            "FULLY_CONNECTED",
            {"x": (1, 3, 3, 2)},
            [(7, 18)],
            (1, 7),
            options("FullyConnected"),
            ("linear", 7 * 18, (7, 18)),
        ),
        (
            "BATCH_MATMUL",
            {"x": (1, 2, 9, 5), "z": (1, 2, 5, 7)},
            [],
            (1, 2, 9, 7),
            options("BatchMatMul"),
            ("matmul", 18 * 35, None),
        ),
        (
            "BATCH_MATMUL",
            {"x": (1, 5, 9), "z": (1, 7, 5)},
            [],
            (1, 9, 7),
            options("BatchMatMul", adjX=True, adjY=True),
            ("matmul", 9 * 35, None),
        ),
        (
            "BATCH_MATMUL",
            {"x": (1, 9, 5)},
            [(5, 7)],
            (1, 9, 7),
            options("BatchMatMul"),
            ("linear", 9 * 35, (7, 5)),
        ),
    ],
)
def test_macs_of_products(
    tmp_path: Path, op: str, inputs: Any, weights: Any, out: Any, given: Any, expected: Any
) -> None:
    names = [f"w{n}" for n in range(len(weights))]
    tensors = {
        **inputs,
        **{name: stored(*shape) for name, shape in zip(names, weights, strict=True)},
        "y": out,
    }
    graph = read(tmp_path, made([(op, [*inputs, *names], ["y"], given)], tensors, list(inputs)))
    (layer,) = graph.layers
    kernel = layer.weights[0].shape if layer.weights else None
    assert (layer.op, layer.macs, kernel) == expected
    assert [each.name for each in layer.weights] == names
    assert layer.elements == prod(out)


def test_transposed_convolutions(tmp_path: Path) -> None:
    """Multiply-accumulates are the input's elements × the products of each."""
    tensors = {
        "s": stored(4, dtype=np.int32),
        "w": stored(3, 2, 2, 4),
        "x": (1, 8, 8, 4),
        "y": (1, 16, 16, 3),
    }
    nodes = [("TRANSPOSE_CONV", ["s", "w", "x"], ["y"], window("TransposeConv", 2, "SAME"))]
    (layer,) = read(tmp_path, made(nodes, tensors)).layers
    assert (layer.op, layer.macs, layer.out_shape) == ("conv_transpose", 8 * 8 * 4 * 12, (3, 16, 16))
    assert layer.weights == (Tensor("w", (4, 3, 2, 2)),)
    module = torch.nn.ConvTranspose2d(4, 3, 2, 2, bias=False)
    assert layer.weights[0].shape == tuple(module.weight.shape)


def test_recurrent_layers(tmp_path: Path) -> None:
    """4 gates × (6 inputs + 8 states) × 8 in each of 5 steps."""
    kernels = {**{f"i{n}": stored(8, 6) for n in range(4)}, **{f"r{n}": stored(8, 8) for n in range(4)}}
    biases = {f"b{n}": stored(8) for n in range(4)}
    operands = ["x", *kernels, None, None, None, *biases]
    tensors = {"x": (1, 5, 6), **kernels, **biases, "y": (1, 5, 8)}
    nodes = [("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, ["y"])]
    (layer,) = read(tmp_path, made(nodes, tensors)).layers
    assert (layer.op, layer.macs) == ("lstm_variant", 5 * 4 * 14 * 8)
    assert sum(prod(each.shape) for each in layer.weights) == 4 * (14 * 8 + 8)


def test_quantized_weights(tmp_path: Path) -> None:
    """Weights in half precision are those of the convolution behind DEQUANTIZE; int8 ones count as well."""
    nodes = [("DEQUANTIZE", ["h"], ["w"]), ("CONV_2D", ["x", "w", "b"], ["y"], window())]
    tensors = {
        "x": (1, 8, 8, 3),
        "h": stored(16, 3, 3, 3, dtype=np.float16),
        "w": (16, 3, 3, 3),
        "b": stored(16),
    }
    graph = read(tmp_path, made(nodes, {**tensors, "y": (1, 6, 6, 16)}))
    (layer,) = graph.layers
    assert (layer.weights, layer.macs) == ((Tensor("h", (16, 3, 3, 3)), Tensor("b", (16,))), 16 * 36 * 27)
    assert [each.op for each in graph.constants] == ["dequantize"]
    nodes = [
        ("QUANTIZE", ["x"], ["q"]),
        ("CONV_2D", ["q", "w", "b"], ["c"], window()),
        ("ADD", ["c", "p"], ["y"], options("Add")),
    ]
    numbers = {
        "w": stored(16, 3, 3, 3, dtype=np.int8),
        "b": stored(16, dtype=np.int32),
        "p": stored(1, 6, 6, 16, dtype=np.int8),
    }
    graph = read(
        tmp_path,
        made(
            nodes, {"x": (1, 8, 8, 3), "q": (1, 8, 8, 3), **numbers, "c": (1, 6, 6, 16), "y": (1, 6, 6, 16)}
        ),
    )
    assert [layer.op for layer in graph.layers] == ["quantize", "conv", "add"]
    weights = [tensor for layer in graph.layers for tensor in layer.weights]
    assert [each.name for each in weights] == ["w", "b", "p"]
    assert total(graph) == 16 * 36 * 27


def test_settings_are_no_parameters(tmp_path: Path) -> None:
    nodes = [
        ("MEAN", ["x", "axes"], ["m"]),
        ("MUL", ["m", "scale"], ["n"], options("Mul")),
        ("MUL", ["n", "gamma"], ["y"], options("Mul")),
    ]
    tensors = {
        "x": (1, 8, 8, 3),
        "axes": stored(2, dtype=np.int32),
        "m": (1, 3),
        "scale": np.float32(2) * stored(),
        "gamma": stored(3),
    }
    tensors["scale"] = np.array(2, np.float32)
    graph = read(tmp_path, made(nodes, {**tensors, "n": (1, 3), "y": (1, 3)}))
    assert [layer.op for layer in graph.layers] == ["avg_pool", "mul", "mul"]
    assert [layer.weights for layer in graph.layers] == [(), (), (Tensor("gamma", (3,)),)]


def test_constants_are_in_no_total(tmp_path: Path) -> None:
    nodes = [
        ("FULLY_CONNECTED", ["v", "w", None], ["c"], options("FullyConnected")),
        ("ADD", ["x", "c"], ["y"], options("Add", fusedActivationFunction=1)),
    ]
    tensors = {"x": (1, 7), "v": stored(1, 5), "w": stored(7, 5), "c": (1, 7), "y": (1, 7)}
    graph = read(tmp_path, made(nodes, tensors))
    assert [layer.macs for layer in graph.constants] == [35]
    assert [(layer.op, layer.macs) for layer in graph.layers] == [("add", 0), ("relu", 0)]
    assert [each.name for each in graph.layers[0].weights] == ["w", "v"]


def test_layouts(tmp_path: Path) -> None:
    """Images have channels first, also those before a convolution; scores of attention stay as they are."""
    nodes = [
        ("RELU", ["x"], ["a"]),
        ("AVERAGE_POOL_2D", ["a"], ["b"], window("Pool2D", 2, filterHeight=2, filterWidth=2)),
        ("RESHAPE", ["b", "s"], ["c"]),
        ("SOFTMAX", ["c"], ["y"]),
    ]
    tensors = {
        "x": (1, 8, 6, 5),
        "a": (1, 8, 6, 5),
        "b": (1, 4, 3, 5),
        "s": stored(4, dtype=np.int32),
        "c": (1, 2, 6, 5),
        "y": (1, 2, 6, 5),
    }
    graph = read(tmp_path, made(nodes, tensors))
    assert [layer.out_shape for layer in graph.layers] == [(5, 8, 6), (5, 4, 3), (2, 6, 5), (2, 6, 5)]
    assert [layer.storage for layer in graph.layers] == ["a", "b", "b", "y"]
    pool = graph.layers[1].geometry
    assert pool is not None
    assert (graph.inputs[0].shape, pool.kernel, pool.stride) == ((5, 8, 6), (2, 2), (2, 2))


def test_one_layer_per_output(tmp_path: Path) -> None:
    nodes = [
        ("SPLIT", ["axis", "x"], ["a", "b", "unread"]),
        ("SQUARED_DIFFERENCE", ["a", "b"], ["d"]),
        ("TOPK_V2", ["d", "k"], ["y", "places"]),
        ("my_op", ["y"], ["z"]),
        ("WHERE", ["z"], ["w"]),
    ]
    shapes = {
        "x": (1, 9),
        **dict.fromkeys(("a", "b", "unread", "d"), (1, 3)),
        **dict.fromkeys(("y", "z", "w", "places"), (1, 2)),
    }
    tensors = {"axis": np.array(1, np.int32), "k": np.array(2, np.int32), **shapes}
    graph = read(tmp_path, made(nodes, tensors, outputs=("w", "places")))
    assert [(layer.name, layer.op, layer.inputs) for layer in graph.layers] == [
        ("a", "gather", ("x",)),
        ("b", "gather", ("x",)),
        ("d", "sub", ("a", "b")),
        ("d.pow", "pow", ("d",)),
        ("y", "sort", ("d.pow",)),
        ("places", "gather", ("y",)),
        ("z", "custom my_op", ("y",)),
        ("w", "tflite where", ("z",)),
    ]
    assert mnv3prof.total(mnv3prof.count(graph)).unpriced == ("z", "w")


def test_names_are_printable_short_and_unique(tmp_path: Path) -> None:
    long, ugly = "a" * 5_000, "\x1b[31m\n"
    nodes = [("RELU", ["x"], [long]), ("RELU", [long], [ugly]), ("RELU", [ugly], [f"{long}b"])]
    tensors = dict.fromkeys(("x", long, ugly, f"{long}b"), (1, 4))
    graph = read(tmp_path, made(nodes, tensors, outputs=(f"{long}b",)))
    names = [layer.name for layer in graph.layers]
    assert len(set(names)) == 3
    assert all(name.isprintable() and len(name) <= 160 for name in names)


def test_a_batch_that_is_not_fixed_is_1(tmp_path: Path) -> None:
    graph = read(tmp_path, made(CONV, {**CONV_TENSORS, "x": (-1, 8, 8, 3), "y": (-1, 4, 4, 16)}))
    assert total(graph) == 16 * 16 * 27


def test_what_is_refused(tmp_path: Path) -> None:
    def refused(message: str, nodes: Any, tensors: Any, **ends: Any) -> None:
        with pytest.raises(InputError, match=rf"^net\.tflite: .*{message}"):
            read(tmp_path, made(nodes, tensors, **ends))

    for op in ("IF", "WHILE", "CALL_ONCE"):
        refused(rf"'y' \({op}\) runs another subgraph", [(op, ["x"], ["y"])], {"x": (1, 4), "y": (1, 4)})
    refused("'x' has no fixed size", CONV, {**CONV_TENSORS, "x": (1, -1, -1, 3)})
    refused(r"'y' \(CONV_2D\) has no fixed size", CONV, {**CONV_TENSORS, "y": (1, -1, 4, 16)})
    refused("a batch of 2", CONV, {**CONV_TENSORS, "x": (2, 8, 8, 3), "y": (2, 4, 4, 16)})
    for name, shape in (("x", (1, 9, 8, 3)), ("x", (1, 8, 8, 4)), ("y", (1, 4, 4, 15)), ("y", (1, 5, 4, 16))):
        refused("do not fit", CONV, {**CONV_TENSORS, name: shape})
    refused("do not fit", [("RESHAPE", ["x"], ["y"])], {"x": (1, 4, 4), "y": (1, 4)})
    refused(
        "'z', which nothing before it writes", [("ADD", ["x", "z"], ["y"])], {"x": (4,), "z": (4,), "y": (4,)}
    )
    refused("'y', which has a value already", [("RELU", ["x"], ["y"])] * 2, {"x": (4,), "y": (4,)})
    refused(
        "no operator writes the output 'z'",
        [("RELU", ["x"], ["y"])],
        {"x": (4,), "y": (4,), "z": (4,)},
        outputs=("z",),
    )
    refused("no operator reads an input", [("RELU", ["z"], ["y"])], {"x": (4,), "z": stored(4), "y": (4,)})
    with pytest.raises(InputError, match="20,001 operators; expected at most 20,000"):
        read(tmp_path, made([("RELU", ["x"], ["y"])] * 20_001, {"x": (4,), "y": (4,)}))


def test_large_files_are_read_at_once(tmp_path: Path) -> None:
    names = [f"t{n}" for n in range(5_001)]
    nodes = [("ADD", [a, a], [b], options("Add")) for a, b in pairwise(names)]
    data = made(nodes, dict.fromkeys(names, (1, 4, 4, 3)), (names[0],), (names[-1],))
    start = time.perf_counter()
    assert len(read(tmp_path, data).layers) == 5_000
    assert time.perf_counter() - start < 5
