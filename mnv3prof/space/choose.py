"""The largest networks of a whole space within budgets, with what is proven of them."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

from ..cost.counts import Dtype
from ..cost.memory import arena
from .bounds import Limits, Narrowed, Relaxed, narrow, relax
from .costs import PEAK, ContextTable
from .fit import Best, TooManyError, costs_of, every, good, largest, near
from .space import Space

_STEPS: Final = (500, 4_000)
"""Numbers of steps into which a limit on what is maximized is divided, until a network is near enough."""
_NEAR: Final = 0.0002
_LOWER: Final = (0.0005, 0.002, 0.008, 0.03, 0.1, 0.3, 1.0)
"""How far below the largest the others are looked for, as a share of it, until there are enough."""
_ENUMERATED: Final = 200_000
"""Number of networks of a context up to which all are made."""
_PLANS: Final = 1_500
"""Maximum number of networks whose arenas are planned from the largest down."""
_PEAKS: Final = (0.98, 0.95, 0.92, 0.88, 0.84, 0.8, 0.75, 0.7, 0.6, 0.5)
"""Shares of the arena's limit to which peaks are limited: an arena is seldom a fifth above its peak."""

Note = Callable[[str], object]


class Largest(NamedTuple):
    """networks: the largest first. bound: no network within the budgets has more; None if none fits.

    complete: True if the others are the next ones.
    """

    networks: tuple[Best, ...]
    bound: int | None
    complete: bool


class _Context(NamedTuple):
    number: int
    table: ContextTable
    narrowed: Narrowed
    relaxed: Relaxed

    def best(self, entries: Sequence[int]) -> Best:
        return Best((self.number, *entries), costs_of(self.table, entries))


class ArenaLimit:
    """A limit of the planned arena, which is at least the peak. It plans each network once."""

    def __init__(self, space: Space, most_bytes: int, dtype: Dtype) -> None:
        self.most_bytes = most_bytes
        self._space, self._dtype = space, dtype
        self._planned: dict[tuple[int, ...], int] = {}

    def fits(self, one: Best) -> bool:
        """Return True if the arena of a network is within the limit."""
        if one.digits not in self._planned:
            graph = self._space.network(self._space.number(one.digits)).graph
            self._planned[one.digits] = arena(graph, self._dtype).bytes
        return self._planned[one.digits] <= self.most_bytes


def choose(
    tables: Sequence[ContextTable],
    limits: Limits,
    *,
    top: int = 1,
    within: ArenaLimit | None = None,
    note: Note = lambda _: None,
) -> Largest:
    """Return the networks with the most of a column within limits. note: told what is being done."""
    if within is None:
        return _largest_of_all(tables, limits, top, note)
    peak = min(within.most_bytes, limits.most.get(PEAK, within.most_bytes))
    limits = Limits({**limits.most, PEAK: peak}, limits.maximize)
    found = _largest_of_all(tables, limits, top, note)
    if all(within.fits(one) for one in found.networks):
        return found
    note("planning arenas")
    return _within_arena(tables, limits, top, found, within.fits, note)


def _largest_of_all(tables: Sequence[ContextTable], limits: Limits, top: int, note: Note) -> Largest:
    """Return the largest of all contexts, and what none exceeds."""
    contexts = _contexts(tables, limits.without_cap())
    found, bound, complete = _largest(contexts, limits.maximize, top, note)
    cap = limits.most.get(limits.maximize)
    if cap is None or bound is None or bound <= cap:
        return Largest(tuple(found[:top]), bound, complete)
    note("searching below the limit")
    capped = _contexts(tables, limits)
    found, bound, complete = _below(capped, limits.maximize, cap, top)
    return Largest(tuple(found[:top]), bound, complete)


def _contexts(tables: Sequence[ContextTable], limits: Limits) -> list[_Context]:
    """Return the contexts of which a network may fit, those that may have the most first."""
    found = []
    for number, table in enumerate(tables):
        narrowed = narrow(table, limits)
        if relaxed := relax(narrowed):
            found.append(_Context(number, table, narrowed, relaxed))
    return sorted(found, key=lambda each: -each.relaxed.bound)


def _largest(
    contexts: Sequence[_Context], maximize: int, top: int, note: Note
) -> tuple[list[Best], int | None, bool]:
    """Return the largest without a limit on what is maximized, what none exceeds, and if all are the next."""
    found = _ordered(
        [each.best(entries) for each in contexts for entries in good(each.narrowed, each.relaxed)[:top]],
        maximize,
    )
    bound = found[0].costs[maximize] if found else 0
    for each in contexts:
        most = found[0].costs[maximize] if found else 0
        if not each.relaxed.may_have(most):
            continue
        note("searching")
        try:
            best = [each.best(entries) for entries in largest(each.narrowed, each.relaxed, most)[:top]]
            bound = max(bound, best[0].costs[maximize] if best else 0)
        except TooManyError:
            best, bound = [], max(bound, each.relaxed.most)
        found = _ordered([*found, *best], maximize)
    if not found:
        return [], bound or None, True
    found, complete = _others(contexts, maximize, found, top) if top > 1 else (found, True)
    return found, bound, complete


def _ordered(found: Sequence[Best], maximize: int) -> list[Best]:
    unique = {one.digits: one for one in found}.values()
    return sorted(unique, key=lambda one: (-one.costs[maximize], one.costs, one.digits))


def _others(
    contexts: Sequence[_Context], maximize: int, found: list[Best], top: int
) -> tuple[list[Best], bool]:
    """Return the first networks of all, not only of those nowhere exceeded, and if they are the next."""
    for floor, window in _windows(contexts, maximize, found[0].costs[maximize], 0):
        found = _ordered([*found, *window], maximize)
        if len(window) >= top or floor == 0:
            return found, True
    return found, False


def _windows(
    contexts: Sequence[_Context], maximize: int, most: int, least: int
) -> Iterator[tuple[int, list[Best]]]:
    """Yield falling floors with all networks that have at least the floor, while they can be listed."""
    for share in _LOWER:
        floor = max(least, int(most * (1 - share)))
        try:
            window = [
                each.best(entries)
                for each in contexts
                if each.relaxed.may_have(floor)
                for entries in every(each.narrowed, each.relaxed, floor)
            ]
        except TooManyError:
            return
        yield floor, _ordered(window, maximize)
        if floor <= least:
            return


def _below(
    contexts: Sequence[_Context], maximize: int, cap: int, top: int
) -> tuple[list[Best], int | None, bool]:
    """Return networks with almost as much as the limit on what is maximized, what none exceeds, and if they
    are the next. Small contexts are enumerated, so that theirs are the largest.
    """
    found: list[Best] = []
    bounds = {each.number: min(cap, each.relaxed.most) for each in contexts}
    listed = {each.number for each in contexts if each.narrowed.size <= _ENUMERATED}
    for each in contexts:
        if each.number in listed:
            some = [each.best(one) for one in every(each.narrowed, each.relaxed, 0)[:top]]
            found = _ordered([*found, *some], maximize)
            bounds[each.number] = some[0].costs[maximize] if some else 0
    for steps, each in product(_STEPS, contexts):
        most = found[0].costs[maximize] if found else 0
        if len(found) >= top and most >= max(bounds.values()) * (1 - _NEAR):
            break
        if bounds[each.number] > most and each.number not in listed:
            some = [each.best(one) for one in near(each.narrowed, each.relaxed, steps)[:top]]
            found = _ordered([*found, *some], maximize)
    bound = max(bounds.values(), default=0)
    return found, bound or None, len(listed) == len(contexts)


def _within_arena(
    tables: Sequence[ContextTable],
    limits: Limits,
    top: int,
    by_peak: Largest,
    fits: Callable[[Best], bool],
    note: Note,
) -> Largest:
    """Return the largest whose arenas fit: proven if all larger ones were planned."""
    maximize = limits.maximize
    first = [one for one in by_peak.networks if fits(one)]
    found = _ordered([*first, *_lower_peaks(tables, limits, top, fits, note)], maximize)[:top]
    least = found[-1].costs[maximize] if len(found) == top else 0
    bound = by_peak.bound
    assert bound is not None  # a network fits by its peak
    planned: set[tuple[int, ...]] = set()
    for floor, window in _windows(_contexts(tables, limits), maximize, bound, least):
        for one in window:
            if one.digits in planned:
                continue
            if len(planned) >= _PLANS:
                return _so_far(found, one.costs[maximize], maximize)
            planned.add(one.digits)
            if fits(one):
                found = _ordered([*found, one], maximize)[:top]
            if sum(each.costs[maximize] >= one.costs[maximize] for each in found) >= top:
                return Largest(tuple(found), found[0].costs[maximize], complete=True)
        bound = floor - 1
        if floor <= least:
            most = found[0].costs[maximize] if found else None
            return Largest(tuple(found), most, complete=True)
    return _so_far(found, bound, maximize)


def _so_far(found: Sequence[Best], bound: int, maximize: int) -> Largest:
    """Return what was found when not all networks were planned. bound: of those that were not."""
    most = max(bound, found[0].costs[maximize] if found else 0)
    return Largest(tuple(found), most, complete=False)


def _lower_peaks(
    tables: Sequence[ContextTable], limits: Limits, top: int, fits: Callable[[Best], bool], note: Note
) -> list[Best]:
    """Return the largest that fit at lower limits of the peak: quickly found, and not proven."""
    for share in _PEAKS:
        lower = Limits({**limits.most, PEAK: int(limits.most[PEAK] * share)}, limits.maximize)
        found = _largest_of_all(tables, lower, 4 * top, note).networks
        if fitting := [one for one in found if fits(one)]:
            return fitting[:top]
    return []
