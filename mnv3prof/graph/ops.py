"""The table of operations: kind, FLOP price, fusion, and names in other libraries.

A graph can contain operations that are not in the table. They have no price, so their cost is None.
"""

from typing import Final, Literal

import msgspec

PAD: Final = "pad"
GATED: Final = ("lstm", "gru", "rnn")

Kind = Literal[
    "conv", "matmul", "recurrent", "norm", "activation", "pool", "elementwise", "move", "view", "other"
]


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table of operations.

    kind: of a view, the output is in the input's memory; a move copies elements without arithmetic.
    flops: price per output element, in addition to 2 per MAC and 1 per bias; a pool has the same price
        per element of its window too, attention has it per score, a recurrent layer per hidden unit and
        step. None: no price is known.
    gates: number of gates of a recurrent layer, each with the rows of two matrices for a hidden unit.
    folds: True if a deployed runtime can fuse it into the layer before it (Graph.fused).
    in_place: True if PyTorch's module has an inplace option.
    temporaries: number of tensors of the output's size that PyTorch allocates besides the output.
    code: the paper's code for an activation. torch: an activation's class in torch.nn, "" for one that is
        composed of other operations. runtime: regular expression that matches its names in runtimes.
        aliases: its names in other libraries.
    """

    name: str
    kind: Kind
    title: str
    flops: int | None = None
    gates: int = 0
    folds: bool = False
    in_place: bool = False
    temporaries: int = 0
    code: str = ""
    torch: str = ""
    runtime: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def weighted(self) -> bool:
        """True for a convolution, matrix product or recurrent layer."""
        return self.kind in ("conv", "matmul", "recurrent")


def _activation(
    name: str,
    code: str,
    title: str,
    flops: int,
    torch: str = "",
    runtime: str = "",
    aliases: tuple[str, ...] = (),
    *,
    in_place: bool = False,
) -> Op:
    return Op(
        name=name,
        kind="activation",
        title=title,
        flops=flops,
        folds=True,
        in_place=in_place,
        temporaries=0 if torch else 1,
        code=code,
        torch=torch,
        runtime=runtime,
        aliases=aliases,
    )


def _product(name: str, kind: Kind, title: str, runtime: str = "") -> Op:
    return Op(name=name, kind=kind, title=title, flops=0, runtime=runtime)


def _view(name: str) -> Op:
    return Op(name=name, kind="view", title=name, flops=0)


def _elementwise(flops: int, *names: str) -> tuple[Op, ...]:
    return tuple(
        Op(name=name, kind="elementwise", title=name.replace("_", " "), flops=flops) for name in names
    )


def _reduction(*names: str) -> tuple[Op, ...]:
    return tuple(Op(name=name, kind="pool", title=name.replace("_", " "), flops=1) for name in names)


def _move(*names: str) -> tuple[Op, ...]:
    return tuple(Op(name=name, kind="move", title=name.replace("_", " "), flops=0) for name in names)


_OF_TABLES: Final = (
    _product("conv", "conv", "standard convolution", "conv"),
    _product("depthwise", "conv", "depthwise convolution"),
    _product("pointwise", "conv", "pointwise convolution"),
    _product("linear", "matmul", "linear layer", "gemm|fully.?connected|linear|inner.?product|addmm"),
    _product("matmul", "matmul", "matrix product", "matmul"),
    _product("einsum", "matmul", "Einstein sum"),
    # Scale and shift; folded into a convolution, only the shift: 1.
    Op(name="batch_norm", kind="norm", title="batch norm", flops=2, folds=True, runtime="batch.?norm"),
    # One clamp; two clamps.
    _activation("relu", "RE", "ReLU", 1, "ReLU", "relu|clamp|clip|hardtanh|minimum", in_place=True),
    _activation("relu6", "R6", "ReLU6", 2, "ReLU6", in_place=True),
    # h-sigmoid and a multiply.
    _activation(
        "hardswish",
        "HS",
        "h-swish",
        5,
        "Hardswish",
        "swish",
        ("hswish", "h-swish", "hardsilu"),
        in_place=True,
    ),
    _activation("hardswish_relu6", "HS-RELU6", "h-swish by ReLU6", 5),
    _activation("hardswish_clamp", "HS-CLAMP", "h-swish by clamp", 5),
    # Sigmoid and a multiply.
    _activation("swish", "SW", "swish", 5, "SiLU", "silu", ("silu",), in_place=True),
    # Add, two clamps, multiply by 1/6.
    _activation("hardsigmoid", "", "h-sigmoid", 4, "Hardsigmoid", "sigmoid", ("hsigmoid",), in_place=True),
    _activation("hardsigmoid_relu6", "", "h-sigmoid by ReLU6", 4),
    # Negate, exponential, add, divide.
    _activation("sigmoid", "", "sigmoid", 4, "Sigmoid"),
    Op(name="avg_pool", kind="pool", title="average pool", flops=1, runtime="pool|mean|reduce"),
    Op(name="mul", kind="elementwise", title="multiply", flops=1, runtime="mul"),
    Op(name="add", kind="elementwise", title="add", flops=1, runtime="add"),
    _view("flatten"),
    _view("unflatten"),
    _view("dropout"),
    # A copy in PyTorch; a deployed runtime pads inside the convolution.
    Op(name=PAD, kind="view", title="padding", flops=0, runtime="pad"),
)

_OF_OTHERS: Final = (
    _product("conv_transpose", "conv", "transposed convolution", "deconv|conv.?transpose"),
    # Per score: scale, and softmax's 5.
    Op(name="attention", kind="matmul", title="attention", flops=6, runtime="attention"),
    _product("bilinear", "matmul", "bilinear layer"),
    # Add both products in 4 gates; 3 sigmoids, tanh; c = f * c + i * g; h = o * tanh(c).
    Op(name="lstm", kind="recurrent", title="LSTM", flops=4 + 3 * 4 + 5 + 3 + 6, gates=4),
    # Add both products in 3 gates; 2 sigmoids; multiply by r, tanh; h = (1 - z) * n + z * h.
    Op(name="gru", kind="recurrent", title="GRU", flops=3 + 2 * 4 + 6 + 4, gates=3),
    # Add both products; tanh, or ReLU.
    Op(name="rnn", kind="recurrent", title="RNN", flops=1 + 5, gates=1),
    Op(name="rnn_relu", kind="recurrent", title="RNN with ReLU", flops=1 + 1, gates=1),
    # Of other activations, peepholes or coupled gates.
    *(Op(name=f"{name}_variant", kind="recurrent", title=f"{name.upper()} variant") for name in GATED),
    # Mean and variance (1 + 3), subtract, multiply, scale, shift.
    *(
        Op(name=name, kind="norm", title=name.replace("_", " "), flops=8, runtime="norm")
        for name in ("layer_norm", "group_norm", "instance_norm", "batch_stat_norm")
    ),
    # Square, mean, multiply, scale.
    Op(name="rms_norm", kind="norm", title="RMS norm", flops=4),
    # Multiply, error function, add, 2 multiplies; by tanh: 3 more.
    _activation("gelu", "", "GELU", 5, "GELU", "gelu"),
    _activation("gelu_tanh", "", "GELU by tanh", 8),
    _activation("tanh", "", "tanh", 5, "Tanh", "tanh"),
    _activation("leaky_relu", "", "leaky ReLU", 2, "LeakyReLU", in_place=True),
    _activation("prelu", "", "PReLU", 2),
    _activation("hardtanh", "", "clamp", 2, "Hardtanh", in_place=True),
    _activation("elu", "", "ELU", 4, "ELU", in_place=True),
    _activation("selu", "", "SELU", 5, "SELU", in_place=True),
    _activation("softplus", "", "softplus", 4, "Softplus"),
    _activation("mish", "", "Mish", 10, "Mish", in_place=True),
    _activation("log_sigmoid", "", "log-sigmoid", 5, "LogSigmoid"),
    # Compare, subtract, exponential, add, divide.
    *_elementwise(5, "softmax", "log_softmax"),
    *_elementwise(
        1,
        *(
            "sub",
            "div",
            "neg",
            "abs",
            "sqrt",
            "exp",
            "log",
            "pow",
            "erf",
            "sin",
            "cos",
            "floor",
            "ceil",
            "round",
        ),
        *(
            "sign",
            "reciprocal",
            "maximum",
            "minimum",
            "where",
            "compare",
            "logical",
            "cumsum",
            "mod",
            "atan2",
        ),
    ),
    *_elementwise(2, "rsqrt", "addcmul", "lerp", "dequantize"),
    # Divide, round, clamp.
    *_elementwise(3, "quantize"),
    # Scale the mask, multiply by it; and its shift, subtract 1, multiply, add, and add that to the product.
    *_elementwise(2, "active_dropout"),
    *_elementwise(6, "active_alpha_dropout"),
    *_elementwise(5, "glu"),
    # 4 corners: 4 multiplies, 3 adds, and 1 for the position.
    *_elementwise(8, "upsample_bilinear"),
    *_elementwise(35, "upsample_bicubic"),
    *_reduction("max_pool", "sum", "max", "min", "argmax", "argmin", "all", "any", "prod"),
    # Mean, subtract, square, add.
    Op(name="variance", kind="pool", title="variance", flops=2),
    Op(name="vector_norm", kind="pool", title="vector norm", flops=2),
    *_move(
        "copy", "concat", "gather", "fill", "repeat", "roll", "flip", "cast", "embedding", "upsample_nearest"
    ),
    *_move("sort", "pixel_shuffle", "range", "random"),
    _view("view"),
)

OPS: Final = {op.name: op for op in (*_OF_TABLES, *_OF_OTHERS)}
"""All known operations by name."""

TABLE_OPS: Final = frozenset(op.name for op in _OF_TABLES)
"""Names of the operations of layer tables, for which the conventions of other counters are known."""


def op_called(name: str) -> Op:
    """Return the row of operation `name`; if unknown, a row of kind "other" without a price."""
    return OPS.get(name) or Op(name=name, kind="other", title=name)


def convolution(in_channels: int, groups: int, kernel: tuple[int, ...]) -> str:
    """Return a convolution's operation: depthwise (groups = channels), pointwise (1×1, dense) or conv."""
    if groups == in_channels > 1:
        return "depthwise"
    return "pointwise" if groups == 1 and max(kernel) == 1 else "conv"
