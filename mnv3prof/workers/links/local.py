"""A link to a process on this machine, through its standard input and output."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from math import inf
from pathlib import Path
from queue import Empty, SimpleQueue
from secrets import token_hex
from threading import Event, Thread
from time import monotonic
from typing import Final

from ...device.protocol import HELLO, Frame, read_frame, write_frame
from ...graph.errors import printable
from . import Broken

_LOOK_S: Final = 0.2
_LEAVE_S: Final = 1.0
_TAIL_BYTES: Final = 1024
_TAIL_LETTERS: Final = 150
_MOST_BEFORE_HELLO: Final = 64 * 1024


class Local:
    """A Python process that runs main(token) of `module`, which serves frames."""

    def __init__(self, module: str) -> None:
        token = token_hex()
        # The same search path, so that the same installation is imported in any folder.
        code = f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main({token!r})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            cwd=None if _has_folder() else Path("/"),
        )
        self._requests: SimpleQueue[Frame | None] = SimpleQueue()
        self._answers: SimpleQueue[Frame | None] = SimpleQueue()
        self._hello = HELLO + token.encode()
        self._ready = False
        self._said = b""
        self._listener = Thread(target=self._listen, daemon=True)
        for thread in (Thread(target=self._carry, daemon=True), self._listener):
            thread.start()

    def exchange(self, request: Frame, within_s: float, stop: Event | None) -> Frame:
        """Send a request and return the answer. Raises Broken, also if `stop` is set."""
        self._requests.put(request)
        until = monotonic() + within_s
        look_s = _LOOK_S if stop or sys.platform == "win32" else inf  # Windows cannot interrupt a wait
        while not (stop and stop.is_set()) and (left := until - monotonic()) > 0:
            wait_s = min(left, look_s)
            with suppress(Empty):
                answer = self._answers.get(timeout=None if wait_s == inf else wait_s)
                if answer is None:
                    raise Broken("crashed", self._how_it_ended())
                return answer
        raise Broken("timeout")

    def close(self) -> None:
        """Close the worker's input, at which it exits, without waiting."""
        self._requests.put(None)

    def end(self) -> None:
        """Close the worker's input, and kill the worker if it does not exit."""
        self.close()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LEAVE_S)
        finally:  # also after an interrupt of the wait
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        """Kill the worker and its child processes."""
        if self._process.poll() is None:
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    def _carry(self) -> None:
        """Write requests and read answers in a thread, so that waits can be limited."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests
        assert answers
        try:
            with suppress(OSError, ValueError), answers:
                before = b""
                while not before.endswith(self._hello) and len(before) < _MOST_BEFORE_HELLO:
                    if not (byte := answers.read(1)):
                        return
                    before += byte
                self._ready = before.endswith(self._hello)
                while self._ready and (request := self._requests.get()) is not None:
                    write_frame(requests, request)
                    if (answer := read_frame(answers)) is None:
                        return
                    self._answers.put(answer)
        finally:
            self._answers.put(None)
            with suppress(OSError):
                requests.close()

    def _listen(self) -> None:
        """Save the end of standard error, which may tell why the worker did not start."""
        stream = self._process.stderr
        assert stream
        with stream:
            while text := os.read(stream.fileno(), _TAIL_BYTES):
                self._said = (self._said + text)[-_TAIL_BYTES:]

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
        code = self._process.poll()
        if code is None:
            return "its process sent an invalid answer"
        how = f"its process ended with {_signal(-code) if code < 0 else f'exit code {code}'}"
        if self._ready:
            return how
        self._listener.join(_LEAVE_S)
        said = self._said.decode(errors="replace").strip().splitlines()[-1:]
        return ": ".join([how, *(printable(line)[:_TAIL_LETTERS] for line in said)])


def _has_folder() -> bool:
    """Return True if the current folder exists; without it, libraries do not load."""
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
