"""Points of which no other is at least as good in everything."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK: Final = 1_024


def front(points: "NDArray[Any]") -> "NDArray[Any]":
    """Return the numbers of the points that no other dominates; of equal ones that of the first.

    points: (n, objectives), each to be minimized.
    """
    import numpy as np

    order = np.lexsort(points.T[::-1])
    if len(order) > 1:
        ordered = points[order]
        order = order[np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])]
    return np.asarray(order[_skyline(points[order])])


def _skyline(points: "NDArray[Any]") -> "NDArray[Any]":
    """Return which of points, sorted by their objectives, none before them dominates or equals."""
    import numpy as np

    count, objectives = points.shape
    if objectives == 1:
        return np.asarray(np.arange(count) == 0)
    if objectives == 2:
        lowest = np.minimum.accumulate(points[:, 1])
        return np.concatenate([[True], points[1:, 1] < lowest[:-1]])[:count]
    kept = np.zeros(count, bool)
    found = points[:0]
    for start in range(0, count, _BLOCK):
        block = points[start : start + _BLOCK]
        own = np.flatnonzero(~_covered(block, found))
        own = own[~_covered_before(block[own])]
        kept[start + own] = True
        found = np.concatenate([found, block[own]])
    return kept


def _covered(block: "NDArray[Any]", by: "NDArray[Any]") -> "NDArray[Any]":
    """Return which points of a block a point of `by` dominates or equals."""
    import numpy as np

    left = np.arange(len(block))
    for start in range(0, len(by), _BLOCK):
        some = by[start : start + _BLOCK]
        below = np.ones((len(left), len(some)), bool)
        for column in range(block.shape[1]):
            below &= some[None, :, column] <= block[left, column][:, None]
        left = left[~below.any(axis=1)]
    covered = np.ones(len(block), bool)
    covered[left] = False
    return covered


def _covered_before(points: "NDArray[Any]") -> "NDArray[Any]":
    """Return which points one before them dominates or equals."""
    import numpy as np

    below = np.tri(len(points), k=-1, dtype=bool)
    for column in range(points.shape[1]):
        below &= points[None, :, column] <= points[:, column][:, None]
    return np.asarray(below.any(axis=1))
