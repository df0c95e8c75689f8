"""The operations that a layer can be: one row each, which every room reads.

An operation that has no row can stand in a graph all the same: it has no price, so its cost is None.
"""

from typing import Final, Literal

import msgspec

Kind = Literal["conv", "matmul", "norm", "activation", "pool", "elementwise", "view", "other"]


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table of operations.

    flops: price of each output element, beside 2 for each MAC and 1 for a bias; a pool has the same
        price for each input element too. None: no price is known.
    folds: True if a deployed runtime can compute it as part of the layer before it (Graph.fused).
    in_place: True if PyTorch's module can write into its input's memory.
    temporaries: tensors of the output's size that PyTorch holds meanwhile, beside input and output.
    code: the paper's name of an activation. torch: an activation's class in torch.nn, "" for one that is
        written out. runtime: a regular expression of what runtimes call it. aliases: its names in other
        libraries.
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
        """True if it multiplies and accumulates: a convolution or a matrix product."""
        return self.kind in ("conv", "matmul")


def _activation(
    name: str, code: str, title: str, flops: int, torch: str = "", runtime: str = "",
    aliases: tuple[str, ...] = (), *, in_place: bool = False,
) -> Op:  # fmt: skip
    return Op(
        name=name, kind="activation", title=title, flops=flops, folds=True, in_place=in_place,
        temporaries=0 if torch else 1, code=code, torch=torch, runtime=runtime, aliases=aliases,
    )  # fmt: skip


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
    # Scale and shift; folded, only the shift is left: 1.
    Op(name="batch_norm", kind="norm", title="batch norm", flops=2, folds=True,
       runtime="batch.?norm"),
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
    Op(name="avg_pool", kind="pool", title="average pool", flops=1,
       runtime="pool|mean|reduce"),
    Op(name="mul", kind="elementwise", title="multiply", flops=1, runtime="mul"),
    Op(name="add", kind="elementwise", title="add", flops=1, runtime="add"),
    _view("flatten"),
    _view("unflatten"),
    _view("dropout"),
)  # fmt: skip

OPS: Final = {op.name: op for op in _ROWS}
"""Every operation that is known, by name."""


def op_called(name: str) -> Op:
    """The row of the operation called `name`; one of kind "other", without a price, if there is none."""
    return OPS.get(name) or Op(name=name, kind="other", title=name)


def convolution(in_channels: int, groups: int, kernel: tuple[int, ...]) -> str:
    """The name of a convolution: depthwise (a filter for each channel), pointwise (1×1, dense) or conv."""
    if groups == in_channels > 1:
        return "depthwise"
    return "pointwise" if groups == 1 and max(kernel) == 1 else "conv"
