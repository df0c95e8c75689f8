"""The stages of a table's layers, in the order in which they run.

expand() turns them into a graph, and build() into modules, so that what is counted is what is built.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, cast

from .fields import NONE, Form
from .table import (
    Row,
    Table,
    adds_identity,
    has_expansion,
    head_convs,
    in_widths,
    last_layers,
    row_names,
    squeeze_width,
    strides,
    with_defaults,
)


class ConvStage(NamedTuple):
    """A convolution, and the batch norm and activation after it.

    channels: of the input. activation: its code, or None. pads: "same" padding by an operation of its own.
    """

    role: str
    channels: int
    out: int
    kernel: int = 1
    stride: tuple[int, int] = (1, 1)
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    norm: bool = True
    activation: str | None = None
    pads: bool = False

    @property
    def padding(self) -> int:
        """Symmetric padding of the convolution itself; the size is kept at stride 1."""
        return 0 if self.pads else (self.kernel - 1) // 2 * self.dilation


class SqueezeStage(NamedTuple):
    """Squeeze-excite of `channels`. activation, gate: operations."""

    channels: int
    squeeze: int
    form: Form
    bias: bool
    activation: str
    gate: str
    role: str = "se"


class ActivationStage(NamedTuple):
    """An activation by itself, after squeeze-excite."""

    activation: str
    role: str = "activation"


class LinearStage(NamedTuple):
    """A linear layer, and the batch norm and activation after it."""

    role: str
    channels: int
    out: int
    bias: bool = True
    norm: bool = False
    activation: str | None = None


Stage = ConvStage | SqueezeStage | ActivationStage


class RowStages(NamedTuple):
    """A row's stages. number: of the row, from 1. adds: its input is added to its output.

    in_place: the sum may overwrite the output, which no operation keeps for its gradient.
    """

    number: int
    in_width: int
    stages: tuple[Stage, ...]
    adds: bool
    in_place: bool

    @property
    def name(self) -> str:
        """Name of the row's block."""
        return str(self.number)


def stem_stage(table: Table) -> ConvStage:
    """Return the first convolution."""
    stride = strides(table.stem_stride)
    return ConvStage(
        role="stem",
        channels=table.channels,
        out=table.stem,
        kernel=table.stem_kernel,
        stride=stride,
        bias=table.conv_bias,
        activation=table.stem_activation,
        pads=_pads(table, table.stem_kernel, stride),
    )


def row_stages(table: Table) -> Iterator[RowStages]:
    """Yield the stages of each row."""
    for name, row, width in zip(row_names(table), table.rows, in_widths(table), strict=True):
        yield one_row(table, row, width, int(name))


def one_row(table: Table, row: Row, width: int, number: int = 1) -> RowStages:
    """Return the stages of a row for an input of `width` channels."""
    squeeze = _squeeze(table, row, width) if row.se else None
    row = with_defaults(table, row)
    before = _before_projection(table, row, width)
    stages: list[Stage] = [*before]
    if squeeze and row.se_place != "after-project":
        late = before[-1].activation if before and row.se_place == "before-activation" else None
        stages = [*before, squeeze]
        if late:
            stages = [*before[:-1], before[-1]._replace(activation=None), squeeze, ActivationStage(late)]
        squeeze = None
    projection = _projection(table, row, width)
    every: tuple[Stage, ...] = (*stages, projection, *([squeeze] if squeeze else []))
    in_place = squeeze is not None or projection.activation is None
    return RowStages(number, width, every, adds_identity(row, width), in_place)


def _before_projection(table: Table, row: Row, width: int) -> list[ConvStage]:
    """Return expansion and spatial convolution. row: with the table's defaults."""
    bias, expands = bool(row.conv_bias), has_expansion(table, row, width)
    expansion = ConvStage("expand", width, row.expand, bias=bias, activation=row.activation)
    if row.conv == "fused":
        return [_spatial(table, row, expansion._replace(role="fused"))] if expands else []
    stages = [expansion] if expands else []
    if row.conv == "standard":
        return stages
    depthwise = ConvStage(
        role="depthwise",
        channels=row.expand,
        out=row.expand,
        groups=row.expand if row.conv == "separable" else 1,
        bias=bias and table.norm_between,
        norm=table.norm_between,
        activation=row.activation if table.norm_between else None,
    )
    return [*stages, _spatial(table, row, depthwise)]


def _projection(table: Table, row: Row, width: int) -> ConvStage:
    expanded = row.conv != "fused" or has_expansion(table, row, width)
    project = ConvStage(
        role="project",
        channels=row.expand if expanded else width,
        out=row.out,
        bias=bool(row.conv_bias),
        activation=_known(row.project_activation),
    )
    return _spatial(table, row, project._replace(role="standard")) if row.conv == "standard" else project


def _spatial(table: Table, row: Row, stage: ConvStage) -> ConvStage:
    """Return the stage with the row's kernel, stride and dilation."""
    stride = strides(row.stride)
    pads = _pads(table, row.kernel, stride)
    return stage._replace(kernel=row.kernel, stride=stride, dilation=row.dilation, pads=pads)


def _pads(table: Table, kernel: int, stride: tuple[int, int]) -> bool:
    """True if an operation of its own pads; at stride 1 both paddings are the same."""
    return table.padding == "same" and max(stride) > 1 and kernel > 1


def _squeeze(table: Table, row: Row, width: int) -> SqueezeStage:
    squeeze = squeeze_width(table, row, width)
    row = with_defaults(table, row)
    channels = row.out if row.se_place == "after-project" else row.expand
    form, activation, gate = (
        cast("Form", row.se_form),
        cast("str", row.se_activation),
        cast("str", row.se_gate),
    )
    return SqueezeStage(channels, squeeze, form, bool(row.se_bias), activation, gate)


def head_stages(table: Table) -> Iterator[ConvStage]:
    """Yield the convolutions before the pool."""
    width = table.rows[-1].out
    for conv in head_convs(table):
        bias = (table.conv_bias or not conv.norm) if conv.bias is None else conv.bias
        activation = _known(conv.activation or table.head_activation)
        yield ConvStage(
            "head", width, conv.out, conv.kernel, bias=bias, norm=conv.norm, activation=activation
        )
        width = conv.out


def last_stages(table: Table) -> Iterator[ConvStage | LinearStage]:
    """Yield the hidden layers after the pool and the classifier; nothing without classes."""
    if not table.classes:
        return
    width = (table.rows[-1].out, *(conv.out for conv in head_convs(table)))[-1]
    for layer in last_layers(table):
        bias = not layer.norm if layer.bias is None else layer.bias
        activation = _known(layer.activation or table.head_activation)
        if layer.form == "conv":
            yield ConvStage("hidden", width, layer.out, bias=bias, norm=layer.norm, activation=activation)
        else:
            yield LinearStage("hidden", width, layer.out, bias, layer.norm, activation)
        width = layer.out
    if table.classifier_form == "conv":
        yield ConvStage("logits", width, table.classes, bias=True, norm=False)
    else:
        yield LinearStage("logits", width, table.classes)


def _known(activation: str | None) -> str | None:
    return None if activation == NONE else activation


@lru_cache(1_024)
def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return TensorFlow's padding (before, after) of an axis of `size`, for ceil(size / stride) outputs.

    total = max((ceil(n / s) − 1) · s + (k − 1) · d + 1 − n, 0), the smaller half before.
    """
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2
