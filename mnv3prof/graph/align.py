"""Which blocks of two networks can be compared."""

from difflib import SequenceMatcher

from .graph import Graph


def aligned(old: Graph, new: Graph) -> dict[str, str]:
    """Return each block of `new` that has a counterpart in `old`, with that one's name.

    Blocks of the same structure are counterparts, in order. Between those, blocks are counterparts by
    their place, where as many of one network stand there as of the other: a block that was changed is
    compared with what it was before. Others have none.
    """
    before, after = old.block_names, new.block_names
    matcher = SequenceMatcher(
        None, [old.keys[name] for name in before], [new.keys[name] for name in after], autojunk=False
    )
    found: dict[str, str] = {}
    for _, low, high, first, last in matcher.get_opcodes():
        if high - low == last - first:
            found |= dict(zip(after[first:last], before[low:high], strict=True))
    return found
