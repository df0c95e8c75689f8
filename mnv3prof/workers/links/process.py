"""A link to a process, through its standard input and output."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
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
from ...record.timing import Status
from . import Broken

_LOOK_S: Final = 0.2
_LEAVE_S: Final = 1.0
_TAIL_BYTES: Final = 1024
_TAIL_LETTERS: Final = 150
_NUMBER: Final = re.compile(rb"mnv3prof process (\d{1,9})\n\Z")
_NUMBERS: Final = re.compile(rb"mnv3prof process \d{1,9}\n")
"""What a process on another machine writes first: its number."""
_LAST_LINE: Final = 60
_MOST_BEFORE_HELLO: Final = 64 * 1024


class Ended:
    """How a process ended. code: its exit code. said: the last line of its standard error. ready: it had
    answered.
    """

    def __init__(self, code: int, said: str, *, ready: bool) -> None:
        self.code, self.said, self.ready = code, said, ready

    def __str__(self) -> str:
        how = _signal(-self.code) if self.code < 0 else f"exit code {self.code}"
        said = f": {self.said}" if self.said and not self.ready else ""
        return f"its process ended with {how}{said}"


Explain = Callable[[Ended], tuple[Status, str]]
"""Status and reason of a process that ended."""


class Process:
    """A process that serves frames after it has written HELLO and a token.

    command: of the process, given the token. first: what it reads before the hello. explain: why it ended.
    most: of the bytes of an answer. end_there: returns the command that ends a process of another machine by
    its number, which it writes before the hello.
    """

    def __init__(
        self,
        command: Sequence[str],
        token: str,
        first: bytes = b"",
        explain: Explain = lambda ended: ("crashed", str(ended)),
        most: int | None = None,
        end_there: Callable[[int], Sequence[str]] | None = None,
    ) -> None:
        self._end_there, self._number, self._before = end_there, 0, b""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            cwd=None if _has_folder() else Path("/"),
        )
        self._requests: SimpleQueue[Frame | None] = SimpleQueue()
        self._answers: SimpleQueue[Frame | None] = SimpleQueue()
        self._hello, self._first, self._explain, self._most = HELLO + token.encode(), first, explain, most
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
                    raise Broken(*self._how_it_ended())
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
            self._kill_there()
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    def _kill_there(self) -> None:
        """Kill the process on another machine: the end of a connection without a terminal does not."""
        if self._end_there is None or not self._number:
            return
        command, self._number = self._end_there(self._number), 0
        with suppress(OSError):
            ending = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            Thread(target=ending.wait, daemon=True).start()

    def _carry(self) -> None:
        """Write requests and read answers in a thread, so that waits can be limited."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests
        assert answers
        try:
            with suppress(OSError, ValueError), answers:
                requests.write(self._first)
                requests.flush()
                before = b""
                while not before.endswith(self._hello) and len(before) < _MOST_BEFORE_HELLO:
                    if not (byte := answers.read(1)):
                        self._before = before[-_TAIL_BYTES:]
                        return
                    before += byte
                    if byte == b"\n" and (found := _NUMBER.search(before[-_LAST_LINE:])):
                        self._number = int(found[1])
                self._ready = before.endswith(self._hello)
                self._before = b"" if self._ready else before[-_TAIL_BYTES:]
                while self._ready and (request := self._requests.get()) is not None:
                    write_frame(requests, request)
                    if (answer := read_frame(answers, self._most)) is None:
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

    def _how_it_ended(self) -> tuple[Status, str]:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
        code = self._process.poll()
        if code is None:
            return "crashed", "its process sent an invalid answer"
        self._listener.join(_LEAVE_S)
        before = _NUMBERS.sub(b"", self._before)
        said = (self._said.strip() or before).decode(errors="replace").strip().splitlines()[-1:]
        line = "".join(printable(each)[:_TAIL_LETTERS] for each in said)
        return self._explain(Ended(code, line, ready=self._ready))


def local(module: str) -> Process:
    """Start a Python process on this machine that runs main(token) of `module`, which serves frames."""
    token = token_hex()
    # The same search path, so that the same installation is imported in any folder.
    code = f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main({token!r})"
    return Process([sys.executable, "-c", code], token)


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
