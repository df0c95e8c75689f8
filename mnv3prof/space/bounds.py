"""What a context's networks can have at most within budgets, by Lagrangian relaxation.

With a price on each column that has a limit, the stages are independent: the maximum of the sum is the sum of
the maxima, and no network within the limits exceeds it, whatever the prices are. Source: Everett, Generalized
Lagrange multiplier method, Operations Research 11 (1963).
"""

from collections.abc import Mapping
from math import floor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .costs import PEAK, ContextTable, StageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: Final = 2**62
"""More than any cost: a limit where there is none, and the cost of what cannot be completed."""
_ROUNDS: Final = 30
_ROUNDING: Final = 2.0**-48
"""More than the relative rounding error of a few dozen additions."""
_NEAR: Final = 1e-4
"""Prices are good enough if they bound the networks this near to the best prices."""


class Limits(NamedTuple):
    """Budgets. most: limit by column. maximize: the column of which there is to be as much as possible."""

    most: Mapping[int, int]
    maximize: int

    @property
    def capped(self) -> bool:
        """True if there is a limit on what is maximized."""
        return self.maximize in self.most

    def without_cap(self) -> "Limits":
        """Return the limits on the other columns."""
        return Limits({c: most for c, most in self.most.items() if c != self.maximize}, self.maximize)


class Entries(NamedTuple):
    """Some entries of a stage. values: (entries, columns). out: number of the width behind each."""

    numbers: "NDArray[Any]"
    values: "NDArray[Any]"
    out: "NDArray[Any]"


class Narrowed(NamedTuple):
    """The entries of a context within a limit of the peak. Of the columns that count, the first is maximized.

    most: limit of each column. stages: by the number of the width before. ends: (widths, columns). least:
    before each stage and at the end, by width, what must still be added to each column at least.
    """

    most: "NDArray[Any]"
    stages: tuple[tuple[Entries, ...], ...]
    ends: "NDArray[Any]"
    least: "tuple[NDArray[Any], ...]"

    @property
    def largest(self) -> "NDArray[Any]":
        """Columns that no sum of entries, and no limit, exceeds."""
        import numpy as np

        ends = np.where(self.ends < MOST, self.ends, 0).max(axis=0)
        stages = [
            np.max([each.values.max(axis=0, initial=0) for each in stage], axis=0) for stage in self.stages
        ]
        return np.asarray(np.maximum(ends + np.sum(stages, axis=0), np.where(self.most < MOST, self.most, 0)))

    @property
    def empty(self) -> bool:
        """True if the least of a column is above its limit, or no network is within that of the peak."""
        least = self.least[0][0]
        return bool((least > self.most).any() or least[0] >= MOST)

    @property
    def size(self) -> int:
        """The number of networks."""
        import numpy as np

        count: list[int] = [int(end < MOST) for end in self.ends[:, 0]]
        for stage in reversed(self.stages):
            ways = [np.bincount(each.out, minlength=len(count)).tolist() for each in stage]
            count = [sum(w * c for w, c in zip(each, count, strict=True)) for each in ways]
        return count[0]


class Relaxed(NamedTuple):
    """Bounds at certain prices. bound: of the whole network. prices: of each column; the first is 1 less its
    price. behind: before each stage and at the end, by width, the maximum of what follows, at these prices.
    offset: the part of the bound that no network's columns change. sums: columns of the network that has the
    maximum. slack: more than what rounding can change of a bound.
    """

    bound: float
    prices: "NDArray[Any]"
    behind: "tuple[NDArray[Any], ...]"
    offset: float
    sums: "NDArray[Any]"
    slack: float

    def worth(self, values: "NDArray[Any]", place: int, out: "NDArray[Any] | int") -> "NDArray[Any]":
        """Return the most that networks can have that begin with sums `values`, before a stage."""
        import numpy as np

        return np.asarray(values @ self.prices + (self.behind[place][out] + self.offset))

    @property
    def most(self) -> int:
        """An integer that no network within the limits exceeds."""
        return floor(self.bound + self.slack)

    def may_have(self, least: int) -> bool:
        """Return False if no network within the limits has that much of the first column."""
        return self.bound >= least - self.slack


def narrow(table: ContextTable, limits: Limits) -> Narrowed:
    """Return the entries of a context that fit the limit of the peak."""
    import numpy as np

    columns = [limits.maximize, *(c for c in limits.most if c not in (PEAK, limits.maximize))]
    peak = limits.most.get(PEAK, MOST)
    ends = np.array([[end[c] for c in columns] for end in table.ends], np.int64)
    ends[[end[PEAK] > peak for end in table.ends]] = MOST
    stages = tuple(tuple(_fitting(each, columns, peak) for each in stage) for stage in table.stages)
    most = np.array([limits.most.get(c, MOST) for c in columns], np.int64)
    return Narrowed(most, stages, ends, _least(stages, ends))


def _fitting(stage: StageTable, columns: list[int], peak: int) -> Entries:
    import numpy as np

    numbers = np.flatnonzero(stage.columns[PEAK] <= peak)
    return Entries(numbers, np.ascontiguousarray(stage.columns[columns][:, numbers].T), stage.out[numbers])


def _least(stages: tuple[tuple[Entries, ...], ...], ends: "NDArray[Any]") -> "tuple[NDArray[Any], ...]":
    import numpy as np

    found = [ends]
    for stage in reversed(stages):
        rows = np.full((len(stage), ends.shape[1]), MOST, np.int64)
        for before, each in enumerate(stage):
            if len(each.numbers):
                sums = each.values + np.minimum(found[0][each.out], MOST // 2)
                rows[before] = np.where(sums.min(axis=0) < MOST // 2, sums.min(axis=0), MOST)
        found.insert(0, rows)
    return tuple(found)


def relax(narrowed: Narrowed) -> Relaxed | None:
    """Return bounds at good prices, None if no network fits.

    The prices are found by cutting planes: each relaxed network is a line below which the bound cannot be.
    """
    import numpy as np

    least = narrowed.least[0][0]
    if narrowed.empty:
        return None
    limited = np.flatnonzero(narrowed.most < MOST)
    prices = np.zeros(len(narrowed.most))
    best = at_prices(narrowed, prices)
    lines = [best.sums]
    scale = np.maximum(narrowed.most[limited] - least[limited], 1)
    for _ in range(_ROUNDS if len(limited) else 0):
        price, lowest = _cheapest(narrowed, lines, limited, scale)
        if best.bound - lowest <= max(_NEAR * abs(best.bound), 0.5):
            break
        prices = np.zeros(len(narrowed.most))
        prices[limited] = price
        found = at_prices(narrowed, prices)
        lines.append(found.sums)
        best = min(best, found, key=lambda each: each.bound)
    return best


def _cheapest(
    narrowed: Narrowed, lines: "list[NDArray[Any]]", limited: "NDArray[Any]", scale: "NDArray[Any]"
) -> "tuple[NDArray[Any], float]":
    """Return the prices at which the highest line is lowest, and its height there."""
    import numpy as np
    from scipy.optimize import linprog

    sums = np.array(lines, float)
    unit = max(1.0, float(np.abs(sums[:, 0]).max()))
    slopes = (narrowed.most[limited] - sums[:, limited]) / scale
    found = linprog(
        [1.0, *np.zeros(len(limited))],
        A_ub=np.column_stack([-np.ones(len(lines)), slopes]),
        b_ub=-sums[:, 0] / unit,
        bounds=[(None, None), *((0, 16.0) for _ in limited)],
    )
    assert found.x is not None  # prices of 0 are a solution
    return found.x[1:] * unit / scale, float(found.x[0]) * unit


def at_prices(narrowed: Narrowed, charged: "NDArray[Any]") -> Relaxed:
    """Return bounds at certain prices, of columns with a limit."""
    import numpy as np

    prices = -charged
    prices[0] += 1
    behind = [narrowed.ends @ prices]
    behind[0][narrowed.ends[:, 0] >= MOST] = -np.inf
    chosen: list[list[int]] = []
    for stage in reversed(narrowed.stages):
        worth = [each.values @ prices + behind[0][each.out] for each in stage]
        chosen.insert(0, [int(each.argmax()) if len(each) else -1 for each in worth])
        behind.insert(0, np.array([each.max() if len(each) else -np.inf for each in worth]))
    limited = narrowed.most < MOST
    offset = float((charged[limited] * narrowed.most[limited]).sum())
    sums = _followed(narrowed, chosen)
    slack = 1 + _ROUNDING * float((np.abs(prices) + np.abs(charged)) @ narrowed.largest)
    return Relaxed(float(behind[0][0]) + offset, prices, tuple(behind), offset, sums, slack)


def _followed(narrowed: Narrowed, chosen: list[list[int]]) -> "NDArray[Any]":
    """Return the columns of the network that is made of the entry chosen behind each width."""
    import numpy as np

    sums = np.zeros(len(narrowed.most), np.int64)
    before = 0
    for stage, entries in zip(narrowed.stages, chosen, strict=True):
        each, entry = stage[before], entries[before]
        sums += each.values[entry]
        before = int(each.out[entry])
    return np.asarray(sums + narrowed.ends[before])
