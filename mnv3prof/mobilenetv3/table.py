"""The layer table of a MobileNetV3, and its valid values."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ..graph.errors import InputError, quote
from ..graph.ops import OPS

MAX_CHANNELS: Final = 65_536
MAX_ROWS: Final = 1_000

ACTIVATIONS: Final = {op.code: op.name for op in OPS.values() if op.code}
"""Operation of each activation code. HS is PyTorch's h-swish in one operation; HS-RELU6 composes it as
x · ReLU6(x + 3) / 6, HS-CLAMP as x · clamp(x + 3, 0, 6) / 6."""

Conv = Literal["separable", "standard", "dense-depthwise"]
SeForm = Literal["conv", "linear"]


class _Rule(NamedTuple):
    expected: str
    accepts: Callable[[Any], bool]


def _integer(high: int) -> _Rule:
    return _Rule(f"an integer from 1 to {high:,}", lambda value: type(value) is int and 1 <= value <= high)


def _choice(*options: str | int) -> _Rule:
    words = ", ".join(map(str, options[:-1])) + f" or {options[-1]}"
    return _Rule(words, lambda value: type(value) in (str, int) and value in options)


def _number(low: float) -> _Rule:
    expected = f"a number of at least {low:g} and less than 1"
    return _Rule(expected, lambda value: type(value) in (int, float) and low <= value < 1)


_BOOLEAN = _Rule("true or false", lambda value: type(value) is bool)
_CHANNELS = _integer(MAX_CHANNELS)
_ACTIVATION = _choice(*ACTIVATIONS)

ROW_RULES: Final = {
    "expand": _CHANNELS,
    "out": _CHANNELS,
    "kernel": _Rule("an odd integer from 1 to 63", lambda v: type(v) is int and v in range(1, 64, 2)),
    "stride": _choice(1, 2),
    "se": _BOOLEAN,
    "activation": _ACTIVATION,
    "dilation": _integer(64),
    "identity": _BOOLEAN,
}

TABLE_RULES: Final = {
    "name": _Rule(
        "a text of 1 to 200 printable characters",
        lambda value: type(value) is str and 0 < len(value) <= 200 and value.isprintable(),
    ),
    "stem": _CHANNELS,
    "head": _Rule(f"{_CHANNELS.expected}, or left out", lambda v: v is None or _CHANNELS.accepts(v)),
    "last": _CHANNELS,
    "classes": _CHANNELS,
    "dropout": _number(0),
    "stem_activation": _ACTIVATION,
    "head_activation": _ACTIVATION,
    "conv": _choice("separable", "standard", "dense-depthwise"),
    "norm_between": _BOOLEAN,
    "se_ratio": _integer(1_024),
    "se_form": _choice("conv", "linear"),
    "se_activation": _choice("relu", "relu6"),
    "se_gate": _choice("hardsigmoid", "hardsigmoid_relu6", "sigmoid"),
    "divisor": _integer(1_024),
    "bn_eps": _number(1e-12),
    "bn_momentum": _number(0),
}


def _check(struct: msgspec.Struct, rules: dict[str, _Rule]) -> None:
    for field, rule in rules.items():
        value = getattr(struct, field)
        if not rule.accepts(value):
            name = "SE" if field == "se" else field
            raise InputError(f"{name}: {quote(value)} is not allowed; expected {rule.expected}")


class Row(msgspec.Struct, frozen=True):
    """One inverted residual block (paper, Tables 1 and 2).

    expand: expanded width in channels (absolute, not a ratio). The input width is the previous row's
        out, or the stem's width. If both are equal, the block has no expand convolution.
    identity: add the input to the output, if the stride is 1 and both have the same width.

    Raises InputError for invalid values.

    >>> mnv3prof.Row(expand=64, out=24, kernel=3, stride=2, se=False, activation="RE").dilation
    1
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
    """The layers of a MobileNetV3: rows, the widths of the other layers, and options.

    stem, head, last, classes: widths in channels of the first convolution, of the last 1×1
        convolution (None: 6 × the last row's out), of the hidden linear layer, and of the output.
    conv: "separable" is the paper's block. "standard" replaces each depthwise + project pair by one
        k×k convolution. "dense-depthwise" replaces only the depthwise convolution, by a dense one.
    norm_between: batch norm and activation between depthwise and project.
    se_ratio, se_form: reduction of squeeze-excite, and its two layers as 1×1 convolutions or linear
        layers. se_activation, se_gate: its inner and outer activation; "hardsigmoid" is PyTorch's
        own operation, "hardsigmoid_relu6" composes it as ReLU6(x + 3) / 6.
    divisor: of make_divisible. bn_eps, bn_momentum: as in torch.nn.BatchNorm2d.

    Raises InputError for invalid values.

    >>> row = mnv3prof.Row(expand=16, out=16, kernel=3, stride=1, se=False, activation="RE")
    >>> table = mnv3prof.Table(name="mine", rows=(row,), stem=16, last=64, classes=10)
    >>> mnv3prof.total(mnv3prof.count(mnv3prof.expand(table, 32))).params
    9514
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
            raise InputError(f"rows: {quote(self.rows)} is not allowed; expected a tuple of Row")
        if not 1 <= len(self.rows) <= MAX_ROWS:
            raise InputError(row_count_problem(len(self.rows)))
        if head_width(self) > MAX_CHANNELS:
            raise InputError(
                f"head: 6 × the last out is {head_width(self):,} channels; expected {_CHANNELS.expected}"
            )

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {len(self.rows)} rows)"


def row_count_problem(count: int) -> str:
    """Return the message for a wrong number of rows."""
    return f"rows: {count:,} rows are not allowed; expected 1 to {MAX_ROWS:,}"


def head_width(table: Table) -> int:
    """Channels of the last 1×1 convolution: table.head, or 6 × the last row's out."""
    return 6 * table.rows[-1].out if table.head is None else table.head


STEM: Final = "stem"
HEAD: Final = "head"
"""Names of the blocks that are not rows."""


def row_names(table: Table) -> tuple[str, ...]:
    """Names of the rows' blocks: 1, 2, ..."""
    return tuple(str(number) for number in range(1, len(table.rows) + 1))


def in_widths(table: Table) -> tuple[int, ...]:
    """Input channels of each row."""
    return (table.stem, *(row.out for row in table.rows[:-1]))


def adds_identity(row: Row, in_width: int) -> bool:
    """Return True if the block adds its input to its output."""
    return row.identity and row.stride == 1 and in_width == row.out


def squeeze_width(table: Table, row: Row) -> int:
    """Channels between the two layers of a row's squeeze-excite."""
    return make_divisible(row.expand / table.se_ratio, table.divisor)


def make_divisible(value: float, divisor: int = 8) -> int:
    """Round `value` channels to a multiple of `divisor`, not below 0.9 of the value.

    max(d, floor((v + d/2) / d) · d), plus d if that is below 0.9 v (TF-slim, mobilenet.py).
    """
    width = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return width + divisor if width < 0.9 * value else width


def pair_saving(row: Row) -> float:
    """MACs of a standard k×k convolution ÷ MACs of the separable pair: 1 / (1/N + 1/k²).

    N: output channels (Howard et al., MobileNets, arXiv 1704.04861, section 3.1).
    """
    return 1 / (1 / row.out + 1 / row.kernel**2)


def separable_savings(tables: Sequence[Table]) -> dict[str, float]:
    """Return pair_saving by block, if another table is the standard form of the first.

    {} if the first table is not separable, or if no other has standard convolutions and the same rows.
    """
    first, *others = tables
    standard = [_pair_shapes(other) for other in others if other.conv == "standard"]
    if first.conv != "separable" or _pair_shapes(first) not in standard:
        return {}
    return {name: pair_saving(row) for name, row in zip(row_names(first), first.rows, strict=True)}


def _pair_shapes(table: Table) -> list[tuple[int, int, int]]:
    """Widths and kernel of each row's depthwise + project pair."""
    return [(row.expand, row.out, row.kernel) for row in table.rows]
