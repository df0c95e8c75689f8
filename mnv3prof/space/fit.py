"""The largest networks of a space within budgets, by exact merging of the fronts of its stages."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .costs import COLUMNS, PEAK, ContextTable, Costs
from .fronts import front

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS: Final = 8_000
"""Number of steps into which a limit on what is maximised is divided."""


class Limits(NamedTuple):
    """Budgets. most: by column. maximise: the column of which there is to be as much as possible."""

    most: Mapping[int, int]
    maximise: int


class Best(NamedTuple):
    """A network of a context. costs: by COLUMNS."""

    digits: tuple[int, ...]
    costs: Costs


class _Points(NamedTuple):
    """Partial networks that end in one width. values: (n, columns), of the columns that count. path: of each
    stage the point before and the entry.
    """

    values: "NDArray[Any]"
    path: "tuple[NDArray[Any], ...]"


def largest(number: int, table: ContextTable, limits: Limits, top: int = 1) -> list[Best]:
    """Return the networks of a context with the most of a column within the limits, the largest first.

    What is dropped has at least `top` others with as much and as little.
    """
    import numpy as np

    columns = [limits.maximise, *(c for c in limits.most if c not in (PEAK, limits.maximise))]
    least = _least_left(table, columns, limits)
    states: list[_Points | None] = [_Points(np.zeros((1, len(columns)), np.int64), ())]
    for place, stage in enumerate(table.stages):
        merged: list[list[_Points]] = [[] for _ in range(_widths(table, place))]
        for before, points in enumerate(states):
            if points is not None:
                for out, found in enumerate(
                    _behind(points, stage[before], columns, limits, least[place + 1], top)
                ):
                    if found is not None:
                        merged[out].append(found)
        states = [_thinned(each, limits, columns, top) if each else None for each in merged]
    return _completed(number, table, states, columns, limits, top)


def _widths(table: ContextTable, place: int) -> int:
    """Return the number of widths behind a stage."""
    return len(table.stages[place + 1]) if place + 1 < len(table.stages) else len(table.ends)


def _least_left(table: ContextTable, columns: Sequence[int], limits: Limits) -> "list[NDArray[Any]]":
    """Return, before each stage and at the end, by width the least that must still be added to each column.

    A width that cannot be completed has more than any limit.
    """
    import numpy as np

    never = np.iinfo(np.int64).max // 4
    peak = limits.most.get(PEAK)
    ends = np.array([[end[c] for c in columns] for end in table.ends], np.int64)
    if peak is not None:
        ends[[end[PEAK] > peak for end in table.ends]] = never
    found = [ends]
    for stage in reversed(table.stages):
        rows = []
        for each in stage:
            fits = slice(None) if peak is None else each.columns[PEAK] <= peak
            sums = each.columns[columns][:, fits].T + found[0][each.out[fits]]
            rows.append(np.minimum(sums.min(axis=0), never) if len(sums) else np.full(len(columns), never))
        found.insert(0, np.array(rows))
    return found


def _behind(
    points: _Points, stage: Any, columns: Sequence[int], limits: Limits, least: "NDArray[Any]", top: int
) -> "list[_Points | None]":
    """Return all points with all entries behind them that can still fit, by the width after the stage."""
    import numpy as np

    peak = limits.most.get(PEAK)
    found: list[_Points | None] = []
    for out in range(len(least)):
        fits = stage.out == out
        if peak is not None:
            fits &= stage.columns[PEAK] <= peak
        entries = np.flatnonzero(fits)
        values = stage.columns[columns][:, entries].T
        if not len(entries):
            found.append(None)
            continue
        chosen = _kept(values, limits, top)
        entries, values = entries[chosen], values[chosen]
        sums = (points.values[:, None, :] + values[None, :, :]).reshape(-1, len(columns))
        most = np.array([limits.most.get(c, np.iinfo(np.int64).max // 2) for c in columns])
        kept = np.flatnonzero((sums + least[out] <= most).all(axis=1))
        before, entry = np.divmod(kept, len(entries))
        path = (*(each[before] for each in points.path), entries[entry])
        found.append(_Points(sums[kept], path) if len(kept) else None)
    return found


def _objectives(values: "NDArray[Any]") -> "NDArray[Any]":
    """Return values of which less is better: the first column is to be maximised."""
    import numpy as np

    return np.concatenate([-values[:, :1], values[:, 1:]], axis=1)


def _thinned(each: list[_Points], limits: Limits, columns: Sequence[int], top: int) -> _Points:
    """Return the points that can be part of the largest networks."""
    import numpy as np

    values = np.concatenate([points.values for points in each])
    path = tuple(np.concatenate(parts) for parts in zip(*(points.path for points in each), strict=True))
    chosen = _kept(values, limits, top)
    return _Points(values[chosen], tuple(part[chosen] for part in path))


def _kept(values: "NDArray[Any]", limits: Limits, top: int) -> "NDArray[Any]":
    """Return the numbers of values that no other makes useless. With a limit on the first column, which is
    maximised, more of it is not always better: the rest is compared within steps of it.
    """
    import numpy as np

    cap = limits.most.get(limits.maximise)
    if cap is None:
        return front(_objectives(values), top)
    steps = values[:, 0] // max(1, cap // _STEPS)
    if values.shape[1] == 1:
        return np.unique(steps, return_index=True)[1]
    if values.shape[1] == 2 and top == 1:
        least = np.full(int(steps.max(initial=0)) + 1, np.iinfo(np.int64).max)
        np.minimum.at(least, steps, values[:, 1])
        chosen = np.flatnonzero(values[:, 1] == least[steps])
        return np.asarray(chosen[np.unique(steps[chosen], return_index=True)[1]])
    order = np.argsort(steps, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(steps[order])) + 1)
    return np.concatenate([part[front(values[part][:, 1:], top)] for part in parts])


def _completed(
    number: int,
    table: ContextTable,
    states: "Sequence[_Points | None]",
    columns: Sequence[int],
    limits: Limits,
    top: int,
) -> list[Best]:
    import numpy as np

    found: list[tuple[int, ...]] = []
    for out, points in enumerate(states):
        if points is None:
            continue
        values = points.values + np.array([table.ends[out][c] for c in columns])
        order = np.lexsort((*values.T[:0:-1], -values[:, 0]))[:top]
        found += [(number, *(int(part[n]) for part in points.path)) for n in order]
    best = [Best(digits, costs_of(table, digits[1:])) for digits in found]
    return sorted(best, key=lambda one: (-one.costs[limits.maximise], one.costs))[:top]


def costs_of(table: ContextTable, entries: Sequence[int]) -> Costs:
    """Return the costs of a network of a context."""
    before, sums, peak = 0, [0] * PEAK, 0
    for stage, entry in zip(table.stages, entries, strict=True):
        each = stage[before]
        sums = [a + int(b) for a, b in zip(sums, each.columns[:PEAK, entry], strict=True)]
        peak = max(peak, int(each.columns[PEAK, entry]))
        before = int(each.out[entry])
    end = table.ends[before]
    return (*(a + b for a, b in zip(sums, end[:PEAK], strict=True)), max(peak, end[PEAK]))


def column(name: str) -> int:
    """Return the number of a column."""
    return COLUMNS.index(name)
