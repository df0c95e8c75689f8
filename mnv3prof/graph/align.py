"""Which blocks of two networks can be compared."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from .graph import Graph


def aligned(old: Graph, new: Graph) -> dict[str, str]:
    """Return each block of `new` that has a counterpart in `old`, with that block's name.

    Blocks of one structure are counterparts, in order. Between those, blocks are counterparts by their
    place, where as many of one network stand there as of the other: a block that was changed is compared
    with what it was before. Others have none. In networks of as many blocks each has the one in its
    place, unless another order has more blocks of one structure.
    """
    before, after = old.block_names, new.block_names
    keys = [[graph.keys[name] for name in graph.block_names] for graph in (old, new)]
    found: dict[str, str] = {}
    for low, high, first, last in _stretches(*keys):
        if high - low == last - first:
            found |= dict(zip(after[first:last], before[low:high], strict=True))
    return found


def _stretches(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Where equal stretches, and the stretches between them, begin and end in both."""
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    equal = sum(high - low for tag, low, high, _, _ in codes if tag == "equal")
    if len(old) == len(new) and sum(a == b for a, b in zip(old, new, strict=True)) >= equal:
        return [(0, len(old), 0, len(new))]
    return [(low, high, first, last) for _, low, high, first, last in codes]
