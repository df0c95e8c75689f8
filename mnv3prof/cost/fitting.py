"""Search for the largest network that fits into a memory budget."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

_Size = TypeVar("_Size")


class Remedy(msgspec.Struct, frozen=True):
    """A change of a network or its plan, the arena that it then needs, whether all fits, and its costs."""

    change: str
    arena_bytes: int
    fits: bool
    macs: int
    weight_bytes: int


def largest(
    sizes: Sequence[_Size], may_fit: Callable[[_Size], bool], fits: Callable[[_Size], bool]
) -> _Size | None:
    """Return the last of `sizes`, in ascending order, that fits; None if none does.

    may_fit: True for each size that fits, and for all below one for which it is True, so that it is bisected.
    From there on each size is tried, since a plan may need fewer bytes for a larger network.
    """
    low, high = 0, len(sizes)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if may_fit(sizes[middle]) else (low, middle)
    return next((size for size in reversed(sizes[:low]) if fits(size)), None)
