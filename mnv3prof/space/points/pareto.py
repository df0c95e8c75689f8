"""The front of many points: those that no other is at least as good as in every objective, in chunks."""

from collections.abc import Callable, Iterable, Sequence
from math import isqrt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...graph.errors import InputError
from ..costs import COLUMNS
from ..fronts import front
from .lookup import Engine
from .sweep import Job, batches, numbers_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE: Final = 200_000
"""Points of which a front is computed at once."""
MOST_WITHOUT_LIBRARY: Final = 100_000
MOST_PLANNED: Final = 20_000
MOST_BINS: Final = 200
_LEAST_BINS: Final = 24
"""Of a density, along each axis."""


class Objective(NamedTuple):
    """A column to minimize, or with sign -1 to maximize.

    arena: the planned arena; column is then its lower bound, the peak.
    """

    name: str
    column: int
    sign: int = 1
    arena: bool = False


class Grid(NamedTuple):
    """Equal cells over two columns, from the least to the most value of each. bins: along each."""

    columns: tuple[int, int]
    low: tuple[int, int]
    high: tuple[int, int]
    bins: int = MOST_BINS


class Arenas(NamedTuple):
    """Networks whose arenas are planned. places: sorted. points: their objectives, to be minimized."""

    places: "NDArray[Any]"
    points: "NDArray[Any]"


class Ask(NamedTuple):
    """What is asked of points. known: networks that are planned already, so that others are asked for, and
    equal ones all kept; None if no arena is asked for. grid: count points in it instead of computing a front.
    """

    objectives: tuple[Objective, ...]
    known: Arenas | None = None
    grid: Grid | None = None


class Part(NamedTuple):
    """What is found in some points. seen, kept: their number, and that of those that satisfy the conditions.
    low, high: of each column of the objectives. columns, places, networks: of the front. cells: of the grid.
    """

    seen: int
    kept: int
    low: "NDArray[Any] | None"
    high: "NDArray[Any] | None"
    columns: "NDArray[Any]"
    places: "NDArray[Any]"
    networks: list[str]
    cells: "NDArray[Any] | None" = None


Source = Callable[[Ask], Iterable[Part]]
"""Yields the parts of the points, in order; each time the same."""


class Reducer:
    """Keeps the front of the points that are added. carried: arrays of what belongs to each point."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._count = self.kept = 0
        self.low: NDArray[Any] | None = None
        self.high: NDArray[Any] | None = None

    def add(self, values: "NDArray[Any]", places: "NDArray[Any]", *carried: "NDArray[Any]") -> None:
        """Add points. values: of each objective's column: (objectives, points). Raises InputError."""
        import numpy as np

        self.kept += len(places)
        if not len(places):
            return
        if self._ask.known is None or not len(self._ask.known.places):
            low, high = values.min(axis=1), values.max(axis=1)
            self.low = low if self.low is None else np.minimum(self.low, low)
            self.high = high if self.high is None else np.maximum(self.high, high)
        else:
            new = ~np.isin(places, self._ask.known.places)
            values, places, carried = values[:, new], places[new], tuple(each[new] for each in carried)
        signs = np.array([each.sign for each in self._ask.objectives])
        self._parts.append(((values * signs[:, None]).T, places, *carried))
        self._count += len(places)
        if self._count > _AT_ONCE:
            self._reduce()

    def found(self) -> "tuple[NDArray[Any], ...] | None":
        """Return points, places and what was carried of the front, in order; None without points."""
        if not self._parts:
            return None
        self._reduce()
        return self._parts[0]

    def _reduce(self) -> None:
        import numpy as np

        whole = tuple(np.concatenate(each) for each in zip(*self._parts, strict=True))
        chosen = kept_of(whole[0], self._ask.known)
        self._parts = [tuple(each[chosen] for each in whole)]
        self._count = len(chosen)


def kept_of(points: "NDArray[Any]", known: Arenas | None) -> "NDArray[Any]":
    """Return the numbers of the points that no other and no known one dominates, in order.

    Of equal points only the first is kept, unless there are known ones. Raises InputError.
    """
    import numpy as np

    if known is None:
        return _front(points, unique=True)
    count = len(known.points)
    both = np.concatenate([known.points, points])
    found = _front(both, unique=False)
    _, same = np.unique(both[found], axis=0, return_inverse=True)
    same = same.ravel()
    return found[(found >= count) & ~np.isin(same, same[found < count])] - count


def _front(points: "NDArray[Any]", *, unique: bool) -> "NDArray[Any]":
    import numpy as np

    try:
        from moocore import is_nondominated
    except ImportError:
        return np.sort(_own_front(points, unique=unique))
    found = np.flatnonzero(is_nondominated(points.astype(float), keep_weakly=True))
    if unique:
        found = found[np.sort(np.unique(points[found], axis=0, return_index=True)[1])]
    return found


def _own_front(points: "NDArray[Any]", *, unique: bool) -> "NDArray[Any]":
    import numpy as np

    first = front(points)
    if unique:
        return first
    _, same = np.unique(points, axis=0, return_inverse=True)
    return np.flatnonzero(np.isin(same.ravel(), same.ravel()[first]))


def require_library(count: int, objectives: int) -> None:
    """Raise InputError if the front of so many points needs a library that is not installed."""
    from importlib.util import find_spec

    if count > MOST_WITHOUT_LIBRARY and objectives > 2 and find_spec("moocore") is None:
        raise InputError(
            f"moocore is not installed: pip install 'mnv3prof[pareto]'; without it a front of {objectives} "
            f"objectives is computed of at most {MOST_WITHOUT_LIBRARY:,} networks"
        )


def part_of(ask: Ask, name: str, job: Job) -> Part:
    """Return what is asked of a job. name: of the space in the names of networks. Raises InputError."""
    if ask.grid is not None:
        return _counted(ask.grid, job)
    reducer = Reducer(ask)
    for each in batches(job, [objective.column for objective in ask.objectives]):
        reducer.add(each.columns, each.places, *each.digits)
    found = reducer.found()
    seen = job.stop - job.first
    if found is None:
        return _nothing(seen, reducer.kept)
    _, places, *digits = found
    columns = Engine(job.lookup, len(places)).costs(digits)
    networks = [f"{name}#{number.decode()}" for number in numbers_of(job, digits)]
    return Part(seen, reducer.kept, reducer.low, reducer.high, columns, places, networks)


def _counted(grid: Grid, job: Job) -> Part:
    import numpy as np

    cells = np.zeros((grid.bins, grid.bins), np.int64)
    kept = 0
    for each in batches(job, grid.columns):
        cells += cells_of(grid, each.columns)
        kept += len(each.places)
    return _nothing(job.stop - job.first, kept)._replace(cells=cells)


def _nothing(seen: int, kept: int) -> Part:
    import numpy as np

    none = np.empty((len(COLUMNS), 0), np.int64)
    return Part(seen, kept, None, None, none, none[0], [])


def cells_of(grid: Grid, values: "NDArray[Any]") -> "NDArray[Any]":
    """Return how many points lie in each cell: (bins of the second column, bins of the first)."""
    import numpy as np

    x, y = (
        (each - low) * grid.bins // (high - low + 1)
        for each, low, high in zip(values, grid.low, grid.high, strict=True)
    )
    return np.bincount(y * grid.bins + x, minlength=grid.bins**2).reshape(grid.bins, grid.bins)


class Front(NamedTuple):
    """The front of points. columns: (COLUMNS, networks). arenas: where one was asked for. planned: number of
    arenas that were planned. seen, kept, low, high: as of Part.
    """

    networks: list[str]
    columns: "NDArray[Any]"
    arenas: list[int] | None
    seen: int
    kept: int
    low: "NDArray[Any] | None"
    high: "NDArray[Any] | None"
    planned: int = 0

    @property
    def costs(self) -> dict[str, list[int]]:
        """The costs of the networks by name, with the arenas if they were planned."""
        costs = dict(zip(COLUMNS, self.columns.tolist(), strict=True))
        return costs if self.arenas is None else {**costs, "arena": self.arenas}


def front_of(
    source: Source,
    objectives: Sequence[Objective],
    plan: Callable[[str, Sequence[int]], int],
    on_planned: Callable[[int, int], None] = lambda *_: None,
    go_on: Callable[[], bool] = lambda: True,
) -> Front:
    """Return the front of a source's points, in the order of the first objective.

    plan: returns the arena of a network with these costs. An arena is at least the peak, so what a planned
    network dominates by its arena is left out, and the rest is planned front by front until none is left,
    or until go_on() is False.
    """
    ask = Ask(tuple(objectives))
    if not any(each.arena for each in objectives):
        return _ordered(_merged(source(ask), ask), None, ask)
    import numpy as np

    ask = ask._replace(known=Arenas(np.empty(0, np.int64), np.empty((0, len(objectives)), np.int64)))
    first = left = _merged(source(ask), ask, whole=True)
    planned = _chosen(first, np.empty(0, np.int64))
    arenas: list[int] = []
    while left.networks and go_on():
        while left.networks and go_on():
            chosen = kept_of(_oriented(left.columns, ask), ask.known)
            found = _chosen(left, chosen)
            others = np.delete(np.arange(len(left.networks)), chosen)
            left = _chosen(left, others if len(chosen) else chosen)  # else all of them are dominated
            new = _planned(found, len(arenas), plan, on_planned, go_on)
            arenas += new
            planned = _joined(planned, _chosen(found, np.arange(len(new))))
            ask = ask._replace(known=_known(planned, arenas, ask))
        if go_on():
            left = _merged(source(ask), ask, whole=True)
    whole = planned._replace(seen=first.seen, kept=first.kept, low=first.low, high=first.high)
    return _ordered(whole, arenas, ask)


def _planned(
    found: Part,
    before: int,
    plan: Callable[[str, Sequence[int]], int],
    on_planned: Callable[[int, int], None],
    go_on: Callable[[], bool],
) -> list[int]:
    """Return the arenas of networks, as long as go_on(). Raises InputError if they and those `before` are too
    many.
    """
    if before + len(found.networks) > MOST_PLANNED:
        raise InputError(
            f"arena: more than {MOST_PLANNED:,} networks would be planned; expected peak, its lower bound, "
            "or conditions that leave fewer networks"
        )
    arenas = []
    for number, (network, costs) in enumerate(zip(found.networks, found.columns.T.tolist(), strict=True)):
        if not go_on():
            break
        on_planned(before + number, len(found.networks) - number)
        arenas.append(plan(network, costs))
    return arenas


def _known(planned: Part, arenas: Sequence[int], ask: Ask) -> Arenas:
    import numpy as np

    return Arenas(np.sort(planned.places), _oriented(planned.columns, ask, arenas))


def _oriented(columns: "NDArray[Any]", ask: Ask, arenas: Sequence[int] | None = None) -> "NDArray[Any]":
    """Return the objectives of points, to be minimized: (points, objectives)."""
    import numpy as np

    planned = columns if arenas is None else np.array(arenas, np.int64)
    return np.stack(
        [
            each.sign * (planned if each.arena and arenas is not None else columns[each.column])
            for each in ask.objectives
        ],
        axis=1,
    )


def _ordered(part: Part, arenas: list[int] | None, ask: Ask) -> Front:
    """Return the front of the points of a part, in the order of the objectives."""
    import numpy as np

    points = _oriented(part.columns, ask, arenas)
    chosen = _front(points, unique=True)
    chosen = chosen[np.lexsort(points[chosen].T[::-1])]
    kept = _chosen(part, chosen)
    arenas_kept = None if arenas is None else [arenas[n] for n in chosen]
    planned = 0 if arenas is None else len(arenas)
    return Front(kept.networks, kept.columns, arenas_kept, part.seen, part.kept, part.low, part.high, planned)


def grid_of(front: Front, objectives: Sequence[Objective]) -> Grid | None:
    """Return the grid of the density behind a front, None without points or a second column: over a column to
    minimize and one to maximize, if there are both.

    A planned arena is not known of all points, so its column is the last choice, and then the peak.
    """
    if front.low is None or front.high is None:
        return None
    first, *others = sorted(range(len(objectives)), key=lambda place: objectives[place].arena)
    others = [place for place in others if objectives[place].column != objectives[first].column]
    if not others:
        return None
    second = min(others, key=lambda p: (objectives[p].arena, objectives[p].sign == objectives[first].sign))
    low, high = ((int(values[first]), int(values[second])) for values in (front.low, front.high))
    bins = min(MOST_BINS, max(_LEAST_BINS, isqrt(front.kept)))
    return Grid((objectives[first].column, objectives[second].column), low, high, bins)


def density_of(source: Source, objectives: Sequence[Objective], grid: Grid) -> "NDArray[Any]":
    """Return how many of a source's points lie in each cell of a grid."""
    import numpy as np

    cells = np.zeros((grid.bins, grid.bins), np.int64)
    for part in source(Ask(tuple(objectives), grid=grid)):
        assert part.cells is not None
        cells += part.cells
    return cells


def _merged(parts: Iterable[Part], ask: Ask, *, whole: bool = False) -> Part:
    """Join parts, and keep their front. whole: keep the fronts of the parts, unless they are many."""
    found: Part | None = None
    for part in parts:
        found = part if found is None else _joined(found, part)
        if len(found.networks) > (_AT_ONCE if whole else _AT_ONCE // 10):
            found = _chosen(found, kept_of(_oriented(found.columns, ask), ask.known))
    if found is None:  # an interrupt came first
        return _nothing(0, 0)
    return found if whole else _chosen(found, kept_of(_oriented(found.columns, ask), ask.known))


def _chosen(part: Part, numbers: "NDArray[Any]") -> Part:
    networks = [part.networks[n] for n in numbers]
    return part._replace(columns=part.columns[:, numbers], places=part.places[numbers], networks=networks)


def _joined(some: Part, more: Part) -> Part:
    import numpy as np

    both = [(a, b) for a, b in ((some.low, more.low), (some.high, more.high))]
    low, high = (
        join(a, b) if a is not None and b is not None else a if b is None else b
        for join, (a, b) in zip((np.minimum, np.maximum), both, strict=True)
    )
    return Part(
        some.seen + more.seen,
        some.kept + more.kept,
        low,
        high,
        np.concatenate([some.columns, more.columns], axis=1),
        np.concatenate([some.places, more.places]),
        [*some.networks, *more.networks],
    )
