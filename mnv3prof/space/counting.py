"""How many networks of a context fit, and their mean: exact, or of a sample where there are too many sums."""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .bounds import MOST, Entries, Limits, Narrowed, narrow
from .costs import ContextTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_STEPS: Final = 5_000_000
"""Length of the longest array of numbers by sum."""
_MOST_ADDED: Final = 300_000_000
"""Number of additions of a stage, which take about a second."""
_MOST_CERTAIN: Final = 1e28
"""Larger sums are not certain to the last digit: after _MOST_STEPS additions, each with an error of 2**-53,
their float may be off by more than 2**63."""
SAMPLE: Final = 200_000


class Within(NamedTuple):
    """The networks of a context that fit. networks: all of the context.

    fit: how many fit, exact or estimated from a sample. mean: theirs of the column, None if none fits. error:
    how far the 95 % interval of the share reaches, 0 where it is exact.
    """

    networks: int
    fit: int
    mean: Fraction | None
    error: float = 0.0

    @property
    def share(self) -> float:
        """The part of the context's networks that fits."""
        return self.fit / self.networks


class _TooLongError(Exception):
    """The sums are too many to count each."""


class _Numbers(NamedTuple):
    """Whole numbers beyond 64 bits: modulo 2**64, and as floats that tell the multiple of it."""

    low: "NDArray[Any]"
    near: "NDArray[Any]"

    def whole(self, index: int) -> int:
        low, near = int(self.low[index]), int(self.near[index])
        return low + (near - low + 2**63) // 2**64 * 2**64


def count_within(table: ContextTable, limits: Limits) -> Within:
    """Return how many networks of a context fit, and the mean of the column that is maximized.

    A sample is taken where there are too many sums to count, or several limits that exclude networks and more
    than SAMPLE of them within the peak's limit.
    """
    total = _size(table)
    narrowed = narrow(table, limits)
    most = narrowed.most
    if narrowed.empty:
        return Within(total, 0, None)
    limited = [c for c in range(len(most)) if narrowed.largest[c] > most[c]]
    if len(limited) > 1 and narrowed.size <= SAMPLE:
        sums = _all(narrowed)
        return _mean_of(total, sums[(sums <= most).all(axis=1), 0].tolist())
    if len(limited) > 1 or total * int(narrowed.largest[0]) > _MOST_CERTAIN:
        return _sampled(narrowed, total)
    limit = int(most[limited[0]]) if limited else MOST
    try:
        count, added = _counted(narrowed, limited[0] if limited else None, limit)
    except _TooLongError:
        return _sampled(narrowed, total)
    return Within(total, count, Fraction(added, count) if count else None)


def _mean_of(total: int, values: list[int]) -> Within:
    return Within(total, len(values), Fraction(sum(values), len(values)) if values else None)


def _size(table: ContextTable) -> int:
    """Return the number of networks: stages have as many entries behind every width."""
    return prod(len(stage[0].out) for stage in table.stages)


class _Histogram(NamedTuple):
    """Partial networks by a sum. first: that of the first step. counts, sums (of first columns): by step."""

    first: int
    counts: _Numbers
    sums: _Numbers

    def last(self, unit: int) -> int:
        return self.first + (len(self.counts.near) - 1) * unit


def _counted(narrowed: Narrowed, column: int | None, limit: int) -> tuple[int, int]:
    """Return the number of networks with a column within a limit, and the sum of their first columns."""
    states: list[_Histogram | None] = [_start()]
    unit = _unit(narrowed, column)
    for place, stage in enumerate(narrowed.stages[:-1], 1):
        least = narrowed.least[place][:, column or 0]
        rest = [MOST if column is None else limit - int(each) for each in least]
        states = [_merged(states, stage, out, column, unit, most) for out, most in enumerate(rest)]
    count = total = 0
    for before, points in enumerate(states):
        if points is None:
            continue
        each = narrowed.stages[-1][before]
        found = _completed(points, each, narrowed.ends, column, unit, limit)
        count, total = count + found[0], total + found[1]
    return count, total


def _start() -> _Histogram:
    import numpy as np

    one, none = np.ones(1), np.zeros(1)
    return _Histogram(0, _Numbers(one.astype(np.uint64), one), _Numbers(none.astype(np.uint64), none))


def _unit(narrowed: Narrowed, column: int | None) -> int:
    """Return the greatest common divisor of the differences between the entries of each stage."""
    import numpy as np

    found = 0
    for stage in narrowed.stages if column is not None else ():
        values = np.concatenate([each.values[:, column] for each in stage])
        found = gcd(found, int(np.gcd.reduce(values - values[:1])) if len(values) else 0)
    return found or 1


def _columns(
    each: Entries, chosen: "NDArray[Any]", column: int | None
) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Return the sums and the first columns of some entries."""
    import numpy as np

    firsts = each.values[chosen, 0]
    return (np.zeros(len(firsts), np.int64) if column is None else each.values[chosen, column]), firsts


def _merged(
    states: Sequence[_Histogram | None],
    stage: Sequence[Entries],
    out: int,
    column: int | None,
    unit: int,
    most: int,
) -> _Histogram | None:
    """Return the partial networks that end in a width. most: larger sums cannot be completed."""
    import numpy as np

    parts = []
    for points, each in zip(states, stage, strict=True):
        chosen = np.flatnonzero(each.out == out)
        if points is not None and len(chosen):
            parts.append((points, *_columns(each, chosen, column)))
    if not parts:
        return None
    first = min(points.first + int(values.min()) for points, values, _ in parts)
    last = min(most, max(points.last(unit) + int(values.max()) for points, values, _ in parts))
    if last < first:
        return None
    length = (last - first) // unit + 1
    if length > _MOST_STEPS:
        raise _TooLongError
    grouped = [(points, _grouped(values, firsts)) for points, values, firsts in parts]
    if sum(len(groups) * len(points.counts.near) for points, groups in grouped) > _MOST_ADDED:
        raise _TooLongError
    new = [np.zeros(length, kind) for kind in (np.uint64, np.float64, np.uint64, np.float64)]
    for points, groups in grouped:
        for value, each_sum, number in groups:
            start = (points.first + value - first) // unit
            _add(new, start, points, each_sum, number)
    return _Histogram(first, _Numbers(new[0], new[1]), _Numbers(new[2], new[3]))


def _grouped(values: "NDArray[Any]", firsts: "NDArray[Any]") -> list[tuple[int, int, int]]:
    """Return each value with the sum of the first columns, and the number, of the entries that have it."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(values[order]) != 0]))
    sums = np.add.reduceat(firsts[order], starts)
    numbers = np.diff([*starts, len(order)])
    return list(zip(values[order][starts].tolist(), sums.tolist(), numbers.tolist(), strict=True))


def _add(new: "list[NDArray[Any]]", start: int, points: _Histogram, each_sum: int, number: int) -> None:
    """Add partial networks behind which there is each of `number` entries."""
    import numpy as np

    length = max(0, min(len(points.counts.near), len(new[0]) - start))
    end = start + length
    for low, near, (counts, sums) in ((new[0], new[1], (number, 0)), (new[2], new[3], (each_sum, number))):
        low[start:end] += np.uint64(counts) * points.counts.low[:length]
        near[start:end] += counts * points.counts.near[:length]
        if sums:
            low[start:end] += np.uint64(sums) * points.sums.low[:length]
            near[start:end] += sums * points.sums.near[:length]


def _completed(
    points: _Histogram, each: Entries, ends: "NDArray[Any]", column: int | None, unit: int, limit: int
) -> tuple[int, int]:
    """Return the number and the sum of the networks within the limit that end in a stage's entries."""
    import numpy as np

    counts, sums = (
        _Numbers(np.cumsum(numbers.low), np.cumsum(numbers.near)) for numbers in (points.counts, points.sums)
    )
    count = total = 0
    for out in range(len(ends)):
        chosen = np.flatnonzero(each.out == out)
        if not len(chosen) or ends[out, 0] >= MOST:
            continue
        end_sum, end_first = (0 if column is None else int(ends[out, column])), int(ends[out, 0])
        for value, each_sum, number in _grouped(*_columns(each, chosen, column)):
            steps = (limit - end_sum - value - points.first) // unit
            if steps < 0:
                continue
            index = min(steps, len(counts.near) - 1)
            found = counts.whole(index)
            count += number * found
            total += number * (sums.whole(index) + end_first * found) + each_sum * found
    return count, total


def _all(narrowed: Narrowed) -> "NDArray[Any]":
    """Return the columns of every network within the peak's limit."""
    import numpy as np

    behind = [end[None] if end[0] < MOST else end[:0].reshape(0, len(end)) for end in narrowed.ends]
    for stage in reversed(narrowed.stages):
        behind = [
            np.concatenate(
                [
                    (each.values[each.out == out, None] + after[None]).reshape(-1, after.shape[1])
                    for out, after in enumerate(behind)
                ]
            )
            for each in stage
        ]
    return np.asarray(behind[0])


def _sampled(narrowed: Narrowed, total: int) -> Within:
    """Estimate from networks that are drawn with equal probability among those within the peak's limit."""
    import numpy as np

    random = np.random.default_rng(0)
    within = narrowed.size
    sums = _drawn(narrowed, random)
    fits = (sums <= narrowed.most).all(axis=1)
    share = float(fits.mean())
    mean = Fraction(int(sums[fits, 0].sum()), int(fits.sum())) if fits.any() else None
    # The farther end of Wilson's interval, which is right for shares near 0 and 1 too.
    square = 1.96**2 / SAMPLE
    half = (square * (share * (1 - share) + square / 4)) ** 0.5 / (1 + square)
    error = half + abs((share + square / 2) / (1 + square) - share)
    return Within(total, round(within * share), mean, error * within / total)


def _drawn(narrowed: Narrowed, random: Any) -> "NDArray[Any]":
    """Return the columns of random networks. Each has the same probability."""
    import numpy as np

    behind = [np.where(narrowed.ends[:, 0] < MOST, 1.0, 0.0)]
    for stage in reversed(narrowed.stages):
        behind.insert(0, np.array([behind[0][each.out].sum() for each in stage]))
    sums = np.zeros((SAMPLE, narrowed.ends.shape[1]), np.int64)
    before = np.zeros(SAMPLE, np.int64)
    for place, stage in enumerate(narrowed.stages):
        after = before.copy()
        for width, each in enumerate(stage):
            here = np.flatnonzero(before == width)
            if len(here):
                steps = np.cumsum(behind[place + 1][each.out])
                drawn = np.searchsorted(steps, random.random(len(here)) * steps[-1], side="right")
                drawn = np.minimum(drawn, len(steps) - 1)  # where the product is rounded up
                sums[here] += each.values[drawn]
                after[here] = each.out[drawn]
        before = after
    return np.asarray(sums + narrowed.ends[before])
