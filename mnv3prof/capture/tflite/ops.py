"""TFLite's operators: their operation in graph.ops, and the MACs of products.

An operator is a product with a formula, or in the list of operators without multiply-accumulates, or
unknown: then it has no price.
"""

from collections.abc import Callable
from math import prod
from typing import Final, NamedTuple

from ...graph.errors import InputError
from ...graph.graph import Geometry, Shape
from ...graph.ops import OPS, convolution
from .file import Operator

ACTIVATIONS: Final = {1: "relu", 2: "hardtanh", 3: "relu6", 4: "tanh", 5: "sign"}
"""Activations by their number in TFLite."""

_SAME: Final = 0
"""TFLite's number of the padding with which the output has the input's size, divided by the stride."""


class Node(NamedTuple):
    """An operator with its tensors.

    title: as a message has it. shapes: of the operands, with the batch; None for one that is left out.
    stored: for each, whether it is known before the network runs.
    """

    title: str
    operator: Operator
    shapes: tuple[Shape | None, ...]
    stored: tuple[bool, ...]
    outputs: tuple[Shape, ...]

    def shape(self, place: int) -> Shape:
        """Return the shape of an operand. Raises InputError if it is left out."""
        shape = self.shapes[place] if place < len(self.shapes) else None
        if shape is None:
            raise InputError(f"{self.title}: operand {place} is missing; expected a TFLite operator")
        return shape

    def require(self, fits: object) -> None:
        """Raise InputError unless the sizes fit."""
        if not fits:
            sizes = ", ".join(
                "x".join(map(str, each)) for each in (*filter(None, self.shapes[:4]), self.outputs[0])
            )
            raise InputError(f"{self.title}: its sizes {sizes} do not fit; expected fixed sizes")

    @property
    def activation(self) -> int:
        """The number of the activation within the operator, 0 without one."""
        field = _ACTIVATION.get(self.operator.op)
        return 0 if field is None else self.operator.option(field, "b")


class Found(NamedTuple):
    """The operation of an operator, as a Layer has it.

    weights: places of the operands that can be weights, in the order of Layer.weights; None: all that are
    learned. kernel: shape of the first of them in PyTorch's order, () if it is as in the file. then:
    operations that follow within the operator.
    """

    op: str
    geometry: Geometry | None = None
    contraction: int = 0
    known_macs: int | None = None
    weights: tuple[int, ...] | None = None
    kernel: Shape = ()
    then: tuple[str, ...] = ()


_CALLED: Final = {
    "avg_pool": "MEAN",
    "sum": "SUM",
    "max": "REDUCE_MAX",
    "min": "REDUCE_MIN",
    "prod": "REDUCE_PROD",
    "all": "REDUCE_ALL",
    "any": "REDUCE_ANY",
    "argmax": "ARG_MAX",
    "argmin": "ARG_MIN",
    "concat": "CONCATENATION PACK",
    "sigmoid": "LOGISTIC",
    "hardswish": "HARD_SWISH",
    "hardtanh": "RELU_N1_TO_1 RELU_0_TO_1",
    "pow": "POW SQUARE",
    "div": "DIV FLOOR_DIV",
    "mod": "FLOOR_MOD",
    "compare": "EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL",
    "logical": "LOGICAL_AND LOGICAL_OR LOGICAL_NOT BITWISE_XOR",
    "where": "SELECT SELECT_V2",
    "quantize": "QUANTIZE",
    "dequantize": "DEQUANTIZE",
    "view": "RESHAPE SQUEEZE EXPAND_DIMS",
    "copy": "TRANSPOSE BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND MIRROR_PAD",
    "pad": "PAD PADV2",
    "gather": "GATHER GATHER_ND SLICE STRIDED_SLICE SPLIT SPLIT_V UNPACK SCATTER_ND DYNAMIC_UPDATE_SLICE",
    "repeat": "TILE BROADCAST_TO",
    "flip": "REVERSE_V2 REVERSE_SEQUENCE",
    "sort": "TOPK_V2",
    "fill": "FILL ZEROS_LIKE SHAPE RANK ONE_HOT",
    "embedding": "EMBEDDING_LOOKUP",
    "pixel_shuffle": "DEPTH_TO_SPACE SPACE_TO_DEPTH",
    "upsample_nearest": "RESIZE_NEAREST_NEIGHBOR",
    "upsample_bilinear": "RESIZE_BILINEAR",
}
_OWN: Final = (
    "ADD SUB MUL NEG ABS SQRT RSQRT EXP LOG SIN COS FLOOR CEIL ROUND SIGN MAXIMUM MINIMUM CUMSUM ATAN2 "
    "RELU RELU6 TANH ELU PRELU LEAKY_RELU SOFTMAX LOG_SOFTMAX CAST RANGE"
)
_NAMES: Final = {
    **{name: op for op, names in _CALLED.items() for name in names.split()},
    **{name: name.lower() for name in _OWN.split()},
}
"""Operations without multiply-accumulates, by TFLite's name."""
_ACTIVATION: Final = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "FULLY_CONNECTED", "L2_NORMALIZATION"), 0),
    "CONCATENATION": 1,
    **dict.fromkeys(("CONV_2D", "TRANSPOSE_CONV"), 3),
    **dict.fromkeys(("DEPTHWISE_CONV_2D", "CONV_3D", "CONV_3D_TRANSPOSE"), 4),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), 5),
}
"""The option that holds the activation, by operator."""
KEEPS_NO_LAYOUT: Final = frozenset(
    (
        "RESHAPE",
        "TRANSPOSE",
        "SQUEEZE",
        "EXPAND_DIMS",
        "BATCH_MATMUL",
        "PACK",
        "UNPACK",
        "GATHER",
        "GATHER_ND",
    )
)
"""Operators after which the last axis need not be what it was."""
SAME_ELEMENTS: Final = ("RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE", "CAST")


def find(node: Node) -> Found:
    """Return the operation of an operator. Raises InputError if its sizes do not fit each other."""
    name = node.operator.op
    if rule := RULES.get(name):
        return rule(node)
    if name in SAME_ELEMENTS:
        node.require(prod(node.shape(0)) == prod(node.outputs[0]))
    if name == "GELU":
        return Found("gelu_tanh" if node.operator.option(0, "B") else "gelu")
    if name == "SQUARED_DIFFERENCE":
        return Found("sub", then=("pow",))
    if name == "ADD_N":
        return Found("add" if len(node.shapes) == 2 else f"add_n of {len(node.shapes)}")
    known = name.lower()
    return Found(_NAMES.get(name) or (f"tflite {known}" if known in OPS else known))


def _conv(node: Node) -> Found:
    given, kernel = node.shape(0), node.shape(1)
    node.require(len(given) == len(kernel) == 4 and kernel[3] and given[3] % kernel[3] == 0)
    groups = given[3] // kernel[3]
    node.require(groups and kernel[0] % groups == 0 and node.outputs[0][3:] == kernel[:1])
    geometry = _window(node, given[1:3], node.outputs[0][1:3], kernel[1:3], (2, 1), (5, 4), groups)
    op = convolution(given[3], groups, kernel[1:3])
    return Found(op, geometry, prod(kernel[1:]), None, (1, 2), (kernel[0], kernel[3], *kernel[1:3]))


def _depthwise(node: Node) -> Found:
    given, kernel = node.shape(0), node.shape(1)
    node.require(len(given) == len(kernel) == 4 and given[3] and kernel[3] % given[3] == 0)
    node.require(kernel[0] == 1 and node.outputs[0][3:] == kernel[3:])
    geometry = _window(node, given[1:3], node.outputs[0][1:3], kernel[1:3], (2, 1), (6, 5), given[3])
    op = convolution(given[3], given[3], kernel[1:3])
    return Found(op, geometry, prod(kernel[1:3]), None, (1, 2), (kernel[3], 1, *kernel[1:3]))


def _conv_3d(node: Node) -> Found:
    given, kernel = node.shape(0), node.shape(1)
    node.require(
        len(given) == len(kernel) == 5 and given[4] == kernel[3] and node.outputs[0][4:] == kernel[4:]
    )
    geometry = _window(node, given[1:4], node.outputs[0][1:4], kernel[:3], (1, 3, 2), (5, 7, 6))
    op = convolution(given[4], 1, kernel[:3])
    return Found(op, geometry, prod(kernel[:4]), None, (1, 2), (kernel[4], kernel[3], *kernel[:3]))


def _transposed(node: Node) -> Found:
    kernel, given, out = node.shape(1), node.shape(2), node.outputs[0]
    node.require(len(given) == len(kernel) == len(out) == 4 and (out[3], given[3]) == (kernel[0], kernel[3]))
    geometry = _window(node, out[1:3], given[1:3], kernel[1:3], (2, 1))
    macs = prod(given) * prod(kernel[:3])
    return Found("conv_transpose", geometry, 0, macs, (1, 3), (kernel[3], kernel[0], *kernel[1:3]))


def _transposed_3d(node: Node) -> Found:
    kernel, given, out = node.shape(1), node.shape(2), node.outputs[0]
    node.require(len(given) == len(kernel) == len(out) == 5 and (out[4], given[4]) == kernel[3:])
    geometry = _window(node, out[1:4], given[1:4], kernel[:3], (1, 3, 2), (5, 7, 6))
    macs = prod(given) * prod(kernel[:4])
    return Found("conv_transpose", geometry, 0, macs, (1, 3), (kernel[4], kernel[3], *kernel[:3]))


def _pool(op: str) -> Callable[[Node], Found]:
    def rule(node: Node) -> Found:
        given, out = node.shape(0), node.outputs[0]
        node.require(len(given) == len(out) == 4 and given[3] == out[3])
        kernel = (node.operator.option(4), node.operator.option(3))
        return Found(op, _window(node, given[1:3], out[1:3], kernel, (2, 1)))

    return rule


def _window(
    node: Node,
    sides: Shape,
    out: Shape,
    kernel: Shape,
    strides: tuple[int, ...],
    dilations: tuple[int, ...] = (),
    groups: int = 1,
) -> Geometry:
    """Return the window that reads `sides` and writes `out`. strides, dilations: the options they are in."""
    stride = tuple(node.operator.option(field) for field in strides)
    dilation = tuple(node.operator.option(field, default=1) for field in dilations) or (1,) * len(kernel)
    node.require(min((*kernel, *stride, *dilation)) > 0 and len(out) == len(sides))
    same = node.operator.option(0, "b") == _SAME
    padding = []
    for i, o, k, s, d in zip(sides, out, kernel, stride, dilation, strict=True):
        reach = d * (k - 1) + 1
        node.require(o == (-(-i // s) if same else (i - reach) // s + 1))
        total = max(0, (o - 1) * s + reach - i) if same else 0
        padding.append((total // 2, total - total // 2))
    return Geometry(kernel, stride, tuple(padding), dilation, groups)


def _linear(node: Node) -> Found:
    given, kernel = prod(node.shape(0)), node.shape(1)
    node.require(len(kernel) == 2 and kernel[1] and given % kernel[1] == 0)
    node.require(prod(node.outputs[0]) == given // kernel[1] * kernel[0])
    return Found("linear" if node.stored[1] else "matmul", None, kernel[1], None, (1, 2, 0))


def _matmul(node: Node) -> Found:
    first, second, out = node.shape(0), node.shape(1), node.outputs[0]
    node.require(min(len(first), len(second), len(out)) > 1)
    rows, depth = first[-2:] if not node.operator.option(0, "B") else first[:-3:-1]
    height, columns = second[-2:] if not node.operator.option(1, "B") else second[:-3:-1]
    node.require(depth == height and out[-2:] == (rows, columns))
    op = "linear" if node.stored[1] and len(second) == 2 else "matmul"
    return Found(op, None, depth, None, (1, 0), (*second[:-2], columns, height))


def _recurrent(op: str) -> Callable[[Node], Found]:
    """Each step multiplies by all matrices that are stored: kernels and a projection. Gates have no price."""

    def rule(node: Node) -> Found:
        pairs = zip(node.shapes, node.stored, strict=True)
        elements = sum(prod(shape) for shape, stored in pairs if stored and shape and len(shape) == 2)
        macs = prod(node.shape(0)[:-1]) * elements
        return Found(op, None, 0, macs, tuple(range(1, len(node.shapes))))

    return rule


RULES: Final[dict[str, Callable[[Node], Found]]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "CONV_3D": _conv_3d,
    "TRANSPOSE_CONV": _transposed,
    "CONV_3D_TRANSPOSE": _transposed_3d,
    "AVERAGE_POOL_2D": _pool("avg_pool"),
    "MAX_POOL_2D": _pool("max_pool"),
    "FULLY_CONNECTED": _linear,
    "BATCH_MATMUL": _matmul,
    **dict.fromkeys(
        ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"), _recurrent("lstm_variant")
    ),
    **dict.fromkeys(
        ("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"), _recurrent("rnn_variant")
    ),
}
"""Operators whose sizes matter: products and pools."""
SPATIAL: Final = frozenset(
    (
        *(name for name in RULES if "CONV" in name or "POOL" in name),
        *("L2_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"),
        *("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "LOCAL_RESPONSE_NORMALIZATION", "MIRROR_PAD"),
    )
)
"""Operators of images, whose channels are last."""
