"""The worker process on another device, which has nothing of this package but what it was sent."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from time import sleep
from typing import IO, TYPE_CHECKING, Any

from .describe import describe
from .process import Line, settle
from .protocol import Cached, Clear, Describe, Held, Hold, MeasureRoof, Place, Put
from .roof import measure_roof
from .runtimes import Unsupported, runtime
from .state import affinity, fastest_cores
from .store import Store
from .worker import Runner, job_from_files, read_request, serve

if TYPE_CHECKING:
    from .worker import Handlers

_LOCK = "lock"
_LOOKS, _LOOK_S = 5, 0.1
_MOST_NAME = 200


class _Lock:
    """Keeps others from measuring on this device. The system releases it when the process ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file: IO[Any] | None = None

    def hold(self, request: Hold) -> Held:
        """Take the lock. Raises Unsupported if another measurement has it."""
        import fcntl

        with self._store.explained():
            file = (self._store.folder / _LOCK).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with file:
                owner, _, name = _holder(file).partition(" ")
            if request.owner and owner == request.owner:
                return Held(name)
            raise Unsupported("is being measured by another process") from None
        with self._store.explained():
            file.truncate(0)
            file.write(f"{request.owner} {request.name}\n")
            file.flush()
        self._file = file
        return Held()


def _holder(file: IO[Any]) -> str:
    """Return what the holder of the lock writes when it has it."""
    for _ in range(_LOOKS):
        file.seek(0)
        text = str(file.read(_MOST_NAME)).strip()
        if text:
            return text
        sleep(_LOOK_S)
    return ""


def main(token: str, cpus: tuple[int, ...], threads: int) -> None:
    """Serve a runtime, files, and what is known of the device.

    cpus: cores to use, () for the fastest `threads` of a processor with several kinds, else all.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))
    settle()
    allowed = affinity() if hasattr(os, "sched_setaffinity") else ()
    if (chosen := cpus or fastest_cores(threads)) and allowed:
        with suppress(OSError):  # the description has the CPUs that are used
            os.sched_setaffinity(0, chosen)
    cores = len(cpus) or len(allowed) or None
    store = Store()
    handlers: Handlers = {
        **Runner(runtime, job_from_files, watch=True).handlers,
        Place: store.place,
        Put: store.put,
        Cached: store.cached,
        Clear: store.clear,
        Hold: _Lock(store).hold,
        Describe: partial(describe, allowed=allowed, cores=cores),
        MeasureRoof: measure_roof,
    }
    try:
        serve(Line(token), handlers, read_request)
    finally:
        store.leave()
