"""Executors of a sweep's jobs: threads of this process, or a Dask cluster."""

import re
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from ...graph.errors import InputError, one_line, printable, quote

MOST_WORKERS: Final = 1_024
_CONNECT_S: Final = 10
_MOST_PORT: Final = 65_535
_RETRIES: Final = 5
"""How often a job is tried again after its worker has died."""


class Workers(NamedTuple):
    """An executor, None for this thread. window: number of jobs that are submitted at a time."""

    executor: Executor | None = None
    window: int = 1


@contextmanager
def threads(count: int) -> Iterator[Workers]:
    """Yield threads: NumPy computes without Python's lock, on tables that they share."""
    if count == 1:
        yield Workers()
        return
    executor = ThreadPoolExecutor(count)
    try:
        yield Workers(executor, count + 2)
    finally:
        executor.shutdown(cancel_futures=True)


def executor_of(given: Any) -> Workers:
    """Return an executor of concurrent.futures, or that of a Dask client."""
    if hasattr(given, "get_executor"):
        given = given.get_executor(pure=False, retries=_RETRIES)
    if not isinstance(given, Executor):
        raise InputError(
            f"executor: {type(given).__name__} is none; expected one of concurrent.futures, or a Dask client"
        )
    return Workers(given, 2 * getattr(given, "_max_workers", 8))


@contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """Yield the workers of a Dask scheduler. Raises InputError about its address."""
    try:
        import distributed
    except ImportError:
        raise InputError("distributed is not installed: pip install 'mnv3prof[dask]'") from None
    where = printable(address)
    match = re.fullmatch(r"(?:(?:tcp|tls|wss?|ucx)://)?[^/\s]+:([0-9]{1,5})", address)
    if match is None or not 1 <= int(match[1]) <= _MOST_PORT:
        raise InputError(f"{quote(address)}: is not an address of a scheduler, such as tcp://10.0.0.5:8786")
    try:
        make: Any = distributed.Client
        client = make(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        reason = one_line(str(error))[:120] or type(error).__name__
        raise InputError(f"{where}: the scheduler cannot be reached ({reason})") from None
    try:
        _require_same_version(client, where)
        yield executor_of(client)._replace(window=2 * sum(client.nthreads().values()) + 2)
    except _lost() as error:
        reason = one_line(str(error))[:120] or type(error).__name__
        raise InputError(f"{where}: the connection to the cluster was lost ({reason})") from None
    finally:
        client.close(timeout=_CONNECT_S)


def _lost() -> Any:
    """Return the exceptions of distributed after its scheduler or too many workers have died."""
    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    return CommClosedError, KilledWorker, CancelledError


def _require_same_version(client: Any, where: str) -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = set(client.run(version, "mnv3prof").values())
    except PackageNotFoundError:
        raise InputError(f"{where}: its workers do not have mnv3prof; install it there") from None
    if not found:
        raise InputError(f"{where}: the cluster has no workers")
    if found != {version("mnv3prof")}:
        others = ", ".join(sorted(found))
        raise InputError(f"{where}: its workers have mnv3prof {others}; expected {version('mnv3prof')}")
