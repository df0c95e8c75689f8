"""Which blocks of two networks are compared."""

from collections.abc import Sequence
from math import log2
from typing import NamedTuple

from .graph import Graph
from .once import once

_Pair = tuple[int, int]


class _Side(NamedTuple):
    """Of each block its key, the shape of its output, and the power of two by which that is smaller than the
    image; None for a vector.
    """

    keys: list[str]
    shapes: list[tuple[int, ...]]
    reductions: list[int | None]


@once
def aligned(old: Graph, new: Graph) -> dict[str, str]:
    """Return each block of `new` that has a counterpart in `old`, with that block's name.

    In order, as many blocks of equal structure as possible are counterparts; between those, as many as
    possible with an output of one shape, then with one that is as many times smaller than the input. Where
    as many of one network are left between two pairs as of the other, they are counterparts by their place.
    In networks of as many blocks each has the one in its place, unless another order has more of equal
    structure.
    """
    before, after = old.block_names, new.block_names
    a, b = _side(old), _side(new)
    pairs = _with_equal_gaps(_best(a, b), len(before), len(after))
    if len(before) == len(after):
        in_place = [(n, n) for n in range(len(before))]
        if _equals(in_place, a, b) >= _equals(pairs, a, b):
            pairs = in_place
    return {after[n]: before[o] for o, n in pairs}


def joined(graphs: Sequence[Graph]) -> list[tuple[str | None, ...]]:
    """Return rows of blocks that are compared, one of each graph or None: of every graph with the first.

    What has no counterpart stands in a row of its own, after the one that it follows in its network.
    """
    first, *others = graphs
    rows: list[list[str | None]] = [[name, *[None for _ in others]] for name in first.block_names]
    for place, graph in enumerate(others, 1):
        same = aligned(first, graph)
        at = -1
        for name in graph.block_names:
            if name in same:
                at = next(n for n, row in enumerate(rows) if row[0] == same[name])
            else:
                at += 1
                rows.insert(at, [None for _ in graphs])
            rows[at][place] = name
    return [tuple(row) for row in rows]


def _side(graph: Graph) -> _Side:
    shapes = [block.layers[-1].out_shape for block in graph.blocks]
    side = max((shape[-1] for _, shape in graph.inputs if len(shape) > 2), default=0)
    smaller = [round(log2(side / shape[-1])) if side and len(shape) > 2 else None for shape in shapes]
    return _Side([graph.keys[name] for name in graph.block_names], shapes, smaller)


def _best(old: _Side, new: _Side) -> list[_Pair]:
    """The pairs in order with as many equal keys as possible, then shapes, then reductions.

    Longest common subsequence, weighted; of several the one that pairs earliest. Time and memory grow with
    the product of the numbers of blocks.
    """
    rows, columns = len(old.keys), len(new.keys)
    unit = rows + columns
    weights = (unit * unit, unit, 1)  # one equal key counts more than any number of equal shapes
    worth = [_worths(one, new, weights) for one in zip(*old, strict=True)]
    most = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        here, below, row = most[i], most[i + 1], worth[i]
        for j in range(columns - 1, -1, -1):
            together = row[j] and row[j] + below[j + 1]
            here[j] = max(below[j], here[j + 1], together)
    pairs = []
    i = j = 0
    while i < rows and j < columns:
        if worth[i][j] and most[i][j] == worth[i][j] + most[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif most[i][j] == most[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _worths(one: tuple[str, tuple[int, ...], int | None], new: _Side, weights: tuple[int, ...]) -> list[int]:
    """What a block is worth beside each of the other network's; 0 for what is no counterpart."""
    key, shape, reduction = one
    equal, alike, near = weights
    return [
        equal if key == k else alike if shape == s else near if reduction == r else 0
        for k, s, r in zip(*new, strict=True)
    ]


def _with_equal_gaps(pairs: Sequence[_Pair], old: int, new: int) -> list[_Pair]:
    """The pairs, and those by place between two of them where as many are left on both sides."""
    found: list[_Pair] = []
    i = j = 0
    for o, n in [*pairs, (old, new)]:
        if o - i == n - j:
            found += zip(range(i, o), range(j, n), strict=True)
        found.append((o, n))
        i, j = o + 1, n + 1
    return found[:-1]


def _equals(pairs: Sequence[_Pair], old: _Side, new: _Side) -> int:
    return sum(old.keys[o] == new.keys[n] for o, n in pairs)
