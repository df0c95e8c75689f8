"""Workers: processes that are started, asked one thing at a time, and ended whatever they do."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf, isfinite
from threading import Event, Lock
from time import monotonic
from typing import Any, Literal, NamedTuple, Self, TypeVar

import msgspec

from ..device.protocol import Begin, Frame
from ..record.target import Target
from ..record.timing import Status
from .backends import needs_pytorch
from .links import Broken, Link
from .links.local import Local
from .requests import Open, Subjects

_Answer = TypeVar("_Answer")


class Failed(NamedTuple):
    """A request that came to nothing, and why."""

    status: Status
    reason: str


class _Refusal(msgspec.Struct):
    """What a worker answers to what it cannot do, UNSET in any other answer."""

    failed: str | msgspec.UnsetType = msgspec.UNSET
    status: Literal["unsupported", "crashed"] = "crashed"


class Worker:
    """A process that is started when it is first asked, and again after it was lost, `starts` times in all.

    open_link: starts it. first: requests that each start begins with. It may be ended while another thread
    starts or asks it; then it is not started again.
    """

    def __init__(
        self, open_link: Callable[[], Link], first: Sequence[Any] = (), starts: float = inf
    ) -> None:  # fmt: skip
        self._open_link, self._first, self._starts = open_link, first, starts
        self._link: Link | None = None
        self._unfit: Failed | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        """Return itself, to be ended."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.end()

    @property
    def is_alive(self) -> bool:
        """Whether it was started, and not lost since."""
        return self._link is not None

    @property
    def may_start(self) -> bool:
        """Whether there is no process, and another one may be started."""
        return self._link is None and self._starts > 0

    def start(self, within_s: float = inf, stop: Event | None = None) -> Failed | None:
        """Start it where it is not there; what it failed at before it could be asked, or None."""
        with self._lock, _interrupts_blocked():
            if self._link is not None:
                return self._unfit
            if self._starts <= 0:
                return Failed("crashed", "its worker has ended too often")
            self._starts -= 1
            self._link = self._open_link()
        until = monotonic() + within_s
        answers = (self._exchange(request, Any, within_s, until, stop) for request in self._first)
        self._unfit = next((answer for answer in answers if isinstance(answer, Failed)), None)
        return self._unfit

    def ask(
        self, request: Any, kind: type[_Answer], within_s: float = inf, stop: Event | None = None
    ) -> _Answer | Failed:  # fmt: skip
        """Return the answer, of its kind; Failed where it refuses, dies, takes too long or is to stop. Unless
        it refused, its process is then gone.
        """
        until = monotonic() + within_s
        return self.start(within_s, stop) or self._exchange(request, kind, within_s, until, stop)

    def close(self) -> None:
        """Let it go without waiting; end() waits."""
        self._starts = 0
        if link := self._link:
            link.close()

    def end(self) -> None:
        """Let it go, or end it if it does not."""
        with self._lock:
            self._starts = 0
            link, self._link = self._link, None
        if link:
            link.end()

    def _exchange(
        self, request: Any, kind: Any, within_s: float, until: float, stop: Event | None
    ) -> Any:  # fmt: skip
        link, left_s = self._link, until - monotonic()
        if link is None:
            return Failed("crashed", "its worker was ended")
        try:
            return _decoded(link.exchange(_frame(request, left_s), left_s, stop), kind)
        except Broken as broken:
            failed = Failed(broken.status, broken.reason or f"no answer within {within_s:g} s")
        except msgspec.MsgspecError as error:
            failed = Failed("crashed", f"its answer cannot be read: {error}")
        except BaseException:  # an interrupt: the answer that is still to come is no other request's
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
    """One that came while a process starts would leave it without an owner."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def runtime_worker(target: Target, subjects: Subjects, starts: float = inf) -> Worker:
    """What times parts of the subjects on a target."""
    begin = Begin(target.backend)
    if needs_pytorch(target.backend):
        return pytorch_worker(Open(subjects, target.batch), begin, starts=starts)
    return Worker(lambda: Local("mnv3prof.device.worker"), (begin,), starts)


def pytorch_worker(*first: Any, starts: float = inf) -> Worker:
    """What builds networks and converts their parts."""
    return Worker(lambda: Local("mnv3prof.bench.pytorch_worker"), first, starts)


def _frame(request: Any, within_s: float) -> Frame:
    fields = msgspec.to_builtins(request)
    within = within_s if isfinite(within_s) else None
    return Frame(msgspec.json.encode({"do": type(request).__name__, "within_s": within, **fields}))


def _decoded(answer: Frame, kind: Any) -> Any:
    refusal = msgspec.json.decode(answer.header, type=_Refusal)
    if refusal.failed is msgspec.UNSET:
        return msgspec.json.decode(answer.header, type=kind)
    return Failed(refusal.status, refusal.failed)
