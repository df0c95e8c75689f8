"""The costs of all contexts of a space, from the cache where they are known."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from ..cost.counts import Dtype
from ..graph.errors import about
from ..record.atomic import replace_file
from .costs import COLUMNS, ContextTable, Counter, StageTable
from .space import Space

_Read = TypeVar("_Read")

PREFIX: Final = "space-"
"""Of files in the cache."""
MOST_BYTES: Final = 2**30
"""Of the files together, above which the least recently used ones are removed."""
_FORM: Final = 2
"""Incremented when counts or the form of a file change."""


def tables_of(
    space: Space, dtype: Dtype, folder: Path | None, on_progress: Callable[[int, int], None] = lambda *_: None
) -> list[ContextTable]:
    """Return the costs of each context. Raises InputError for networks that cannot be made, or cost too much.

    folder: of the cache, None for none. on_progress: called with the number of contexts done, and of all.
    """
    path = folder and folder / f"{PREFIX}{_digest(space, dtype)}.npz"
    if path and (known := _read(space, path)):
        return known
    counter = Counter(space, dtype)
    found = []
    for number in range(len(space.contexts)):
        on_progress(number, len(space.contexts))
        with about(space.source):
            found.append(counter.context(number))
    if path:
        _write(found, path)
    return found


def _digest(space: Space, dtype: Dtype) -> str:
    """Return the identity of a space's costs."""
    from importlib.metadata import version

    key = [_FORM, version("mnv3prof"), dtype, space.digest]
    return hashlib.blake2b(msgspec.json.encode(key), digest_size=12).hexdigest()


def _write(tables: list[ContextTable], path: Path) -> None:
    import numpy as np

    arrays: dict[str, Any] = {}
    for n, table in enumerate(tables):
        arrays[f"{n}.ends"] = np.array(table.ends, np.int64)
        for place, stage in enumerate(table.stages):
            for before, each in enumerate(stage):
                arrays[f"{n}.{place}.{before}"] = each.columns
                arrays[f"{n}.{place}.{before}.out"] = each.out
    write_arrays(arrays, path)


def _read(space: Space, path: Path) -> list[ContextTable] | None:
    return read_arrays(path, lambda arrays: [_context(space, n, arrays) for n in range(len(space.contexts))])


def write_arrays(arrays: Mapping[str, Any], path: Path) -> None:
    """Write arrays by name into the cache, if it takes them, and remove the least recently used of others."""
    import io

    import numpy as np

    data = io.BytesIO()
    np.savez(data, **arrays)
    with suppress(OSError):  # what is not kept is computed again
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data.getvalue())
        held = 0
        for each in sorted(path.parent.glob(f"{PREFIX}*.npz"), key=_used, reverse=True):
            held += each.stat().st_size
            if held > MOST_BYTES and each != path:
                each.unlink()


def _used(path: Path) -> float:
    return path.stat().st_mtime


def read_arrays(path: Path, read: Callable[[Mapping[str, Any]], _Read]) -> _Read | None:
    """Return what `read` makes of the arrays of a file, None if the file is missing or damaged.

    read: raises KeyError or ValueError for a damaged one.
    """
    import zipfile

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = read(arrays)
    except (OSError, ValueError, KeyError, EOFError, TypeError, NotImplementedError, zipfile.BadZipFile):
        return None
    with suppress(OSError):
        path.touch()  # of the last use
    return found


def _context(space: Space, number: int, arrays: Mapping[str, Any]) -> ContextTable:
    stages = []
    befores = 1
    for place, stage in enumerate(space.stages):
        stages.append(
            tuple(
                StageTable(arrays[f"{number}.{place}.{n}"], arrays[f"{number}.{place}.{n}.out"])
                for n in range(befores)
            )
        )
        befores = len(stage.out)
    ends = tuple(tuple(map(int, end)) for end in arrays[f"{number}.ends"])
    for stage, tables in zip(space.stages, stages, strict=True):
        shapes = {(each.columns.shape, each.out.shape) for each in tables}
        if shapes != {((len(COLUMNS), stage.entries), (stage.entries,))}:
            raise ValueError
    return ContextTable(tuple(stages), ends)
