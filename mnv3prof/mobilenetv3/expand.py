"""Expand a layer table to a graph of the operations that the built module runs."""

from functools import lru_cache
from typing import Any, Final

from ..graph.errors import InputError, as_number, quote, require
from ..graph.graph import Block, Geometry, Graph, Layer, Shape, Tensor
from ..graph.ops import OPS, convolution
from ..graph.parts import CLASSIFIER
from .table import (
    ACTIVATIONS,
    HEAD,
    STEM,
    Row,
    Table,
    adds_identity,
    head_width,
    in_widths,
    row_names,
    squeeze_width,
)

MAX_PIXELS: Final = 16_384
DEFAULT_SIZE: Final = (224, 224)
IMAGE: Final = "input"
"""Name of the network's input."""


def image_size(given: object, what: str = "input") -> tuple[int, int]:
    """Return (height, width) in pixels. Raises InputError about `what`.

    given: "224", "192x256", an integer for both sides, or a pair.
    """
    pair: list[Any] = list(given) if isinstance(given, (tuple, list)) else [given, given]
    if isinstance(given, str):
        texts = given.strip().lower().replace("×", "x").split("x")
        sides = [int(s) if s.isascii() and s.isdecimal() and len(s) <= 20 else s for s in texts]
        pair = sides * 2 if len(sides) == 1 else sides
    pair = [as_number(side) for side in pair]
    if len(pair) == 2 and all(type(side) is int and 1 <= side <= MAX_PIXELS for side in pair):
        return pair[0], pair[1]
    raise InputError(
        f"{what}: {quote(given)} is not an image size; expected 224 or 192x256 (height x width), "
        f"each side from 1 to {MAX_PIXELS:,} pixels"
    )


def expand(table: Table, size: int | tuple[int, int] = DEFAULT_SIZE) -> Graph:
    """Return the graph of `table` for images of `size` pixels (a side, or height and width).

    It has the operations of mnv3prof.build(table), named by their module paths. Its blocks are the stem,
    one per row, the head (last convolution, pooling) and the classifier. Raises InputError.

    >>> mnv3prof.expand(mnv3prof.read_table("small"), (192, 256))
    Graph('MobileNetV3-Small', 192×256, 14 blocks, 157 layers)
    """
    require(table, Table, "expand", "what mnv3prof.read_table returns")
    image = Tensor(IMAGE, (3, *image_size(size)))
    builder = _Builder(table, image)
    builder.stem()
    for name, row, width in zip(row_names(table), table.rows, in_widths(table), strict=True):
        builder.row(name, row, width)
    builder.head(f"features.{len(table.rows) + 1}")
    builder.classifier()
    return Graph(table.name, (image,), (builder.last.name,), tuple(builder.blocks))


class _Builder:
    """Collects layers and blocks. last: the layer that the next one reads."""

    def __init__(self, table: Table, image: Tensor) -> None:
        self.table = table
        self.blocks: list[Block] = []
        self.layers: list[Layer] = []
        self.last = Layer(image.name, "", (), image.shape, "", image.name)

    def stem(self) -> None:
        self._conv("features.0.0", "stem", self.table.stem, 3, 2)
        self._norm_act("features.0", "stem", self.table.stem_activation)
        self._close(STEM, "the stem", "features.0")

    def row(self, name: str, row: Row, width: int) -> None:
        table, source, path = self.table, self.last, f"features.{name}"
        stages = (f"{path}.block.{stage}" for stage in range(4))
        if row.expand != width:
            at = next(stages)
            self._conv(f"{at}.0", "expand", row.expand)
            self._norm_act(at, "expand", row.activation)
        if table.conv != "standard":
            at = next(stages)
            groups = row.expand if table.conv == "separable" else 1
            self._conv(f"{at}.0", "depthwise", row.expand, row.kernel, row.stride, row.dilation, groups)
            if table.norm_between:
                self._norm_act(at, "depthwise", row.activation)
        if row.se:
            self._squeeze_excite(next(stages), squeeze_width(table, row))
        at = next(stages)
        if table.conv == "standard":
            self._conv(f"{at}.0", "standard", row.out, row.kernel, row.stride, row.dilation)
            self._norm_act(at, "standard", None)
        else:
            self._conv(f"{at}.0", "project", row.out)
            self._norm_act(at, "project", None)
        if adds_identity(row, width):
            result = self.last  # `result += x` reuses the memory of the projection's batch norm
            inputs = (result.name, source.name)
            self._add(f"{path}.add", "add", inputs, result.out_shape, path, result.storage, "add")
        self._close(name, f"block {name}", path)

    def head(self, path: str) -> None:
        self._conv(f"{path}.0", "head", head_width(self.table))
        self._norm_act(path, "head", self.table.head_activation)
        self._pool("avgpool", "pool")
        self._view("flatten", "flatten", self.last.out_shape[:1], "")
        self._close(HEAD, "the head", path, "avgpool", "flatten")

    def classifier(self) -> None:
        self._linear("classifier.0", "hidden", self.table.last)
        self._activation("classifier.1", "activation", ACTIVATIONS[self.table.head_activation], in_place=True)
        self._view("classifier.2", "dropout", self.last.out_shape, "classifier.2")
        self._linear("classifier.3", "logits", self.table.classes)
        self._close(CLASSIFIER, "the classifier", "classifier")

    def _squeeze_excite(self, path: str, squeeze: int) -> None:
        source, table = self.last, self.table
        channels = source.out_shape[0]
        linear = table.se_form == "linear"
        self._pool(f"{path}.avgpool", "se_pool")
        if linear:
            self._view(f"{path}.flatten", "flatten", (channels,), path)
        for fc, role, width, act, what, op in (
            ("fc1", "se_reduce", squeeze, "activation", "se_activation", table.se_activation),
            ("fc2", "se_expand", channels, "scale_activation", "se_gate", table.se_gate),
        ):
            if linear:
                self._linear(f"{path}.{fc}", role, width)
            else:
                self._conv(f"{path}.{fc}", role, width, bias=True)
            self._activation(f"{path}.{act}", what, op)
        if linear:
            self._view(f"{path}.unflatten", "unflatten", (channels, 1, 1), path)
        name, inputs = f"{path}.mul", (source.name, self.last.name)
        self._add(name, "mul", inputs, source.out_shape, path, name, "se_scale")

    def _norm_act(self, path: str, role: str, activation: str | None) -> None:
        at, shape = f"{path}.1", self.last.out_shape
        weights = (Tensor(f"{at}.weight", shape[:1]), Tensor(f"{at}.bias", shape[:1]))
        self._add(at, "batch_norm", (self.last.name,), shape, at, at, f"{role}_norm", None, 0, weights)
        if activation is not None:
            self._activation(f"{path}.2", "activation", ACTIVATIONS[activation], in_place=True)

    def _activation(self, path: str, role: str, op: str, *, in_place: bool = False) -> None:
        owner = self.last.storage if in_place and OPS[op].in_place else path
        self._add(path, op, (self.last.name,), self.last.out_shape, path, owner, role)

    def _conv(
        self,
        path: str,
        role: str,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        *,
        bias: bool = False,
    ) -> None:
        channels, height, width = self.last.out_shape
        # With padding d · (k − 1) / 2 and k odd, a side n becomes ceil(n / stride).
        shape = (out, -(-height // stride), -(-width // stride))
        depth = channels // groups
        weights: tuple[Tensor, ...] = (Tensor(f"{path}.weight", (out, depth, kernel, kernel)),)
        if bias:
            weights += (Tensor(f"{path}.bias", (out,)),)
        geometry = _geometry(kernel, stride, dilation, groups)
        op, length = convolution(channels, groups, geometry.kernel), depth * kernel**2
        self._add(path, op, (self.last.name,), shape, path, path, role, geometry, length, weights)

    def _linear(self, path: str, role: str, out: int) -> None:
        (features,) = self.last.out_shape
        weights = (Tensor(f"{path}.weight", (out, features)), Tensor(f"{path}.bias", (out,)))
        self._add(path, "linear", (self.last.name,), (out,), path, path, role, None, features, weights)

    def _pool(self, path: str, role: str) -> None:
        self._add(path, "avg_pool", (self.last.name,), (self.last.out_shape[0], 1, 1), path, path, role)

    def _view(self, name: str, op: str, shape: Shape, path: str) -> None:
        self._add(name, op, (self.last.name,), shape, path, self.last.storage, op)

    def _add(
        self,
        name: str,
        op: str,
        inputs: tuple[str, ...],
        shape: Shape,
        path: str,
        storage: str,
        role: str,
        geometry: Geometry | None = None,
        contraction: int = 0,
        weights: tuple[Tensor, ...] = (),
    ) -> None:
        layer = Layer(name, op, inputs, shape, path, storage, role, geometry, contraction, weights)
        self.last = layer
        self.layers.append(layer)

    def _close(self, name: str, title: str, *modules: str) -> None:
        """Make a block of the layers since the last one."""
        self.blocks.append(Block(name, title, tuple(self.layers), modules))
        self.layers = []


@lru_cache(1_024)
def _geometry(kernel: int, stride: int, dilation: int, groups: int) -> Geometry:
    padding = (kernel - 1) // 2 * dilation
    return Geometry(
        (kernel, kernel), (stride, stride), ((padding, padding),) * 2, (dilation, dilation), groups
    )
