"""Latency as one more additive column of a space's tables: a value for every entry of every stage."""

from typing import TYPE_CHECKING, Any

from ..space.costs import Added
from ..space.space import Space, Stage
from .blocks import Blocks, StageBlocks
from .model import Block, Model

if TYPE_CHECKING:
    from numpy.typing import NDArray


def latency_columns(space: Space, model: Model) -> list[Added]:
    """Return the latency of every entry in integer nanoseconds, by context.

    The latency of a network is the sum of one entry of each stage and of the ends: exactly what
    Model.estimate() returns for it.
    """
    import numpy as np

    blocks = Blocks(space)
    contexts = list(blocks.contexts())
    stem = np.array([known.place.block == "stem" for known in blocks.known])
    added = model.added([Block(known.key, known.features) for known in blocks.known], list(stem))
    return [
        Added(
            tuple(
                tuple(_entries(stage, each, added) for each in found)
                for stage, found in zip(space.stages, context.stages, strict=True)
            ),
            np.array([added[ends].sum() for ends in context.ends], np.int64),
        )
        for context in contexts
    ]


def _entries(stage: Stage, found: StageBlocks, added: "NDArray[Any]") -> "NDArray[Any]":
    """Return the sums of rows: choices for the stage outermost, then the depth, then the first row."""
    import numpy as np

    sums = []
    for place, first in enumerate(found.first):
        for depth in stage.depth:
            block = added[first]
            for _ in range(depth - 1):
                block = (block[:, None] + added[found.rest[place]][None, :]).reshape(-1)
            sums.append(block)
    return np.concatenate(sums)
