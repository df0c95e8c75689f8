"""Align the blocks of two networks."""

from collections.abc import Sequence
from math import log2
from typing import NamedTuple

from .graph import Graph
from .once import once

_Pair = tuple[int, int]


class _Side(NamedTuple):
    """Key, output shape and reduction of each block of a network.

    reduction: log2 of input width / output width, rounded; None if the output has no spatial axes.
    """

    keys: list[str]
    shapes: list[tuple[int, ...]]
    reductions: list[int | None]


@once
def aligned(old: Graph, new: Graph) -> dict[str, str]:
    """Map the blocks of `new` to their counterparts in `old`, by name.

    The alignment keeps the order of the blocks. It has as many pairs of equal structure as possible, then of
    equal output shape, then of equal reduction of the input size. Between two pairs, equal numbers of
    remaining blocks are paired by position. If both networks have the same number of blocks, all are paired
    by position, unless the alignment above has more pairs of equal structure.
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
    """Return rows of aligned block names, one column per graph; None where there is no block.

    Every graph is aligned with the first. A block without a counterpart has its own row, after that of the
    block before it in its network.
    """
    first, *others = graphs
    rows: list[list[str | None]] = [[name, *[None for _ in others]] for name in first.block_names]
    for column, graph in enumerate(others, 1):
        counterparts = aligned(first, graph)
        at = -1
        for name in graph.block_names:
            if name in counterparts:
                at = next(n for n, row in enumerate(rows) if row[0] == counterparts[name])
            else:
                at += 1
                rows.insert(at, [None for _ in graphs])
            rows[at][column] = name
    return [tuple(row) for row in rows]


def _side(graph: Graph) -> _Side:
    shapes = [block.layers[-1].out_shape for block in graph.blocks]
    side = max((shape[-1] for _, shape in graph.inputs if len(shape) > 2), default=0)
    reductions = [round(log2(side / shape[-1])) if side and len(shape) > 2 else None for shape in shapes]
    return _Side([graph.keys[name] for name in graph.block_names], shapes, reductions)


def _best(old: _Side, new: _Side) -> list[_Pair]:
    """Align in order with as many equal keys as possible, then shapes, then reductions.

    Weighted longest common subsequence; among equally good ones, the one that pairs earliest. Time and
    memory are proportional to the product of the numbers of blocks.
    """
    rows, columns = len(old.keys), len(new.keys)
    unit = rows + columns
    weights = (unit * unit, unit, 1)  # one equal key counts more than any number of equal shapes
    scores = [_scores(one, new, weights) for one in zip(*old, strict=True)]
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        here, below, row = best[i], best[i + 1], scores[i]
        for j in range(columns - 1, -1, -1):
            paired = row[j] and row[j] + below[j + 1]
            here[j] = max(below[j], here[j + 1], paired)
    pairs = []
    i = j = 0
    while i < rows and j < columns:
        if scores[i][j] and best[i][j] == scores[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _scores(one: tuple[str, tuple[int, ...], int | None], new: _Side, weights: tuple[int, ...]) -> list[int]:
    """Scores of pairing a block with each block of the other network; 0: not possible."""
    key, shape, reduction = one
    for_key, for_shape, for_reduction = weights
    return [
        for_key if key == k else for_shape if shape == s else for_reduction if reduction == r else 0
        for k, s, r in zip(*new, strict=True)
    ]


def _with_equal_gaps(pairs: Sequence[_Pair], old: int, new: int) -> list[_Pair]:
    """Add pairs by position in the gaps that have equally many blocks on both sides."""
    filled: list[_Pair] = []
    i = j = 0
    for o, n in [*pairs, (old, new)]:
        if o - i == n - j:
            filled += zip(range(i, o), range(j, n), strict=True)
        filled.append((o, n))
        i, j = o + 1, n + 1
    return filled[:-1]


def _equals(pairs: Sequence[_Pair], old: _Side, new: _Side) -> int:
    return sum(old.keys[o] == new.keys[n] for o, n in pairs)
