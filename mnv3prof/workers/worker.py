"""Workers: processes that are started, sent one request at a time, and closed."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf, isfinite
from threading import Event, Lock
from time import monotonic
from typing import Any, Final, Literal, NamedTuple, Self, TypeVar

import msgspec

from ..device.protocol import Begin, Frame
from ..graph.errors import printable
from ..record.target import Target
from ..record.timing import Status
from .backends import needs_pytorch
from .links import Broken, Link
from .links.process import local
from .requests import Open, Subjects

_Answer = TypeVar("_Answer")
_MOST_REASON: Final = 250


class Failed(NamedTuple):
    """The status and reason of a failed request. lost: the worker ended, or did not answer in time."""

    status: Status
    reason: str
    lost: bool = False


class _Refusal(msgspec.Struct):
    """The answer to a failed request; `failed` is UNSET in other answers."""

    failed: str | msgspec.UnsetType = msgspec.UNSET
    status: Literal["unsupported", "not available", "crashed"] = "crashed"


class Worker:
    """A process that is started at the first request, and restarted after a crash.

    open_link: starts the process. first: requests to send after each start. starts: maximum of starts.
    Another thread may call end() at any time; the worker is then not restarted.
    """

    def __init__(self, open_link: Callable[[], Link], first: Sequence[Any] = (), starts: float = inf) -> None:
        self._open_link, self._first, self._starts = open_link, first, starts
        self._link: Link | None = None
        self._unfit: Failed | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the process."""
        self.end()

    @property
    def is_alive(self) -> bool:
        """True if the process was started and has not crashed."""
        return self._link is not None

    @property
    def may_start(self) -> bool:
        """True if there is no process, but a further start is allowed."""
        return self._link is None and self._starts > 0

    def start(self, within_s: float = inf, stop: Event | None = None) -> Failed | None:
        """Start the process if there is none. Return the failure, or None."""
        with self._lock, _interrupts_blocked():
            if self._link is not None:
                return self._unfit
            if self._starts <= 0:
                return Failed("crashed", "its worker has ended too often", lost=True)
            self._starts -= 1
            try:
                self._link = self._open_link()
            except Broken as broken:
                return Failed(broken.status, broken.reason)
            except (OSError, RuntimeError) as error:  # too many processes, threads or open files
                return Failed("crashed", f"its process cannot be started: {error}", lost=True)
        until = monotonic() + within_s
        answers = (self._exchange(request, Any, within_s, until, stop) for request in self._first)
        self._unfit = next((answer for answer in answers if isinstance(answer, Failed)), None)
        return self._unfit

    def ask(
        self, request: Any, kind: type[_Answer], within_s: float = inf, stop: Event | None = None
    ) -> _Answer | Failed:
        """Send a request and return the answer, decoded as `kind`.

        Return Failed if the worker refuses the request, crashes or exceeds the time limit, or `stop` is
        set. Except after a refusal, its process has then ended.
        """
        until = monotonic() + within_s
        return self.start(within_s, stop) or self._exchange(request, kind, within_s, until, stop)

    def release(self) -> None:
        """Close the process, whose next start is not counted."""
        with self._lock:
            link, self._link = self._link, None
            self._starts += link is not None
        if link:
            link.end()

    def close(self) -> None:
        """Close the input of the process, at which it exits, without waiting."""
        self._starts = 0
        if link := self._link:
            link.close()

    def end(self) -> None:
        """Close the process, and kill it if it does not exit."""
        with self._lock:
            self._starts = 0
            link, self._link = self._link, None
        if link:
            link.end()

    def _exchange(self, request: Any, kind: Any, within_s: float, until: float, stop: Event | None) -> Any:
        link, left_s = self._link, until - monotonic()
        if link is None:
            return Failed("crashed", "its worker was closed", lost=True)
        try:
            return _decoded(link.exchange(_frame(request, left_s), left_s, stop), kind)
        except Broken as broken:
            reason = broken.reason or f"no answer within {round(within_s, 2):g} s"
            failed = Failed(broken.status, reason, lost=True)
        except msgspec.MsgspecError as error:
            failed = Failed("crashed", f"its answer cannot be read: {error}")
        except BaseException:  # an interrupt: the next request must not get this answer
            self._lose(link)
            raise
        self._lose(link)
        return failed

    def _lose(self, link: Link) -> None:
        with self._lock:
            if self._link is link:
                self._link = None
        link.kill()
        link.end()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Delay interrupts between the start of a process and its assignment."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def runtime_worker(target: Target, subjects: Subjects, starts: float = inf) -> Worker:
    """Return a worker that times parts of the subjects on a target."""
    begin = Begin(target.backend)
    if needs_pytorch(target.backend):
        return pytorch_worker(Open(subjects, target.batch), begin, starts=starts)
    return Worker(lambda: local("mnv3prof.device.worker"), (begin,), starts)


def pytorch_worker(*first: Any, starts: float = inf) -> Worker:
    """Return a worker with PyTorch."""
    return Worker(lambda: local("mnv3prof.workers.pytorch_worker"), first, starts)


def _frame(request: Any, within_s: float) -> Frame:
    raw = getattr(request, "raw", b"")
    fields = {key: value for key, value in msgspec.to_builtins(request).items() if key != "raw"}
    within = within_s if isfinite(within_s) else None
    return Frame(msgspec.json.encode({"do": type(request).__name__, "within_s": within, **fields}), raw)


def _decoded(answer: Frame, kind: Any) -> Any:
    refusal = msgspec.json.decode(answer.header, type=_Refusal)
    if refusal.failed is msgspec.UNSET:
        return msgspec.json.decode(answer.header, type=kind)
    return Failed(refusal.status, printable(refusal.failed)[:_MOST_REASON])
