"""The layer table: what a MobileNetV3 is, row by row, and which values make a network."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ..graph.errors import InputError, shown
from ..graph.ops import OPS

MAX_CHANNELS: Final = 65_536
MAX_ROWS: Final = 1_000

ACTIVATIONS: Final = {op.code: op.name for op in OPS.values() if op.code}
"""Activation codes of a table and the operation each stands for. HS is PyTorch's fused h-swish;
HS-RELU6 writes it out as x · ReLU6(x + 3) / 6, HS-CLAMP as x · clamp(x + 3, 0, 6) / 6."""

Conv = Literal["separable", "standard", "dense-depthwise"]
SeForm = Literal["conv", "linear"]


class _Rule(NamedTuple):
    allowed: str
    accepts: Callable[[Any], bool]


def _integer(low: int, high: int) -> _Rule:
    return _Rule(
        f"an integer from {low:,} to {high:,}",
        lambda value: type(value) is int and low <= value <= high,
    )


def _odd(low: int, high: int) -> _Rule:
    return _Rule(
        f"an odd integer from {low} to {high}",
        lambda value: type(value) is int and low <= value <= high and value % 2 == 1,
    )


def _choice(*options: str | int) -> _Rule:
    words = ", ".join(map(str, options[:-1])) + f" or {options[-1]}"
    return _Rule(words, lambda value: type(value) in (str, int) and value in options)


def _number(low: float, high: float, words: str) -> _Rule:
    return _Rule(words, lambda value: type(value) in (int, float) and low <= value < high)


_BOOLEAN = _Rule("true or false", lambda value: type(value) is bool)
_CHANNELS = _integer(1, MAX_CHANNELS)
_ACTIVATION = _choice(*ACTIVATIONS)

ROW_RULES: Final = {
    "expand": _CHANNELS,
    "out": _CHANNELS,
    "kernel": _odd(1, 63),
    "stride": _choice(1, 2),
    "se": _BOOLEAN,
    "activation": _ACTIVATION,
    "dilation": _integer(1, 64),
    "identity": _BOOLEAN,
}

TABLE_RULES: Final = {
    "name": _Rule(
        "a text of 1 to 200 printable characters",
        lambda value: type(value) is str and 0 < len(value) <= 200 and value.isprintable(),
    ),
    "stem": _CHANNELS,
    "head": _Rule(f"{_CHANNELS.allowed}, or left out", lambda v: v is None or _CHANNELS.accepts(v)),
    "last": _CHANNELS,
    "classes": _CHANNELS,
    "dropout": _number(0, 1, "a number from 0 up to, but not, 1"),
    "stem_activation": _ACTIVATION,
    "head_activation": _ACTIVATION,
    "conv": _choice("separable", "standard", "dense-depthwise"),
    "norm_between": _BOOLEAN,
    "se_ratio": _integer(1, 1_024),
    "se_form": _choice("conv", "linear"),
    "se_activation": _choice("relu", "relu6"),
    "se_gate": _choice("hardsigmoid", "hardsigmoid_relu6", "sigmoid"),
    "divisor": _integer(1, 1_024),
    "bn_eps": _number(1e-12, 1, "a number from 1e-12 up to, but not, 1"),
    "bn_momentum": _number(0, 1, "a number from 0 up to, but not, 1"),
}


def _check(struct: msgspec.Struct, rules: dict[str, _Rule]) -> None:
    for field, rule in rules.items():
        value = getattr(struct, field)
        if not rule.accepts(value):
            name = "SE" if field == "se" else field
            raise InputError(f"{name}: {shown(value)} is not allowed; allowed is {rule.allowed}")


class Row(msgspec.Struct, frozen=True):
    """One inverted residual block (paper, Tables 1 and 2).

    `expand` is the absolute expanded width, in channels. The input width is no field: it is the
    previous row's `out`, or the stem's width. A row that expands to its input width has no expand
    convolution. The identity is added where the stride is 1 and input and output are equally wide,
    unless `identity` is false. Raises InputError where a value makes no block.
    """

    expand: int
    out: int
    kernel: int
    stride: int
    se: bool
    activation: str
    dilation: int = 1
    identity: bool = True

    def __post_init__(self) -> None:
        _check(self, ROW_RULES)


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A MobileNetV3 on paper: rows, the widths around them, and every option that changes a layer.

    stem, head, last, classes: widths in channels of the first convolution, of the last 1×1
        convolution (None: 6 × the last row's out), of the hidden linear layer, and of the output.
    conv: "separable" is the paper's block; "standard" makes one k×k convolution of each
        depthwise + project pair; "dense-depthwise" makes only the depthwise dense.
    norm_between: batch norm and activation between depthwise and project.
    se_ratio, se_form, se_activation, se_gate: the squeeze-excite block's reduction, its two layers
        as 1×1 convolutions or linear layers, and its inner and outer activation ("hardsigmoid" is
        PyTorch's own, "hardsigmoid_relu6" writes it out as ReLU6(x + 3) / 6).
    divisor: what make_divisible rounds to. bn_eps, bn_momentum: as in torch.nn.BatchNorm2d.

    Raises InputError where a value makes no network.
    """

    name: str
    rows: tuple[Row, ...]
    stem: int = 16
    head: int | None = None
    last: int = 1280
    classes: int = 1000
    dropout: float = 0.2
    stem_activation: str = "HS"
    head_activation: str = "HS"
    conv: Conv = "separable"
    norm_between: bool = True
    se_ratio: int = 4
    se_form: SeForm = "conv"
    se_activation: Literal["relu", "relu6"] = "relu"
    se_gate: Literal["hardsigmoid", "hardsigmoid_relu6", "sigmoid"] = "hardsigmoid"
    divisor: int = 8
    bn_eps: float = 1e-3
    bn_momentum: float = 0.01

    def __post_init__(self) -> None:
        _check(self, TABLE_RULES)
        if type(self.rows) is not tuple or not all(isinstance(row, Row) for row in self.rows):
            raise InputError(f"rows: {shown(self.rows)} is not allowed; allowed is a tuple of Row")
        if not 1 <= len(self.rows) <= MAX_ROWS:
            raise InputError(row_count_problem(len(self.rows)))
        if head_width(self) > MAX_CHANNELS:
            raise InputError(
                f"head: 6 × the last out is {head_width(self):,} channels; "
                f"give a head of its own, {_CHANNELS.allowed}"
            )


def row_count_problem(count: int) -> str:
    """Why no table has `count` rows, as a sentence that begins with the key."""
    return f"rows: {count:,} rows are not allowed; 1 to {MAX_ROWS:,} are"


def head_width(table: Table) -> int:
    """Channels of the last 1×1 convolution: exactly 6 × the last row's out unless the table says."""
    return 6 * table.rows[-1].out if table.head is None else table.head


STEM: Final = "stem"
HEAD: Final = "head"
CLASSIFIER: Final = "classifier"
"""The names of the blocks around those of the rows."""


def row_names(table: Table) -> tuple[str, ...]:
    """The names of the blocks that the table's rows make."""
    return tuple(str(number) for number in range(1, len(table.rows) + 1))


def in_widths(table: Table) -> tuple[int, ...]:
    """Input channels of each row."""
    return (table.stem, *(row.out for row in table.rows[:-1]))


def adds_identity(row: Row, in_width: int) -> bool:
    """Whether the block adds its input to its output."""
    return row.identity and row.stride == 1 and in_width == row.out


def squeeze_width(table: Table, row: Row) -> int:
    """Channels between the two layers of a row's squeeze-excite block."""
    return make_divisible(row.expand / table.se_ratio, table.divisor)


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value` channels, at least one and never below 0.9 of it.

    max(d, floor((v + d/2) / d) · d), and d more where that is below 0.9 v (TF-slim, mobilenet.py).
    """
    width = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return width + divisor if width < 0.9 * value else width


def pair_saving(row: Row) -> float:
    """How often a separable pair's MACs a standard k×k convolution needs: 1 / (1/N + 1/k²), N the
    output channels (Howard et al., MobileNets, arXiv 1704.04861, section 3.1).
    """
    return 1 / (1 / row.out + 1 / row.kernel**2)


def separable_savings(tables: Sequence[Table]) -> dict[str, float]:
    """The pair's saving of each row's block, where the first table is separable and another is its
    standard form.
    """
    first, *others = tables
    standard = [_pairs(other) for other in others if other.conv == "standard"]
    if first.conv != "separable" or _pairs(first) not in standard:
        return {}
    return {name: pair_saving(row) for name, row in zip(row_names(first), first.rows, strict=True)}


def _pairs(table: Table) -> list[tuple[int, int, int]]:
    """What the cost of each row's depthwise + project pair depends on, beside its size."""
    return [(row.expand, row.out, row.kernel) for row in table.rows]
