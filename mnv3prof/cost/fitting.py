"""Search for the largest network that fits into a memory budget."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

_Size = TypeVar("_Size")


class Remedy(msgspec.Struct, frozen=True):
    """A change of a network or its plan, the arena that it then needs, whether that fits, and its costs."""

    change: str
    arena_bytes: int
    fits: bool
    macs: int
    weight_bytes: int


def largest(
    sizes: Sequence[_Size], lower_bound: Callable[[_Size], int], needed: Callable[[_Size], int], budget: int
) -> _Size | None:
    """Return the last of `sizes`, in ascending order, that needs at most `budget` bytes; None if none does.

    lower_bound: at most `needed`, and not falling with the size, so that it is bisected; from there on each
    size is tried, since a plan may need fewer bytes for a larger network.
    """
    low, high = 0, len(sizes)
    while low < high:
        middle = (low + high) // 2
        if lower_bound(sizes[middle]) <= budget:
            low = middle + 1
        else:
            high = middle
    return next((size for size in reversed(sizes[:low]) if needed(size) <= budget), None)
