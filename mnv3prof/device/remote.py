"""The worker process on another device, which has nothing of this package but what it was sent."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from .describe import describe
from .process import Line, settle
from .protocol import Cached, Clear, Describe, Held, Hold, MeasureRoof, Place, Put
from .roof import measure_roof
from .runtimes import Unsupported, runtime
from .state import fastest_cores
from .store import Store
from .worker import Runner, job_from_files, read_request, serve

if TYPE_CHECKING:
    from .worker import Handlers

_LOCK = "lock"


class _Lock:
    """Keeps others from measuring on this device. The system releases it when the process ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file: IO[Any] | None = None

    def hold(self, _: Hold) -> Held:
        """Take the lock. Raises Unsupported if another process has it."""
        import fcntl

        file = (self._store.folder / _LOCK).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise Unsupported("is being measured by another process") from None
        self._file = file
        return Held()


def main(token: str, cpus: tuple[int, ...], threads: int) -> None:
    """Serve a runtime, files, and what is known of the device.

    cpus: cores to use, () for the fastest `threads` of a processor with several kinds, else all.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))
    settle()
    if (chosen := cpus or fastest_cores(threads)) and hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(0, chosen)
    store = Store()
    handlers: Handlers = {
        **Runner(runtime, job_from_files, watch=True).handlers,
        Place: store.place,
        Put: store.put,
        Cached: store.cached,
        Clear: store.clear,
        Hold: _Lock(store).hold,
        Describe: describe,
        MeasureRoof: measure_roof,
    }
    try:
        serve(Line(token), handlers, read_request)
    finally:
        store.leave()
