"""Expand a layer table to a graph of the operations that the built module runs."""

from functools import lru_cache
from itertools import takewhile
from typing import Any, Final

from ..graph.errors import InputError, as_number, quote, require
from ..graph.graph import Block, Geometry, Graph, Layer, Shape, Tensor
from ..graph.ops import OPS, convolution
from ..graph.parts import CLASSIFIER
from .fields import ACTIVATIONS
from .names import (
    FLATTEN,
    ROOT,
    SQUEEZE_NAMES,
    Slots,
    Step,
    head_slots,
    row_paths,
    row_slots,
    stem_slots,
    tail_steps,
)
from .stages import (
    ActivationStage,
    ConvStage,
    LinearStage,
    RowStages,
    SqueezeStage,
    head_stages,
    row_stages,
    same_padding,
    stem_stage,
)
from .table import HEAD, STEM, Table

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
    one per row, the head (convolutions, pool) and the classifier. A head without convolutions is no block:
    its pool is in the classifier. Raises InputError.

    >>> mnv3prof.expand(mnv3prof.read_table("small"), (192, 256))
    Graph('MobileNetV3-Small', 192×256, 14 blocks, 157 layers)
    """
    require(table, Table, "expand", "what mnv3prof.read_table returns")
    image = Tensor(IMAGE, (table.channels, *image_size(size)))
    builder = _Builder(table, image)
    builder.stem()
    for path, row in zip(row_paths(table), row_stages(table), strict=True):
        builder.row(path, row)
    builder.head()
    builder.classifier()
    return Graph(table.name, (image,), (builder.last.name,), tuple(builder.blocks))


class _Builder:
    """Collects layers and blocks. last: the layer that the next one reads."""

    def __init__(self, table: Table, image: Tensor) -> None:
        self.table = table
        self.blocks: list[Block] = []
        self.layers: list[Layer] = []
        self.calls: dict[str, None] = {}
        """Modules and functions that the block calls."""
        self.last = Layer(image.name, "", (), image.shape, "", image.name)

    def stem(self) -> None:
        stage = stem_stage(self.table)
        self._stage(stage, stem_slots(self.table, stage))
        self._close(STEM, "the stem")

    def row(self, path: str, row: RowStages) -> None:
        source = self.last
        slots = row_slots(self.table.names, path, row.stages)
        for stage, slot in zip(row.stages, slots, strict=True):
            if isinstance(stage, SqueezeStage):
                self._squeeze_excite(slot.conv, stage)
            elif isinstance(stage, ActivationStage):
                self._activation(slot, stage.activation)
            else:
                self._stage(stage, slot)
        if row.adds:
            result = self.last  # `result += x` reuses the memory of the last operation
            name, inputs = f"{path}.add", (result.name, source.name)
            owner = result.storage if row.in_place else name
            self._add(name, "add", inputs, result.out_shape, path, owner, "add")
        self.calls = {path: None}
        self._close(row.name, f"block {row.name}")

    def head(self) -> None:
        stages = list(head_stages(self.table))
        for stage, slot in zip(stages, head_slots(self.table, stages), strict=True):
            self._stage(stage, slot)
        if stages and not self.table.classes:
            self._close(HEAD, "the head")

    def classifier(self) -> None:
        steps = tail_steps(self.table)
        outside = takewhile(lambda step: step.kind != "layer" and not step.path.startswith(CLASSIFIER), steps)
        in_head = len(list(outside)) if self.layers else 0
        for step in steps[:in_head]:
            self._step(step)
        if in_head and steps:
            self._close(HEAD, "the head")
        for step in steps[in_head:]:
            self._step(step)
        if steps:
            self._close(CLASSIFIER, "the classifier")

    def _step(self, step: Step) -> None:
        if step.kind == "pool":
            self._pool(step.path, "pool")
            self._called(step.path)
        elif step.kind == "flatten":
            self._view(step.path or FLATTEN, "flatten", self.last.out_shape[:1], step.path)
            self._called(step.path or FLATTEN)
        elif step.kind == "dropout":
            self._view(step.path, "dropout", self.last.out_shape, step.path)
            self._called(step.path)
        elif step.stage is not None:
            self._stage(step.stage, step.slots)

    def _called(self, path: str) -> None:
        """Add `path` to the calls of the block; the modules of the classifier are one call."""
        top, _, inner = path.partition(".")
        self.calls.setdefault(top if inner and top == CLASSIFIER else path, None)

    def _stage(self, stage: ConvStage | LinearStage, slots: Slots) -> None:
        if isinstance(stage, ConvStage):
            self._padded_conv(stage, slots)
        else:
            self._linear(slots.conv, stage.role, stage.out, bias=stage.bias)
        if stage.norm:
            self._norm(slots.norm, f"{stage.role}_norm")
        if stage.activation:
            self._activation(slots, stage.activation)
        pad = slots.pad if isinstance(stage, ConvStage) and stage.pads else ""
        called = (pad, slots.conv, slots.norm, slots.activation) if slots.call == ROOT else (slots.call,)
        for path in filter(None, called):
            self._called(path)

    def _squeeze_excite(self, path: str, stage: SqueezeStage) -> None:
        source, names = self.last, SQUEEZE_NAMES[self.table.names]
        linear = stage.form == "linear"
        self._pool(f"{path}.avgpool", "se_pool")
        if linear:
            self._view(f"{path}.flatten", "flatten", (stage.channels,), path)
        for layer, role, width, act, what, op in (
            (names.reduce, "se_reduce", stage.squeeze, names.activation, "se_activation", stage.activation),
            (names.expand, "se_expand", stage.channels, names.gate, "se_gate", stage.gate),
        ):
            if linear:
                self._linear(f"{path}.{layer}", role, width, bias=stage.bias)
            else:
                conv = ConvStage(role, self.last.out_shape[0], width, bias=stage.bias)
                self._conv(f"{path}.{layer}", conv)
            name = f"{path}.{act}"
            self._add(name, op, (self.last.name,), self.last.out_shape, name, name, what)
        if linear:
            self._view(f"{path}.unflatten", "unflatten", (stage.channels, 1, 1), path)
        name, inputs = f"{path}.mul", (source.name, self.last.name)
        self._add(name, "mul", inputs, source.out_shape, path, name, "se_scale")

    def _norm(self, path: str, role: str) -> None:
        shape = self.last.out_shape
        weights = (Tensor(f"{path}.weight", shape[:1]), Tensor(f"{path}.bias", shape[:1]))
        self._add(path, "batch_norm", (self.last.name,), shape, path, path, role, None, 0, weights)

    def _activation(self, slots: Slots, activation: str) -> None:
        path, op = slots.activation, ACTIVATIONS[activation]
        owner = self.last.storage if OPS[op].in_place else path
        self._add(path, op, (self.last.name,), self.last.out_shape, path, owner, "activation")

    def _padded_conv(self, stage: ConvStage, slots: Slots) -> None:
        """Add the convolution, and before it the padding that it does not do itself."""
        channels, *sides = self.last.out_shape
        if stage.pads:
            padding = [
                same_padding(n, stage.kernel, s, stage.dilation)
                for n, s in zip(sides, stage.stride, strict=True)
            ]
            if any(map(sum, padding)):
                shape = (channels, *(n + sum(each) for n, each in zip(sides, padding, strict=True)))
                self._add(slots.pad, "pad", (self.last.name,), shape, slots.pad, slots.pad, "pad")
        shape = (stage.out, *(-(-n // s) for n, s in zip(sides, stage.stride, strict=True)))
        self._conv(slots.conv, stage, shape)

    def _conv(self, path: str, stage: ConvStage, shape: Shape = ()) -> None:
        """Add the convolution. shape: of its output; (): that of a 1×1 map."""
        depth = stage.channels // stage.groups
        weights: tuple[Tensor, ...] = (
            Tensor(f"{path}.weight", (stage.out, depth, stage.kernel, stage.kernel)),
        )
        if stage.bias:
            weights += (Tensor(f"{path}.bias", (stage.out,)),)
        geometry = _geometry(stage.kernel, stage.stride, stage.padding, stage.dilation, stage.groups)
        op, length = convolution(stage.channels, stage.groups, geometry.kernel), depth * stage.kernel**2
        shape = shape or (stage.out, 1, 1)
        self._add(path, op, (self.last.name,), shape, path, path, stage.role, geometry, length, weights)

    def _linear(self, path: str, role: str, out: int, *, bias: bool) -> None:
        (features,) = self.last.out_shape
        weights: tuple[Tensor, ...] = (Tensor(f"{path}.weight", (out, features)),)
        if bias:
            weights += (Tensor(f"{path}.bias", (out,)),)
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

    def _close(self, name: str, title: str) -> None:
        """Make a block of the layers since the last one."""
        self.blocks.append(Block(name, title, tuple(self.layers), tuple(self.calls)))
        self.layers, self.calls = [], {}


@lru_cache(1_024)
def _geometry(kernel: int, stride: tuple[int, int], padding: int, dilation: int, groups: int) -> Geometry:
    return Geometry((kernel, kernel), stride, ((padding, padding),) * 2, (dilation, dilation), groups)
