"""A worker as a process of this machine, reached by its standard input and output."""

import signal
import subprocess
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Final

from ...device.protocol import HELLO, Frame, read_frame, write_frame
from . import Broken

_LOOK_S: Final = 0.2
_LEAVE_S: Final = 1.0
_TAIL_BYTES: Final = 1024
_MOST_BEFORE_HELLO: Final = 64 * 1024


class Local:
    """A Python process that runs main() of `module`, which serves frames."""

    def __init__(self, module: str) -> None:
        # The same search path, so that it is the same installation whatever the folder.
        code = f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._requests: SimpleQueue[Frame | None] = SimpleQueue()
        self._answers: SimpleQueue[Frame | None] = SimpleQueue()
        self._said = b""
        self._listener = Thread(target=self._listen, daemon=True)
        for thread in (Thread(target=self._carry, daemon=True), self._listener):
            thread.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def exchange(self, request: Frame, within_s: float, stop: Event | None) -> Frame:
        """Return the answer. Raises Broken where none comes within the time or before `stop` is set."""
        self._requests.put(request)
        until = monotonic() + within_s
        while not (stop and stop.is_set()) and (left := until - monotonic()) > 0:
            with suppress(Empty):
                answer = self._answers.get(timeout=min(left, _LOOK_S if stop else left))
                if answer is None:
                    raise Broken("crashed", self._how_it_ended())
                return answer
        raise Broken("timeout", f"no answer within {within_s:g} s")

    def close(self) -> None:
        """Let the worker go: it ends when its input does."""
        self._requests.put(None)

    def end(self) -> None:
        """Let the worker go, and end it if it does not."""
        self.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
        self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """End the worker at once."""
        self._process.kill()

    def _carry(self) -> None:
        """One request and one answer at a time, apart from the thread that waits and can be interrupted."""
        line_in, line_out = self._process.stdin, self._process.stdout
        assert line_in
        assert line_out
        with suppress(OSError, ValueError), line_out:
            heard = b""
            while not heard.endswith(HELLO) and len(heard) < _MOST_BEFORE_HELLO:
                if not (byte := line_out.read(1)):
                    break
                heard += byte
            else:
                while (request := self._requests.get()) is not None:
                    write_frame(line_in, request)
                    if (answer := read_frame(line_out)) is None:
                        break
                    self._answers.put(answer)
        self._answers.put(None)
        with suppress(OSError):
            line_in.close()

    def _listen(self) -> None:
        """What it prints before it is ready, and why it then is not."""
        stream = self._process.stderr
        assert stream
        with stream:
            for text in stream:
                self._said = (self._said + text)[-_TAIL_BYTES:]

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
        code = self._process.poll()
        if code is None:
            return "its process sent what is no answer"
        self._listener.join(_LEAVE_S)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        said = self._said.decode(errors="replace").strip().splitlines()[-1:]
        return ": ".join([f"its process ended with {how}", *said])
