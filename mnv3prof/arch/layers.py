"""From a table to its primitive operations: names, shapes, and who feeds whom."""

from math import prod
from typing import Final, Literal

import msgspec

from .table import (
    ACTIVATIONS,
    InputError,
    Row,
    Table,
    adds_identity,
    head_width,
    in_widths,
    shown,
    squeeze_width,
)  # fmt: skip

MAX_PIXELS: Final = 16_384
IMAGE: Final = "input"
"""The name under which layers refer to the image."""

Shape = tuple[int, ...]
Op = Literal[
    "conv", "depthwise", "pointwise", "linear", "batch_norm",
    "relu", "relu6", "hardswish", "hardswish_relu6", "hardswish_clamp", "swish",
    "hardsigmoid", "hardsigmoid_relu6", "sigmoid",
    "avg_pool", "mul", "add", "flatten", "unflatten", "dropout",
]  # fmt: skip

WEIGHTED: Final = frozenset({"conv", "depthwise", "pointwise", "linear"})
ELEMENTWISE: Final = frozenset({*ACTIVATIONS.values(), "hardsigmoid", "hardsigmoid_relu6", "sigmoid"})
VIEWS: Final = frozenset({"flatten", "unflatten", "dropout"})
"""Operations that hand on their input's memory at inference."""


class Layer(msgspec.Struct, frozen=True):
    """One primitive operation.

    name: the PyTorch module path, or for a functional operation the calling module's path and
        .add, .mul, .flatten. block: "stem", "1", "2", ..., "head", "classifier".
    inputs: names of the layers that feed it; "input" is the image.
    in_shape, out_shape: (C, H, W) or (C,), of the first input and of the output, without batch.
    """

    name: str
    block: str
    role: str
    op: Op
    inputs: tuple[str, ...]
    in_shape: Shape
    out_shape: Shape
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = False

    @property
    def elements(self) -> int:
        """Number of output elements of one image."""
        return prod(self.out_shape)


class Graph(msgspec.Struct, frozen=True):
    """A table at one input size: its layers in the order in which they run."""

    table: Table
    input: tuple[int, int]
    layers: tuple[Layer, ...]

    @property
    def image(self) -> Shape:
        """Shape of the image (3, H, W)."""
        return (3, *self.input)

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks in order: stem, one a row, head, classifier."""
        return ("stem", *(str(n) for n in range(1, len(self.table.rows) + 1)), "head", "classifier")


def parse_input(text: str) -> tuple[int, int]:
    """(height, width) in pixels from "224" or "192x256". Raises InputError."""
    sides = text.strip().lower().split("x")
    if len(sides) == 1:
        sides *= 2
    if len(sides) == 2 and all(s.isascii() and s.isdecimal() and len(s) <= 20 for s in sides):
        height, width = int(sides[0]), int(sides[1])
        if min(height, width) >= 1 and max(height, width) <= MAX_PIXELS:
            return height, width
    allowed = f"allowed is 224 or 192x256 (height x width), each side 1 to {MAX_PIXELS:,} pixels"
    raise InputError(f"input: {shown(text)} is no image size; {allowed}")


def expand(table: Table, size: int | tuple[int, int] = 224) -> Graph:
    """The layers of `table` for images of `size` pixels (a side, or height and width).

    What runs is what mnv3prof.build(table) runs: names are its module paths. Raises InputError.
    """
    height, width = _sides(size)
    layers: list[Layer] = []
    image = Layer(IMAGE, "stem", "image", "flatten", (), (3, height, width), (3, height, width))

    x = _conv(layers, image, "features.0.0", "stem", "stem", table.stem, kernel=3, stride=2)
    x = _norm_act(layers, x, "features.0", table.stem_activation)
    for number, (row, width_in) in enumerate(zip(table.rows, in_widths(table), strict=True), 1):
        x = _block(layers, x, table, row, width_in, number)

    path = f"features.{len(table.rows) + 1}"
    x = _conv(layers, x, f"{path}.0", "head", "head", head_width(table))
    x = _norm_act(layers, x, path, table.head_activation)
    x = _op(layers, x, "avgpool", "pool", "avg_pool", (x.out_shape[0], 1, 1))
    x = _op(layers, x, "flatten", "flatten", "flatten", (x.out_shape[0],))
    x = _linear(layers, x, "classifier.0", "hidden", table.last, block="classifier")
    x = _act(layers, x, "classifier.1", table.head_activation)
    x = _op(layers, x, "classifier.2", "dropout", "dropout", x.out_shape)
    _linear(layers, x, "classifier.3", "logits", table.classes)
    return Graph(table, (height, width), tuple(layers))


def _sides(size: object) -> tuple[int, int]:
    """(height, width) of a side or a pair. Raises InputError."""
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) == 2 and all(type(side) is int and 1 <= side <= MAX_PIXELS for side in sides):
        return sides[0], sides[1]
    allowed = f"allowed is a side, or height and width, in pixels: integers from 1 to {MAX_PIXELS:,}"
    raise InputError(f"input: {shown(size)} is not allowed; {allowed}")


def _block(layers: list[Layer], source: Layer, table: Table, row: Row, width: int, number: int) -> Layer:
    path, block = f"features.{number}", str(number)
    stage = 0
    x = source

    def next_stage() -> str:
        nonlocal stage
        stage += 1
        return f"{path}.block.{stage - 1}"

    if row.expand != width:
        at = next_stage()
        x = _conv(layers, x, f"{at}.0", block, "expand", row.expand)
        x = _norm_act(layers, x, at, row.activation)
    if table.conv != "standard":
        at = next_stage()
        groups = row.expand if table.conv == "separable" else 1
        x = _conv(layers, x, f"{at}.0", block, "depthwise", row.expand,
                  row.kernel, row.stride, row.dilation, groups)  # fmt: skip
        if table.norm_between:
            x = _norm_act(layers, x, at, row.activation)
    if row.se:
        x = _squeeze_excite(layers, x, table, row, next_stage())
    at = next_stage()
    if table.conv == "standard":
        x = _conv(layers, x, f"{at}.0", block, "standard", row.out, row.kernel, row.stride, row.dilation)
    else:
        x = _conv(layers, x, f"{at}.0", block, "project", row.out)
    x = _norm_act(layers, x, at, None)
    if adds_identity(row, width):
        x = _op(layers, x, f"{path}.add", "add", "add", x.out_shape, also=source)
    return x


def _squeeze_excite(layers: list[Layer], x: Layer, table: Table, row: Row, path: str) -> Layer:
    squeeze = squeeze_width(table, row)
    channels = x.out_shape[0]
    s = _op(layers, x, f"{path}.avgpool", "se_pool", "avg_pool", (channels, 1, 1))
    if table.se_form == "conv":
        s = _conv(layers, s, f"{path}.fc1", s.block, "se_reduce", squeeze, bias=True)
        s = _op(layers, s, f"{path}.activation", "se_activation", table.se_activation, s.out_shape)
        s = _conv(layers, s, f"{path}.fc2", s.block, "se_expand", channels, bias=True)
        s = _op(layers, s, f"{path}.scale_activation", "se_gate", table.se_gate, s.out_shape)
    else:
        s = _op(layers, s, f"{path}.flatten", "flatten", "flatten", (channels,))
        s = _linear(layers, s, f"{path}.fc1", "se_reduce", squeeze)
        s = _op(layers, s, f"{path}.activation", "se_activation", table.se_activation, s.out_shape)
        s = _linear(layers, s, f"{path}.fc2", "se_expand", channels)
        s = _op(layers, s, f"{path}.scale_activation", "se_gate", table.se_gate, s.out_shape)
        s = _op(layers, s, f"{path}.unflatten", "unflatten", "unflatten", (channels, 1, 1))
    return _op(layers, x, f"{path}.mul", "se_scale", "mul", x.out_shape, also=s)


def _conv(
    layers: list[Layer], x: Layer, name: str, block: str, role: str, out: int,
    kernel: int = 1, stride: int = 1, dilation: int = 1, groups: int = 1, *, bias: bool = False,
) -> Layer:  # fmt: skip
    _, height, width = x.out_shape
    # With padding d · (k − 1) / 2 and k odd, a side n becomes ceil(n / stride).
    shape = (out, -(-height // stride), -(-width // stride))
    op: Op = "depthwise" if role == "depthwise" and groups == out else "conv" if kernel > 1 else "pointwise"
    padding = (kernel - 1) // 2 * dilation
    layer = Layer(name, block, role, op, (x.name,), x.out_shape, shape,
                  kernel, stride, padding, dilation, groups, bias)  # fmt: skip
    layers.append(layer)
    return layer


def _linear(layers: list[Layer], x: Layer, name: str, role: str, out: int, block: str = "") -> Layer:
    layer = Layer(name, block or x.block, role, "linear", (x.name,), x.out_shape, (out,), bias=True)
    layers.append(layer)
    return layer


def _norm_act(layers: list[Layer], x: Layer, path: str, activation: str | None) -> Layer:
    x = _op(layers, x, f"{path}.1", f"{x.role}_norm", "batch_norm", x.out_shape)
    return x if activation is None else _act(layers, x, f"{path}.2", activation)


def _act(layers: list[Layer], x: Layer, name: str, activation: str) -> Layer:
    return _op(layers, x, name, "activation", ACTIVATIONS[activation], x.out_shape)


def _op(
    layers: list[Layer], x: Layer, name: str, role: str, op: Op, shape: Shape, also: Layer | None = None
) -> Layer:
    inputs = (x.name,) if also is None else (x.name, also.name)
    layer = Layer(name, x.block, role, op, inputs, x.out_shape, shape)
    layers.append(layer)
    return layer
