"""Options of the commands that sample a space, and the workers that compute its points."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import Annotated

import msgspec

from ..bench.progress import OnProgress, Progress
from ..budgets.units import parse_count
from ..budgets.where import conditions_from
from ..graph.errors import InputError, about, quote
from ..interface.points import Swept
from ..space.costs import COLUMNS
from ..space.files import open_space
from ..space.points.executors import MOST_WORKERS, Workers, cluster, threads
from ..space.points.sweep import MOST_SAMPLED, MOST_SEED, Range, total_of
from .interrupts import stopping
from .options import DtypeOption, budget_option, in_range, measuring_option, network_option, recipe_option
from .spaces import costs_of_space

WhereOption = Annotated[
    list[str] | None,
    budget_option(
        "--where",
        metavar="LIST",
        help=f"Conditions such as macs<=100M,peak.fused<256KiB; repeatable. Names: {', '.join(COLUMNS)}.",
        show_default=False,
    ),
]


class Sampling(msgspec.Struct, frozen=True):
    """What is sampled of a space, and by which workers."""

    count: Annotated[
        str | None,
        network_option(
            "--count",
            "-n",
            metavar="N",
            help="Number of networks to sample, such as 10M.",
            show_default="all",
        ),
    ] = None
    seed: Annotated[int, recipe_option("--seed", help="Random seed.")] = 0
    dtype: DtypeOption = "fp32"
    workers: Annotated[
        int | None,
        measuring_option("--workers", help="Number of threads that compute.", show_default="one per CPU"),
    ] = None
    scheduler: Annotated[
        str | None,
        measuring_option(
            "--scheduler",
            metavar="ADDRESS",
            help="Compute on a Dask cluster, e.g. tcp://10.0.0.5:8786.",
            show_default=False,
        ),
    ] = None

    def check(self) -> None:
        """Raise InputError if a value is not possible."""
        in_range(self.seed, "--seed", 0, MOST_SEED)
        if self.workers is not None:
            in_range(self.workers, "--workers", 1, MOST_WORKERS)
            if self.scheduler is not None:
                raise InputError("--workers and --scheduler cannot be combined")
        self.number()

    def number(self) -> int | None:
        """Return the number of samples, None for all networks. Raises InputError."""
        if self.count is None:
            return None
        found = parse_count(self.count, "--count")
        if not 1 <= found <= MOST_SAMPLED:
            raise InputError(
                f"--count: {quote(self.count)} is not allowed; expected 1 to {MOST_SAMPLED:,} networks"
            )
        return found

    @contextmanager
    def opened(self) -> Iterator[Workers]:
        """Yield the workers. Raises InputError."""
        if self.scheduler is not None:
            with cluster(self.scheduler) as workers:
                yield workers
        else:
            with threads(self.workers or _cpus()) as workers:
                yield workers


def swept(name: str, sampling: Sampling, where: tuple[Range, ...]) -> Swept:
    """Open a space and compute the costs of its stages. Raises InputError."""
    space, count = open_space(name), sampling.number()
    with about("--count") if count is None else nullcontext():
        total_of(space, count)
    with stopping(lambda: "nothing was computed; the same command starts again"):
        tables = costs_of_space(space, sampling.dtype)
    return Swept(name, space, tables, count, sampling.seed, where, sampling.dtype)


def conditions(where: list[str] | None) -> tuple[Range, ...]:
    """Return the conditions of --where. Raises InputError."""
    return conditions_from(where or (), "--where")


def ticking(on_progress: OnProgress, phase: str, total: int | None) -> Callable[[int], None]:
    """Return a function that shows how many of `total` networks are done; None if that is not known."""
    began = monotonic()

    def tell(done: int) -> None:
        if not total:
            on_progress(Progress(f"{done:,} networks", phase=phase))
            return
        share = done / total
        left = (monotonic() - began) * (1 - share) / share if share else None
        on_progress(Progress(f"{done:,} of {total:,} networks", share, left, phase))

    return tell


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
