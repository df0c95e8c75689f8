"""The largest networks of a whole space within budgets, with what is proven of them."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ..cost.counts import Dtype
from ..cost.memory import arena
from .costs import PEAK, ContextTable
from .fit import Best, Limits, largest
from .space import Space

_WALKED: Final = (1, 16, 128)
"""Numbers of the largest networks of a context whose arenas are planned, until one fits."""


class Fitted(NamedTuple):
    """networks: the largest first. bound: none within the budgets has more. proven: the first has that."""

    networks: tuple[Best, ...]
    bound: int | None
    proven: bool


def choose(
    space: Space,
    tables: Sequence[ContextTable],
    budgets: Mapping[int, int],
    maximise: int,
    *,
    top: int = 1,
    arena_bytes: int | None = None,
    dtype: Dtype = "fp32",
) -> Fitted:
    """Return the networks with the most of a column within budgets. budgets: by column.

    arena_bytes: limit of the planned arena, which is at least the peak.
    """
    limits = Limits(budgets, maximise)
    if arena_bytes is None:
        found, bound = _over_contexts(tables, limits, top)
        return _fitted(found, bound, maximise)
    peak = min(arena_bytes, budgets.get(PEAK, arena_bytes))
    return _within_arena(space, tables, Limits({**budgets, PEAK: peak}, maximise), top, arena_bytes, dtype)


def _fitted(found: list[Best], bound: int | None, maximise: int) -> Fitted:
    proven = not found or bound == found[0].costs[maximise]
    return Fitted(tuple(found), bound, proven)


def _over_contexts(tables: Sequence[ContextTable], limits: Limits, top: int) -> tuple[list[Best], int | None]:
    """Return the largest of all contexts, and what none exceeds.

    Without a limit on what is maximised the fronts are exact. With one they are searched in steps, in the
    contexts alone whose largest is above it.
    """
    cap = limits.most.get(limits.maximise)
    free = Limits({c: most for c, most in limits.most.items() if c != limits.maximise}, limits.maximise)
    found: list[Best] = []
    above = []
    for number, table in enumerate(tables):
        best = largest(number, table, free, top)
        if cap is None or (best and best[0].costs[limits.maximise] <= cap):
            found += best
        elif best:
            above.append(number)
    for number in above:
        found += largest(number, tables[number], limits, top)
    found.sort(key=lambda one: (-one.costs[limits.maximise], one.costs))
    bound = cap if above else found[0].costs[limits.maximise] if found else None
    return found[:top], bound


def _within_arena(
    space: Space, tables: Sequence[ContextTable], limits: Limits, top: int, arena_bytes: int, dtype: Dtype
) -> Fitted:
    """Walk the largest by peak until the arenas of `top` fit: proven if nothing larger was left out."""
    found, bound = _over_contexts(tables, limits, top)
    first = bound
    for many in _WALKED:
        walked, _ = _over_contexts(tables, limits, many * top) if many > 1 else (found, bound)
        fitting = [one for one in walked if _fits(space, one, arena_bytes, dtype)]
        if len(fitting) >= top or (fitting and len(walked) < many * top):
            is_first = bool(found) and fitting[0] == found[0]
            return Fitted(
                tuple(fitting[:top]), first, is_first and first == fitting[0].costs[limits.maximise]
            )
    return Fitted(tuple(_smaller(space, tables, limits, top, arena_bytes, dtype)), first, proven=False)


def _smaller(
    space: Space, tables: Sequence[ContextTable], limits: Limits, top: int, arena_bytes: int, dtype: Dtype
) -> list[Best]:
    """Return the largest that fit at lower peaks, in steps of a twentieth."""
    for part in range(19, 0, -1):
        lower = Limits({**limits.most, PEAK: limits.most[PEAK] * part // 20}, limits.maximise)
        found, _ = _over_contexts(tables, lower, 4 * top)
        if fitting := [one for one in found if _fits(space, one, arena_bytes, dtype)]:
            return fitting[:top]
    return []


def _fits(space: Space, one: Best, arena_bytes: int, dtype: Dtype) -> bool:
    graph = space.network(space.number(one.digits)).graph
    return arena(graph, dtype).bytes <= arena_bytes
