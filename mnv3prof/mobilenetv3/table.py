"""The layer table of a MobileNetV3 or a relative."""

from collections.abc import Callable
from typing import Final, cast, get_args

import msgspec

from ..graph.errors import InputError, quote
from .fields import (
    ACTIVATION,
    BOOLEAN,
    CHANNELS,
    HEAD_RULES,
    KERNEL,
    LAST_RULES,
    MAX_CHANNELS,
    MAX_ROWS,
    NONE,
    ROW_RULES,
    SHARED_RULES,
    STRIDE,
    Conv,
    Form,
    Names,
    Padding,
    Rule,
    Scales,
    SeActivation,
    SeGate,
    SeOf,
    SePlace,
    Stride,
    check,
    choice,
    integer,
    number,
    optional,
)

_MAX_LAYERS: Final = 16


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One inverted residual block (paper, Tables 1 and 2).

    expand: expanded width in channels (absolute, not a ratio). The input width is the previous row's
        out, or the stem's width. If both are equal, the block has no expand convolution.
    stride: of both axes, or (height, width). se: squeeze-excite; a number is its squeezed width.
    identity: add the input to the output, if the stride is 1 and both have the same width.
    conv, expand_conv, conv_bias, project_activation, se_...: as of Table; None: the table's.
        project_activation "none": none.

    Raises InputError for invalid values.

    >>> mnv3prof.Row(expand=64, out=24, kernel=3, stride=2, se=False, activation="RE").dilation
    1
    """

    expand: int
    out: int
    kernel: int
    stride: Stride
    se: bool | int
    activation: str
    dilation: int = 1
    identity: bool = True
    conv: Conv | None = None
    expand_conv: bool | None = None
    conv_bias: bool | None = None
    project_activation: str | None = None
    se_ratio: int | None = None
    se_of: SeOf | None = None
    se_divisor: int | None = None
    se_form: Form | None = None
    se_bias: bool | None = None
    se_activation: SeActivation | None = None
    se_gate: SeGate | None = None
    se_place: SePlace | None = None

    def __post_init__(self) -> None:
        check(self, ROW_RULES)

    def __repr__(self) -> str:
        given = (
            (field.name, getattr(self, field.name), field.default) for field in msgspec.structs.fields(self)
        )
        return f"Row({', '.join(f'{name}={value!r}' for name, value, usual in given if value != usual)})"


class HeadConv(msgspec.Struct, frozen=True, omit_defaults=True):
    """A convolution of the head, before the pool.

    bias: None: without batch norm, or if the table has conv_bias. activation: None: the table's
        head_activation; "none": none.

    Raises InputError for invalid values.

    >>> mnv3prof.HeadConv(out=1024, norm=False)
    HeadConv(out=1024, kernel=1, bias=None, norm=False, activation=None)
    """

    out: int
    kernel: int = 1
    bias: bool | None = None
    norm: bool = True
    activation: str | None = None

    def __post_init__(self) -> None:
        check(self, HEAD_RULES)


class LastLayer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A hidden layer after the pool: a linear layer, or a 1×1 convolution of the pooled map.

    bias: None: without batch norm. activation: as of HeadConv. Raises InputError for invalid values.

    >>> mnv3prof.LastLayer(out=1280, form="conv").norm
    False
    """

    out: int
    form: Form = "linear"
    bias: bool | None = None
    norm: bool = False
    activation: str | None = None

    def __post_init__(self) -> None:
        check(self, LAST_RULES)


def _layers(width: str, of: Callable[[], type]) -> Rule:
    """Rule of `head` and `last`: a width, or a tuple of widths and of what `of` returns."""

    def accepts(value: object) -> bool:
        if type(value) is not tuple:
            return CHANNELS.accepts(value)
        each_fits = all(type(each) is of() or CHANNELS.accepts(each) for each in value)
        return len(value) <= _MAX_LAYERS and each_fits

    return Rule(f"{CHANNELS.expected}, or a list of at most {_MAX_LAYERS} {width}", accepts)


TABLE_RULES: Final = {
    "name": Rule(
        "a text of 1 to 200 printable characters",
        lambda value: type(value) is str and 0 < len(value) <= 200 and value.isprintable(),
    ),
    "channels": integer(1_024),
    "stem": CHANNELS,
    "stem_kernel": KERNEL,
    "stem_stride": STRIDE,
    "head": optional(_layers("convolutions", lambda: HeadConv)),
    "last": _layers("layers", lambda: LastLayer),
    "classes": integer(MAX_CHANNELS, 0),
    "classifier_form": choice(*get_args(Form)),
    "dropout": number(0),
    "stem_activation": ACTIVATION,
    "head_activation": ACTIVATION,
    "padding": choice(*get_args(Padding)),
    "norm_between": BOOLEAN,
    **SHARED_RULES,
    "divisor": integer(1_024),
    "stem_scales": choice(*get_args(Scales)),
    "head_scales": choice(*get_args(Scales)),
    "last_scales": choice(*get_args(Scales)),
    "bn_eps": number(1e-12),
    "bn_momentum": number(0),
    "names": choice(*get_args(Names)),
    "stages": Rule(
        f"a list of the rows of each stage, {CHANNELS.expected}",
        lambda value: type(value) is tuple and all(CHANNELS.accepts(each) for each in value),
    ),
}


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The layers of a MobileNetV3 or a relative: rows, the widths of the other layers, and options.

    channels: of the image. stem, stem_kernel, stem_stride: the first convolution.
    head: the convolutions before the pool, a width or a tuple of widths and HeadConv (None: a 1×1
        convolution to 6 × the last row's out). last: likewise the hidden layers after the pool, of
        widths and LastLayer. classes: output channels; 0: the network ends after the head, without pool.
    conv: "separable" is the paper's block. "standard" replaces each depthwise + project pair by one
        k×k convolution. "dense-depthwise" replaces only the depthwise convolution, by a dense one.
        "fused" replaces expand and depthwise by one k×k convolution, which, as the expand convolution, is
        left out where the expanded width is the input width: such a row is its projection alone.
    expand_conv: expand also where the expanded width is the input width. conv_bias: convolutions before
        batch norm have a bias too, except those of last. project_activation: after the projection.
        norm_between: batch norm and activation between depthwise and project.
    padding: "symmetric", or "same" as in TensorFlow: at stride 2 the larger half is at the end.
    se_ratio, se_of, se_divisor: squeezed width = make_divisible(width / ratio), where the width is what
        squeeze-excite scales ("expand") or the row's input ("input"); se_divisor None: divisor; 1: rounded.
    se_form, se_bias: its two layers. se_activation, se_gate: its inner and outer activation;
        "hardsigmoid" is PyTorch's own operation, "hardsigmoid_relu6" composes it as ReLU6(x + 3) / 6.
    se_place: "after-depthwise" is the paper's. "before-activation": between the depthwise convolution's
        batch norm and its activation. "after-project": on the row's out.
    divisor: of make_divisible. stem_scales, head_scales, last_scales: if a width multiplier scales the
        stem, explicit widths of head, and last. bn_eps, bn_momentum: as in torch.nn.BatchNorm2d.
    names: the release whose names the parameters have. stages: rows of each stage, only with timm's names
        ((): a stage begins where out changes or the stride is not 1).

    Raises InputError for invalid values.

    >>> row = mnv3prof.Row(expand=16, out=16, kernel=3, stride=1, se=False, activation="RE")
    >>> table = mnv3prof.Table(name="mine", rows=(row,), stem=16, last=64, classes=10)
    >>> mnv3prof.total(mnv3prof.count(mnv3prof.expand(table, 32))).params
    9514
    """

    name: str
    rows: tuple[Row, ...]
    channels: int = 3
    stem: int = 16
    stem_kernel: int = 3
    stem_stride: Stride = 2
    head: int | tuple[int | HeadConv, ...] | None = None
    last: int | tuple[int | LastLayer, ...] = 1280
    classes: int = 1000
    classifier_form: Form = "linear"
    dropout: float = 0.2
    stem_activation: str = "HS"
    head_activation: str = "HS"
    conv: Conv = "separable"
    expand_conv: bool = False
    conv_bias: bool = False
    project_activation: str = NONE
    norm_between: bool = True
    padding: Padding = "symmetric"
    se_ratio: int = 4
    se_of: SeOf = "expand"
    se_divisor: int | None = None
    se_form: Form = "conv"
    se_bias: bool = True
    se_activation: SeActivation = "relu"
    se_gate: SeGate = "hardsigmoid"
    se_place: SePlace = "after-depthwise"
    divisor: int = 8
    stem_scales: Scales = "always"
    head_scales: Scales = "always"
    last_scales: Scales = "above-1"
    bn_eps: float = 1e-3
    bn_momentum: float = 0.01
    names: Names = "torchvision"
    stages: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check(self, TABLE_RULES)
        if type(self.rows) is not tuple or not all(isinstance(row, Row) for row in self.rows):
            raise InputError(f"rows: {quote(self.rows)} is not allowed; expected a tuple of Row")
        if not 1 <= len(self.rows) <= MAX_ROWS:
            raise InputError(row_count_problem(len(self.rows)))
        _check_whole(self)

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {len(self.rows)} rows)"


def _check_whole(table: Table) -> None:
    """Raise InputError for values that cannot be combined."""
    if table.head is None and (wide := 6 * table.rows[-1].out) > MAX_CHANNELS:
        raise InputError(f"head: 6 × the last out is {wide:,} channels; expected {CHANNELS.expected}")
    forms = [layer.form for layer in _given_layers(table)]  # with and without classes
    after = "last" if forms != sorted(forms) else "classifier_form" if forms[-1:] == ["linear"] else ""
    if after == "last" or (after and table.classifier_form == "conv"):
        raise InputError(f"{after}: a convolution after a linear layer is not allowed; expected linear")
    if table.names == "timm" and len(forms) > 1:
        raise InputError(f"last: {len(forms)} layers are not allowed; expected at most 1 with names timm")
    if table.stages and table.names != "timm":
        raise InputError(f'stages: they are not used with names {table.names}; expected names = "timm"')
    if table.stages and sum(table.stages) != len(table.rows):
        total = sum(table.stages)
        raise InputError(f"stages: they have {total:,} rows; expected {len(table.rows):,}, as in rows")
    for n, (row, width) in enumerate(zip(table.rows, in_widths(table), strict=True), 1):
        fused, expands = with_defaults(table, row).conv == "fused", has_expansion(table, row, width)
        if fused and not expands and strides(row.stride) != (1, 1):
            raise InputError(
                f"rows: row {n} is fused without expansion, so it has no k×k convolution; expected stride 1 "
                "or expand_conv = true"
            )


def row_count_problem(count: int) -> str:
    """Return the message for a wrong number of rows."""
    return f"rows: {count:,} rows are not allowed; expected 1 to {MAX_ROWS:,}"


def head_convs(table: Table) -> tuple[HeadConv, ...]:
    """Return the convolutions before the pool."""
    head = 6 * table.rows[-1].out if table.head is None else table.head
    return tuple(
        HeadConv(each) if isinstance(each, int) else each
        for each in (head if isinstance(head, tuple) else (head,))
    )


def last_layers(table: Table) -> tuple[LastLayer, ...]:
    """Return the hidden layers after the pool; none without classes."""
    return _given_layers(table) if table.classes else ()


def _given_layers(table: Table) -> tuple[LastLayer, ...]:
    last = table.last if isinstance(table.last, tuple) else (table.last,)
    return tuple(LastLayer(each) if isinstance(each, int) else each for each in last)


STEM: Final = "stem"
HEAD: Final = "head"
"""Names of the blocks that are not rows."""


def row_names(table: Table) -> tuple[str, ...]:
    """Names of the rows' blocks: 1, 2, ..."""
    return tuple(str(number) for number in range(1, len(table.rows) + 1))


def in_widths(table: Table) -> tuple[int, ...]:
    """Input channels of each row."""
    return (table.stem, *(row.out for row in table.rows[:-1]))


def strides(stride: Stride) -> tuple[int, int]:
    """Return (height, width) of a stride."""
    return stride if isinstance(stride, tuple) else (stride, stride)


def with_defaults(table: Table, row: Row) -> Row:
    """Return `row` with the table's options for those that it leaves out."""
    left_out = {name: getattr(table, name) for name in SHARED_RULES if getattr(row, name) is None}
    return msgspec.structs.replace(row, **left_out) if left_out else row


def has_expansion(table: Table, row: Row, in_width: int) -> bool:
    """Return True if the block has the convolution to its expanded width."""
    always = table.expand_conv if row.expand_conv is None else row.expand_conv
    return always or row.expand != in_width


def adds_identity(row: Row, in_width: int) -> bool:
    """Return True if the block adds its input to its output."""
    return row.identity and strides(row.stride) == (1, 1) and in_width == row.out


def squeeze_width(table: Table, row: Row, in_width: int) -> int:
    """Channels between the two layers of a row's squeeze-excite."""
    if type(row.se) is int:
        return row.se
    row = with_defaults(table, row)
    scaled = row.out if row.se_place == "after-project" else row.expand
    width = (in_width if row.se_of == "input" else scaled) / cast("int", row.se_ratio)
    divisor = row.se_divisor or table.divisor
    return max(1, round(width)) if divisor == 1 else make_divisible(width, divisor)


def make_divisible(value: float, divisor: int = 8) -> int:
    """Round `value` channels to a multiple of `divisor`, not below 0.9 of the value.

    max(d, floor((v + d/2) / d) · d), plus d if that is below 0.9 v (TF-slim, mobilenet.py).
    """
    width = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return width + divisor if width < 0.9 * value else width
