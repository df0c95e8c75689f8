"""A process that measures: silent, modest, and gone with the one that asks it."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

_SPIN = "30000"
"""GNU OpenMP's threads look so often for work before they sleep, about 2 ms: 1000 would make calls of
two threads up to three times slower than an app's, the default of 9 ms would slow the next worker."""
_MEMORY_SHARE = 0.9
_LEAVE_S = 1.0
"""So long a process has to end by itself."""


class Line(NamedTuple):
    """Where requests come from and answers go to."""

    requests: BinaryIO
    answers: BinaryIO


def take_line() -> Line:
    """The standard input and output, which from now on nothing else can read or print to."""
    line = Line(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    _end_with(line.requests.fileno())
    return line


def settle() -> None:
    """Do what must be done before a runtime is imported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks is interrupted, and ends its workers
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's others spin for 50 ms from its import on
    warnings.simplefilter("ignore")
    _limit_memory()


def _end_with(line: int) -> None:
    """End the process when the other end of the line is closed, even while a runtime computes."""
    if sys.platform == "win32":
        return
    import select
    import threading
    import time

    def watch() -> None:
        poll = select.poll()
        poll.register(line, 0)  # which tells of a hang-up only
        poll.poll()
        time.sleep(_LEAVE_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _limit_memory() -> None:
    """A part that takes all memory ends its worker, not the machine's other processes."""
    if sys.platform == "win32":
        return
    import resource

    most = int(_MEMORY_SHARE * _available_memory())
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _available_memory() -> int:
    """In bytes; all that is installed where the system does not tell what is free."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = dict(line.split(":") for line in lines)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
