"""Points of which no other is at least as good in everything."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK: Final = 1_024


def front(points: "NDArray[Any]", layers: int = 1) -> "NDArray[Any]":
    """Return the rows that fewer than `layers` others dominate, and maybe more, in any order.

    points: (n, objectives), each to be minimised. Of equal points all are kept that have room: a point counts
    as dominated by an equal one before it.
    """
    import numpy as np

    left = np.lexsort(points.T[::-1])
    kept = []
    for _ in range(layers):
        if not len(left):
            break
        is_first = _skyline(points[left])
        kept.append(left[is_first])
        left = left[~is_first]
    return np.concatenate(kept) if kept else left


def _skyline(points: "NDArray[Any]") -> "NDArray[Any]":
    """Return which of points, sorted by their objectives, no other dominates or equals."""
    import numpy as np

    count, objectives = points.shape
    if objectives == 1:
        return np.arange(count) == 0
    if objectives == 2:
        lowest = np.minimum.accumulate(points[:, 1])
        return np.concatenate([[True], points[1:, 1] < lowest[:-1]])
    kept = np.zeros(count, bool)
    found = points[:0]
    for start in range(0, count, _BLOCK):
        block = points[start : start + _BLOCK]
        alive = ~_dominated(block, found)
        own = np.flatnonzero(alive)
        within = ~_dominated_before(block[own])
        kept[start + own[within]] = True
        found = np.concatenate([found, block[own[within]]])
    return kept


def _dominated(block: "NDArray[Any]", by: "NDArray[Any]") -> "NDArray[Any]":
    """Return which points of a block a point of `by` dominates or equals."""
    import numpy as np

    found = np.zeros(len(block), bool)
    for start in range(0, len(by), _BLOCK):
        some = by[start : start + _BLOCK]
        left = np.flatnonzero(~found)
        found[left] = (some[None, :, :] <= block[left][:, None, :]).all(axis=2).any(axis=1)
    return found


def _dominated_before(points: "NDArray[Any]") -> "NDArray[Any]":
    """Return which points one before them dominates or equals."""
    import numpy as np

    below = (points[None, :, :] <= points[:, None, :]).all(axis=2)
    return np.asarray(np.tril(below, -1).any(axis=1))
