"""Values that the fields of a layer table can have."""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from ..graph.errors import InputError, any_of, quote_as_written
from ..graph.ops import OPS

MAX_CHANNELS: Final = 65_536
MAX_ROWS: Final = 1_000

ACTIVATIONS: Final = {op.code: op.name for op in OPS.values() if op.code}
"""Operation of each activation code. HS is PyTorch's h-swish in one operation; HS-RELU6 composes it as
x · ReLU6(x + 3) / 6, HS-CLAMP as x · clamp(x + 3, 0, 6) / 6."""

Conv = Literal["separable", "standard", "dense-depthwise", "fused"]
Form = Literal["conv", "linear"]
Padding = Literal["symmetric", "same"]
SeOf = Literal["expand", "input"]
SePlace = Literal["after-depthwise", "before-activation", "after-project"]
SeActivation = Literal["relu", "relu6", "hardswish", "hardswish_relu6", "hardswish_clamp", "swish"]
SeGate = Literal["hardsigmoid", "hardsigmoid_relu6", "sigmoid"]
Scales = Literal["always", "above-1", "never"]
Names = Literal["torchvision", "torchvision-v2", "timm"]
Stride = int | tuple[int, int]

NONE: Final = "none"
"""Code of no activation, where the table's own would be used."""

_MAX_STRIDE: Final = 8


class Rule(NamedTuple):
    """What a field can be, in words and as a test."""

    expected: str
    accepts: Callable[[Any], bool]


def integer(high: int, low: int = 1) -> Rule:
    """Return the rule of an integer."""
    return Rule(
        f"an integer from {low} to {high:,}", lambda value: type(value) is int and low <= value <= high
    )


def choice(*options: str) -> Rule:
    """Return the rule of one of several words."""
    return Rule(any_of(options), lambda value: type(value) is str and value in options)


def number(low: float) -> Rule:
    """Return the rule of a number below 1."""
    expected = f"a number of at least {low:g} and less than 1"
    return Rule(expected, lambda value: type(value) in (int, float) and low <= value < 1)


def optional(rule: Rule) -> Rule:
    """Return the rule of a field that may be left out."""
    return Rule(f"{rule.expected}, or left out", lambda value: value is None or rule.accepts(value))


def _is_stride(value: object) -> bool:
    pair = value if type(value) is tuple and len(value) == 2 else (value,)
    fit = all(type(each) is int and 1 <= each <= _MAX_STRIDE for each in pair)
    return fit and (len(pair) == 1 or pair[0] != pair[1])  # one value for one stride


def _is_se(value: object) -> bool:
    return type(value) is bool or SQUEEZED.accepts(value)


BOOLEAN = Rule("true or false", lambda value: type(value) is bool)
CHANNELS = integer(MAX_CHANNELS)
SQUEEZED = integer(MAX_CHANNELS, 2)  # 1 may stand for true
ACTIVATION = choice(*ACTIVATIONS)
ANY_ACTIVATION = choice(*ACTIVATIONS, NONE)
KERNEL = Rule("an odd integer from 1 to 63", lambda v: type(v) is int and v in range(1, 64, 2))
STRIDE = Rule(f"an integer from 1 to {_MAX_STRIDE}, or [height, width] that differ", _is_stride)

_SE_RULES: Final = {
    "se_ratio": integer(1_024),
    "se_of": choice(*get_args(SeOf)),
    "se_divisor": optional(integer(1_024)),
    "se_form": choice(*get_args(Form)),
    "se_bias": BOOLEAN,
    "se_activation": choice(*get_args(SeActivation)),
    "se_gate": choice(*get_args(SeGate)),
    "se_place": choice(*get_args(SePlace)),
}
SHARED_RULES: Final = {
    "conv": choice(*get_args(Conv)),
    "expand_conv": BOOLEAN,
    "conv_bias": BOOLEAN,
    "project_activation": ANY_ACTIVATION,
    **_SE_RULES,
}
"""Options of a row whose default is the table's."""

ROW_RULES: Final = {
    "expand": CHANNELS,
    "out": CHANNELS,
    "kernel": KERNEL,
    "stride": STRIDE,
    "se": Rule(f"true, false, or the squeezed width, {SQUEEZED.expected}", _is_se),
    "activation": ACTIVATION,
    "dilation": integer(64),
    "identity": BOOLEAN,
    **{name: optional(rule) for name, rule in SHARED_RULES.items()},
}

HEAD_RULES: Final = {
    "out": CHANNELS,
    "kernel": KERNEL,
    "bias": optional(BOOLEAN),
    "norm": BOOLEAN,
    "activation": optional(ANY_ACTIVATION),
}

LAST_RULES: Final = {
    "out": CHANNELS,
    "form": choice(*get_args(Form)),
    "bias": optional(BOOLEAN),
    "norm": BOOLEAN,
    "activation": optional(ANY_ACTIVATION),
}


def check(struct: msgspec.Struct, rules: dict[str, Rule]) -> None:
    """Raise InputError for the first field that breaks its rule."""
    for field, rule in rules.items():
        value = getattr(struct, field)
        if not rule.accepts(value):
            name = "SE" if field == "se" else field
            given = list(value) if type(value) is tuple else value  # as in a file
            raise InputError(f"{name}: {quote_as_written(given)} is not allowed; expected {rule.expected}")
