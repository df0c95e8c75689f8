"""Set up a worker process: its streams, signals, environment and memory limit."""

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
"""Number of spins of GNU OpenMP's threads before they sleep, about 2 ms.

With 1000, calls with two threads take up to three times as long as in an app. The default, 9 ms, slows
the next worker."""
_MEMORY_SHARE = 0.9
_LEAVE_S = 1.0
"""Time for the process to end by itself after the end of its input."""


class Line:
    """Read requests from standard input and write answers to standard output.

    Both streams are closed to all other code, so that no print is mixed with a frame. The process ends
    when the other end is closed, even during a call of the runtime. token: written after HELLO.
    """

    def __init__(self, token: str) -> None:
        self._in, self._out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        silence(0, 1, 2)
        self._frames: SimpleQueue[Frame | None] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._out.write(HELLO + token.encode())
        self._out.flush()

    def receive(self) -> Frame | None:
        """Return the next request, or None at the end."""
        return self._frames.get()

    def send(self, answer: Frame) -> None:
        """Write an answer. Raises OSError if the other end is closed."""
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
    """Set signals, environment and memory limit; call it before a runtime is imported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles interrupts
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        _limit_memory()
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin for 50 ms after NumPy's import
    warnings.simplefilter("ignore")


def silence(*streams: int) -> None:
    """Point these file descriptors at the null device."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _limit_memory() -> None:
    """Limit the data size, so that too large a part ends only this process."""
    if sys.platform == "win32":
        return
    import resource

    most = int(_MEMORY_SHARE * available_memory())
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def available_memory() -> int:
    """Return the available memory in bytes, or all memory if the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        sizes = dict(line.split(":") for line in lines)
        return int(sizes["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
