"""A process that measures: silent, modest, and gone with the one that asks it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from queue import SimpleQueue

from .protocol import HELLO, Frame, read_frame, write_frame

_SPIN = "30000"
"""GNU OpenMP's threads look so often for work before they sleep, about 2 ms: 1000 would make calls of
two threads up to three times slower than an app's, the default of 9 ms would slow the next worker."""
_MEMORY_SHARE = 0.9
_LEAVE_S = 1.0
"""So long a process has to end by itself when nobody asks it any more."""


class Line:
    """Requests from the standard input and answers to the standard output, which nothing else reads or
    prints to from now on. When the other end is closed, the process ends, even while a runtime computes.
    """

    def __init__(self) -> None:
        self._in, self._out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        silence(0, 1, 2)
        self._frames: SimpleQueue[Frame | None] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._out.write(HELLO)
        self._out.flush()

    def receive(self) -> Frame | None:
        """The next request; None where there will be no more."""
        return self._frames.get()

    def send(self, answer: Frame) -> None:
        """Answer a request. Raises OSError where nobody reads."""
        write_frame(self._out, answer)

    def _read(self) -> None:
        try:
            while True:
                frame = read_frame(self._in)
                self._frames.put(frame)
                if frame is None:
                    return
        finally:
            time.sleep(_LEAVE_S)
            os._exit(1)


def settle() -> None:
    """Do what must be done before a runtime is imported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks is interrupted, and ends its workers
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        _limit_memory()
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's others spin for 50 ms from its import on
    warnings.simplefilter("ignore")


def silence(*streams: int) -> None:
    """Let what is read from these descriptors be empty, and what is written to them be nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _limit_memory() -> None:
    """A part that takes all memory ends its worker, not the machine's other processes."""
    if sys.platform == "win32":
        return
    import resource

    most = int(_MEMORY_SHARE * _available_memory())
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _available_memory() -> int:
    """In bytes; all that is installed where the system does not tell what is free."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = dict(line.split(":") for line in lines)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
