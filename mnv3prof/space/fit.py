"""The largest networks of a context within budgets, by merging its stages."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .bounds import MOST, Entries, Narrowed, Relaxed
from .costs import PEAK, ContextTable, Costs
from .fronts import front

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BEAM: Final = 300
_MOST_POINTS: Final = 400_000
"""Maximum number of partial networks behind a stage."""
_MOST_PAIRS: Final = 4_000_000
"""Number of partial networks that are made at once."""


class Best(NamedTuple):
    """A network. digits: its context and entries. costs: by COLUMNS."""

    digits: tuple[int, ...]
    costs: Costs


class _Points(NamedTuple):
    """Partial networks that end in one width. values: (points, columns). path: the entry of each stage."""

    values: "NDArray[Any]"
    path: "tuple[NDArray[Any], ...]"

    def chosen(self, which: "NDArray[Any]") -> "_Points":
        return _Points(self.values[which], tuple(part[which] for part in self.path))


_Thin = Callable[["NDArray[Any]", "NDArray[Any]"], "NDArray[Any]"]
"""Returns which partial networks are kept, by their columns and their worth."""


class TooManyError(Exception):
    """There are more partial networks than are kept at once."""


def good(narrowed: Narrowed, relaxed: Relaxed) -> "list[tuple[int, ...]]":
    """Return the entries of networks with much of the first column, the most first: a few, found quickly."""
    import numpy as np

    def thin(_: "NDArray[Any]", worth: "NDArray[Any]") -> "NDArray[Any]":
        return np.argsort(-worth, kind="stable")[:_BEAM]

    return _Search(narrowed, relaxed, 0, thin).entries()


def largest(narrowed: Narrowed, relaxed: Relaxed, floor: int) -> "list[tuple[int, ...]]":
    """Return the entries of the network with the most of the first column, and of some others.

    floor: what it has at least. There is no limit on the first column. Raises TooManyError.
    """

    def thin(values: "NDArray[Any]", _: "NDArray[Any]") -> "NDArray[Any]":
        return front(_minimized(values))

    return _Search(narrowed, relaxed, floor, thin).entries()


def every(narrowed: Narrowed, relaxed: Relaxed, floor: int) -> "list[tuple[int, ...]]":
    """Return the entries of all networks with `floor` of the first column or more, the most first.

    Raises TooManyError.
    """
    import numpy as np

    return _Search(narrowed, relaxed, floor, lambda values, _: np.arange(len(values))).entries()


def near(narrowed: Narrowed, relaxed: Relaxed, steps: int) -> "list[tuple[int, ...]]":
    """Return the entries of networks with almost as much of the first column as its limit, the most first.

    steps: into which the limit is divided; of what is within one, the points that use least of the limits
    are kept.
    """
    import numpy as np

    limited = np.flatnonzero(narrowed.most < MOST)
    slack = np.maximum(narrowed.most - narrowed.least[0][0], 1)[limited[limited > 0]]
    width = max(1, int(narrowed.most[0]) // steps)

    def thin(values: "NDArray[Any]", _: "NDArray[Any]") -> "NDArray[Any]":
        others = values[:, limited[limited > 0]] / slack
        step = values[:, 0] // width
        measures = [others.sum(axis=1), *(others.T if others.shape[1] > 1 else ())]
        kept = [np.lexsort((-values[:, 0], measure, step)) for measure in measures]
        return np.unique(np.concatenate([order[_firsts(step[order])] for order in kept]))

    return _Search(narrowed, relaxed, 0, thin).entries()


def _firsts(ordered: "NDArray[Any]") -> "NDArray[Any]":
    """Return where a new value begins."""
    import numpy as np

    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])


def _minimized(values: "NDArray[Any]") -> "NDArray[Any]":
    """Return values of which less is better: the first column is to be maximized."""
    import numpy as np

    return np.concatenate([-values[:, :1], values[:, 1:]], axis=1)


class _Search(NamedTuple):
    """What partial networks are kept: those that may have `floor` of the first column, thinned by `thin`."""

    narrowed: Narrowed
    relaxed: Relaxed
    floor: int
    thin: _Thin

    def entries(self) -> "list[tuple[int, ...]]":
        """Merge the stages; return the entries of the networks that are left, the most first."""
        import numpy as np

        states = [_Points(np.zeros((1, len(self.narrowed.most)), np.int64), ())]
        for place, stage in enumerate(self.narrowed.stages):
            states = [
                self._thinned(
                    [
                        some
                        for points, each in zip(states, stage, strict=True)
                        for some in self._behind(points, each, out, place + 1)
                    ],
                    place + 1,
                    out,
                )
                for out in range(len(self.narrowed.least[place + 1]))
            ]
        return _completed(self.narrowed, states, self.floor)

    def _behind(self, points: _Points, stage: Entries, out: int, place: int) -> "Iterator[_Points]":
        """Yield the points with each entry of a width behind them that can be completed within the limits."""
        import numpy as np

        entries = np.flatnonzero(stage.out == out)
        if not len(entries) or not len(points.values):
            return
        entries = entries[self._hopeful(points, stage.values[entries], out, place)]
        values, numbers = stage.values[entries], stage.numbers[entries]
        rest = self.narrowed.most - self.narrowed.least[place][out]
        at_once = max(1, _MOST_PAIRS // max(1, len(entries)))
        for start in range(0, len(points.values), at_once):
            some = points.values[start : start + at_once]
            worth = self.relaxed.worth(some, place, out)[:, None] + (values @ self.relaxed.prices)[None, :]
            fits = worth >= self.floor - self.relaxed.slack
            for column in np.flatnonzero(self.narrowed.most < MOST):
                fits &= some[:, column, None] + values[None, :, column] <= rest[column]
            before, entry = np.nonzero(fits)
            path = (*(part[start + before] for part in points.path), numbers[entry])
            yield self._thinned([_Points(some[before] + values[entry], path)], place, out)

    def _hopeful(self, points: _Points, values: "NDArray[Any]", out: int, place: int) -> "NDArray[Any]":
        """Return which entries can be part of a network that is looked for, behind the best of the points."""
        import numpy as np

        best = float((points.values @ self.relaxed.prices).max())
        worth = self.relaxed.worth(values, place, out) + best
        fits = values + points.values.min(axis=0) <= self.narrowed.most - self.narrowed.least[place][out]
        hopeful = np.flatnonzero((worth >= self.floor - self.relaxed.slack) & fits.all(axis=1))
        return hopeful[self.thin(values[hopeful], worth[hopeful])]

    def _thinned(self, made: Sequence[_Points], place: int, out: int) -> _Points:
        import numpy as np

        if not made:
            return _Points(
                np.zeros((0, len(self.narrowed.most)), np.int64), ((np.zeros(0, np.int64),) * place)
            )
        path = tuple(np.concatenate(parts) for parts in zip(*(each.path for each in made), strict=True))
        points = _Points(np.concatenate([each.values for each in made]), path)
        kept = points.chosen(self.thin(points.values, self.relaxed.worth(points.values, place, out)))
        if len(kept.values) > _MOST_POINTS:
            raise TooManyError
        return kept


def _completed(narrowed: Narrowed, states: Sequence[_Points], floor: int) -> "list[tuple[int, ...]]":
    """Return the entries of the networks within the limits, the most first, then by the other columns."""
    import numpy as np

    found: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for points, ends in zip(states, narrowed.ends, strict=True):
        values = points.values + ends
        fits = np.flatnonzero((values <= narrowed.most).all(axis=1) & (values[:, 0] >= floor))
        keys = map(tuple, _minimized(values[fits]).tolist())
        found += zip(keys, map(tuple, np.array(points.path).T[fits].tolist()), strict=True)
    return [entries for _, entries in sorted(found)]


def costs_of(table: ContextTable, entries: Sequence[int]) -> Costs:
    """Return the costs of a network of a context. entries: of each stage."""
    import numpy as np

    before, columns = 0, []
    for stage, entry in zip(table.stages, entries, strict=True):
        columns.append(stage[before].columns[:, entry])
        before = int(stage[before].out[entry])
    columns.append(np.array(table.ends[before]))
    sums, most = np.sum(columns, axis=0), np.max(columns, axis=0)
    return tuple(int(most[c] if c == PEAK else sums[c]) for c in range(len(sums)))
