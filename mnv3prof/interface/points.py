"""Sample the networks of design spaces, and find their Pareto fronts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..bench.progress import Progress
from ..budgets.where import conditions_from, objectives_from
from ..cost.counts import DTYPE_BYTES, Dtype
from ..graph.errors import InputError, one_of, quote, require, require_at_least_1
from ..space.costs import COLUMNS, ContextTable
from ..space.files import open_space
from ..space.points.arenas import Planner
from ..space.points.executors import Workers, executor_of
from ..space.points.files import NETWORK, SUFFIXES, Reader
from ..space.points.pareto import Ask, Objective, Part, front_of, part_of, require_library
from ..space.points.sweep import MOST_SAMPLED, MOST_SEED, Range, in_order, jobs_of, points, total_of
from ..space.space import Space
from ..space.tables import tables_of
from ..workers.cache_folder import usable_folder
from .measuring import warn_of_cache

if TYPE_CHECKING:
    import pandas as pd

_CHUNKS = 32
"""Of a job of which only the front is kept."""


class Swept(NamedTuple):
    """Networks of a space to compute. samples: their number, None for all. total: number of networks."""

    name: str
    space: Space
    tables: Sequence[ContextTable]
    samples: int | None
    seed: int
    where: tuple[Range, ...]
    dtype: Dtype

    @property
    def total(self) -> int:
        """The number of networks."""
        return total_of(self.space, self.samples)


class PointSource(NamedTuple):
    """Points to reduce. dtype: of their bytes, None for a file, which does not say it. total: their number,
    None if it is not known. parts: yields what is asked of them by workers; its last argument is called with
    the number of points done.
    """

    name: str
    dtype: Dtype | None
    total: int | None
    planner: Planner
    parts: Callable[[Ask, Workers, Callable[[int], None]], Iterator[Part]]


def of_file(path: Path, where: Sequence[Range]) -> PointSource:
    """Return the points of a file. Raises InputError."""
    reader = Reader(path, where)

    def parts(ask: Ask, _: Workers, tell: Callable[[int], None]) -> Iterator[Part]:
        return reader.parts(ask, tell)

    return PointSource(reader.name, None, reader.rows, Planner(reader.name), parts)


def of_space(swept: Swept, objectives: Sequence[Objective]) -> PointSource:
    """Return the networks of a space. Raises InputError."""
    require_library(swept.total, len(objectives))

    def parts(ask: Ask, workers: Workers, tell: Callable[[int], None]) -> Iterator[Part]:
        space, tables, count = swept.space, swept.tables, swept.samples
        jobs = jobs_of(space, tables, count, seed=swept.seed, where=swept.where, chunks=_CHUNKS)
        done = 0
        for part in in_order(partial(part_of, ask, swept.name), jobs, *workers):
            done += part.seen
            tell(done)
            yield part

    return PointSource(swept.name, swept.dtype, swept.total, Planner(swept.name, swept.dtype), parts)


def sweep(
    space: str | Path,
    count: int | None = None,
    *,
    where: str | Sequence[str] = (),
    seed: int = 0,
    dtype: Dtype = "fp32",
    executor: Any = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> pd.DataFrame:
    """Return the networks of a design space with their costs, a row each.

    space: a preset or a file. count: number of networks to sample, None for all. where: conditions such as
        "macs<=100M,peak.fused<=256KiB". seed: of the samples. dtype: of the bytes.
    executor: computes: one of concurrent.futures, or a Dask client; a thread by default. on_progress: called
        with what is being done.

    Samples are independent and have the same chance. The result depends on space, count, where and seed
    alone. Columns: network (a name that load() takes), macs, flops, params, and in bytes weights, read,
    written and peak.fused. Raises InputError.

    >>> points = mnv3prof.sweep("near-small", 1_000, where="macs<=30M", seed=1)
    >>> bool((points.macs <= 30_000_000).all()), points.network[0].startswith("near-small#")
    (True, True)
    """
    import numpy as np
    import pandas as pd

    require(space, (str, Path), "sweep", "a preset or a file")
    swept = _swept(str(space), count, where, seed, dtype)
    jobs = jobs_of(swept.space, swept.tables, count, seed=seed, where=swept.where)
    found = []
    done = 0
    for each in in_order(points, jobs, *(Workers() if executor is None else executor_of(executor))):
        found.append(each)
        done += each.seen
        if on_progress:
            on_progress(
                Progress(f"{done:,} of {swept.total:,} networks", done / swept.total, None, "sampling")
            )
    columns = np.concatenate([each.columns for each in found], axis=1)
    names = np.concatenate([np.strings.add(f"{space}#".encode(), each.numbers) for each in found])
    return pd.DataFrame(
        {NETWORK: np.strings.decode(names, "utf-8"), **dict(zip(COLUMNS, columns, strict=True))}
    )


def pareto(
    source: str | Path,
    count: int | None = None,
    *,
    minimize: str | Sequence[str] = (),
    maximize: str | Sequence[str] = (),
    where: str | Sequence[str] = (),
    seed: int = 0,
    dtype: Dtype = "fp32",
    executor: Any = None,
) -> pd.DataFrame:
    """Return the networks that no other is at least as good as in all objectives and better in one.

    source: a file of points (.csv, .parquet), or a space, as of sweep() with its other arguments.
    minimize, maximize: columns of the points; minimize also "arena", which is planned for the networks that
        can be on the front. Of networks with equal objectives one is returned.

    Which network is the most accurate is not known. Raises InputError.

    >>> front = mnv3prof.pareto("near-small", 1_000, minimize=["params", "peak.fused"], maximize="macs")
    >>> bool(front.params.is_monotonic_increasing)
    True
    """
    import pandas as pd

    objectives = objectives_from(
        _texts(minimize, "minimize"), _texts(maximize, "maximize"), ("minimize", "maximize")
    )
    require(source, (str, Path), "pareto", "a file or a space")
    path = Path(source)
    if path.suffix.lower() in SUFFIXES:
        if (count, seed, dtype, executor) != (None, 0, "fp32", None):
            raise InputError(f"{path}: is a file; count, seed, dtype and executor are for a space")
        found = of_file(path, conditions_from(_texts(where, "where"), "where"))
    else:
        found = of_space(_swept(str(source), count, where, seed, dtype), objectives)
    workers = Workers() if executor is None else executor_of(executor)
    front = front_of(lambda ask: found.parts(ask, workers, lambda _: None), objectives, found.planner.plan)
    return pd.DataFrame({NETWORK: front.networks, **front.costs})


def _texts(given: str | Sequence[str], what: str) -> list[str]:
    if not isinstance(given, str):
        require(given, (list, tuple), what, "text, or a list of texts")
        for each in given:
            require(each, str, what, "text")
    return [given] if isinstance(given, str) else list(given)


def _swept(name: str, count: int | None, where: str | Sequence[str], seed: int, dtype: Dtype) -> Swept:
    if count is not None:
        require_at_least_1(count, "count")
        if count > MOST_SAMPLED:
            raise InputError(f"count: {quote(count)} is not allowed; expected at most {MOST_SAMPLED:,}")
    if type(seed) is not int or not 0 <= seed <= MOST_SEED:
        raise InputError(f"seed: {quote(seed)} is not allowed; expected an integer from 0 to {MOST_SEED:,}")
    one_of(dtype, DTYPE_BYTES, "dtype")
    asked = conditions_from(_texts(where, "where"), "where")
    space = open_space(name)
    total_of(space, count)
    tables = tables_of(space, dtype, usable_folder(warn_of_cache))
    return Swept(name, space, tables, count, seed, asked, dtype)
