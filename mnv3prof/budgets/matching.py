"""Search for the width at which a network costs as much as another."""

from collections.abc import Callable
from math import exp, log
from typing import Final, NamedTuple

from ..cost.counts import Dtype
from ..graph.errors import InputError
from ..record.run import Subject
from .figures import figures

_STEPS: Final = 1_000
"""Widths are multiples of 1 / _STEPS ..."""
_MOST: Final = 10
"""... up to this one."""

Scaled = Callable[[float], Subject]
"""Returns a network at a width multiplier."""


class Matched(NamedTuple):
    """A network at the width that makes a metric most like `wanted`. value: what it is there."""

    subject: Subject
    width: float
    value: float
    wanted: float


def matched(base: Subject, scaled: Scaled, metric: str, dtype: Dtype = "fp32", batch: int = 1) -> Matched:
    """Return the network at the width whose metric is nearest to that of `base`. Raises InputError.

    metric: one of figures.NAMES, which does not fall with the width. Of widths with the same value a large
    and short one is taken. A network that misses the value by more than half of it is refused.
    """

    def value(subject: Subject) -> int:
        found = figures(subject.graph, dtype, batch)[metric]
        if found.value is None:
            raise InputError(f"{metric}: {found.reason}; expected another metric or dtype")
        return found.value

    def at(thousandths: int) -> int:
        return value(scaled(thousandths / _STEPS))

    wanted = value(base)
    low, high = 1, _MOST * _STEPS
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if at(middle) < wanted else (low, middle)
    near = min([low, max(1, low - 1)], key=lambda n: abs(at(n) - wanted))
    best = at(near)
    if abs(best - wanted) > wanted / 2:
        name = scaled(1.0).name
        raise InputError(
            f"{metric}: no width up to {_MOST} gives {name} {wanted:,}; the nearest value is {best:,}"
        )
    last = _last(near, high=_MOST * _STEPS, is_same=lambda n: at(n) == best)
    width = _shortest(last, lambda n: at(n) == best)
    return Matched(scaled(width), width, best, wanted)


def _last(first: int, high: int, is_same: Callable[[int], bool]) -> int:
    """Return the last number from `first` to `high` that is the same, where all before it are too."""
    low = first
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_same(middle) else (low, middle - 1)
    return low


def _shortest(thousandths: int, is_same: Callable[[int], bool]) -> float:
    """Return the width with the fewest decimals, of hundredths and up, just below and as good."""
    for step in (100, 50, 10, 5):
        rounded = thousandths // step * step
        if rounded and is_same(rounded):
            return rounded / _STEPS
    return thousandths / _STEPS


def next_width(widths: list[float], ratios: list[float]) -> float:
    """Return the width at which a time would be equal, from measured ratios of it to the other network's.

    The time is taken to be a power of the width, with the exponent that the two nearest ratios show, or 1.
    """
    points = sorted(zip(map(log, widths), map(log, ratios), strict=True), key=lambda point: abs(point[1]))
    (x, y), *others = points
    slopes = [(y - other) / (x - at) for at, other in others[:1] if x != at]
    slope = min(max(slopes[0] if slopes else 1.0, 0.3), 3.0)
    return round(min(max(exp(x - y / slope), 1 / _STEPS), _MOST), 3)
