"""Latency as one more additive column of a space's tables: a value for every entry of every stage."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..budgets.choosing import Latency
from ..record.rows import HeldOut, RowTable
from ..record.target import Target
from ..space.costs import Added
from ..space.space import Space, Stage
from ..space.tables import PREFIX, read_arrays, write_arrays
from .blocks import Blocks, StageBlocks
from .model import Model, Structure, fitted
from .predictor import has_trees

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORM: Final = 1
"""Incremented when models, features or the form of a file change."""
_ERRORS: Final = "held out"


def latency_of(space: Space, table: RowTable, target: Target, folder: Path | None) -> Latency:
    """Return the latencies that a table's times of a target predict. Raises InputError for too few of them.

    folder: of the cache, None for none.
    """
    path = folder and folder / f"{PREFIX}{_digest(space, table, target)}.npz"
    if path and (known := _read(space, path)):
        return known
    model = fitted(space, table, target)
    found = Latency(latency_columns(space, model), model.networks_held_out)
    if path:
        _write(found, path)
    return found


def latency_columns(space: Space, model: Model) -> list[Added]:
    """Return the latency of every entry in integer nanoseconds, by context.

    The latency of a network is the sum of one entry of each stage and of the ends: exactly what
    Model.estimate() returns for it.
    """
    import numpy as np

    blocks = Blocks(space)
    contexts = list(blocks.contexts())
    stem = np.array([known.place.block == "stem" for known in blocks.known])
    added = model.added([Structure(known.key, known.features) for known in blocks.known], list(stem))
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


def _digest(space: Space, table: RowTable, target: Target) -> str:
    """Return the identity of what latencies depend on."""
    from importlib.metadata import version

    timings = [timing for timing in table.timings if timing.target == target]
    trees = version("scikit-learn") if has_trees() else ""
    key = [_FORM, version("mnv3prof"), trees, space.digest, timings]
    return hashlib.blake2b(msgspec.json.encode(key), digest_size=12).hexdigest()


def _write(latency: Latency, path: Path) -> None:
    import numpy as np

    arrays = {_ERRORS: np.array(msgspec.structs.astuple(latency.held_out), float)}
    for n, context in enumerate(latency.columns):
        arrays[f"{n}.ends"] = context.ends
        for place, stage in enumerate(context.stages):
            arrays |= {f"{n}.{place}.{before}": each for before, each in enumerate(stage)}
    write_arrays(arrays, path)


def _read(space: Space, path: Path) -> Latency | None:
    def read(arrays: Mapping[str, Any]) -> Latency:
        columns = [_context(space, n, arrays) for n in range(len(space.contexts))]
        count, *errors = arrays[_ERRORS].tolist()
        return Latency(columns, HeldOut(int(count), *errors))

    return read_arrays(path, read)


def _context(space: Space, number: int, arrays: Mapping[str, Any]) -> Added:
    """Return the latencies of a context. Raises KeyError or ValueError for a damaged file."""
    befores = (1, *(len(stage.out) for stage in space.stages[:-1]))
    stages = tuple(
        tuple(arrays[f"{number}.{place}.{n}"] for n in range(before)) for place, before in enumerate(befores)
    )
    ends = arrays[f"{number}.ends"]
    for stage, columns in zip(space.stages, stages, strict=True):
        if {each.shape for each in columns} != {(stage.entries,)}:
            raise ValueError
    if ends.shape != (len(space.stages[-1].out),):
        raise ValueError
    return Added(stages, ends)
