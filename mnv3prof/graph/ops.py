"""The table of operations: kind, FLOP price, fusion, and names in other libraries.

A graph can contain operations that are not in the table. They have no price, so their cost is None.
"""

from typing import Final, Literal

import msgspec

PAD: Final = "pad"

Kind = Literal["conv", "matmul", "norm", "activation", "pool", "elementwise", "view", "other"]


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table of operations.

    flops: price per output element, in addition to 2 per MAC and 1 per bias; a pool has the same price
        per input element too. None: no price is known.
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
    folds: bool = False
    in_place: bool = False
    temporaries: int = 0
    code: str = ""
    torch: str = ""
    runtime: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def weighted(self) -> bool:
        """True for a convolution or matrix product."""
        return self.kind in ("conv", "matmul")


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


_ROWS: Final = (
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
    _activation("hardswish", "HS", "h-swish", 5, "Hardswish", "swish", ("hswish", "h-swish"), in_place=True),
    _activation("hardswish_relu6", "HS-RELU6", "h-swish by ReLU6", 5),
    _activation("hardswish_clamp", "HS-CLAMP", "h-swish by clamp", 5),
    # Sigmoid and a multiply.
    _activation("swish", "SW", "swish", 5, "SiLU", "silu", ("silu",), in_place=True),
    # Add, two clamps, multiply by 1/6.
    _activation("hardsigmoid", "", "h-sigmoid", 4, "Hardsigmoid", "sigmoid", in_place=True),
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

OPS: Final = {op.name: op for op in _ROWS}
"""All known operations by name."""


def op_called(name: str) -> Op:
    """Return the row of operation `name`; if unknown, a row of kind "other" without a price."""
    return OPS.get(name) or Op(name=name, kind="other", title=name)


def convolution(in_channels: int, groups: int, kernel: tuple[int, ...]) -> str:
    """Return a convolution's operation: depthwise (groups = channels), pointwise (1×1, dense) or conv."""
    if groups == in_channels > 1:
        return "depthwise"
    return "pointwise" if groups == 1 and max(kernel) == 1 else "conv"
