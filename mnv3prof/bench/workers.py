"""Workers: processes that are started, asked one thing at a time, and ended whatever they do."""

from collections.abc import Callable, Sequence
from math import inf, isfinite
from threading import Event
from typing import Any, NamedTuple, Self, TypeVar

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
    """What a worker answers to what it cannot do."""

    failed: str
    status: Status = "crashed"


class Worker:
    """A process that is started when it is first asked, and again after it ended, `starts` times in all.

    open_link: starts it. first: requests that each start begins with.
    """

    def __init__(
        self, open_link: Callable[[], Link], first: Sequence[Any] = (), starts: float = inf
    ) -> None:  # fmt: skip
        self._open_link, self._first, self._starts = open_link, first, starts
        self._link: Link | None = None
        self._unfit: Failed | None = None

    def __enter__(self) -> Self:
        """Return itself, to be ended."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.end()

    @property
    def is_alive(self) -> bool:
        """Whether its process is there."""
        return self._link is not None

    @property
    def may_start(self) -> bool:
        """Whether there is no process, and another one may be started."""
        return self._link is None and self._starts > 0

    def start(self, within_s: float = inf) -> Failed | None:
        """Start it where it is not there; what it failed at before it could be asked, or None."""
        if self._link is not None:
            return self._unfit
        if self._starts <= 0:
            return Failed("crashed", "its worker has ended too often")
        self._starts -= 1
        self._link = self._open_link()
        answers = (self._exchange(request, Any, within_s) for request in self._first)
        self._unfit = next((answer for answer in answers if isinstance(answer, Failed)), None)
        return self._unfit

    def ask(
        self, request: Any, kind: type[_Answer], within_s: float = inf, stop: Event | None = None
    ) -> _Answer | Failed:  # fmt: skip
        """Return the answer, of its kind; Failed where the worker dies, takes too long or is to stop, and
        then it has ended.
        """
        return self.start(within_s) or self._exchange(request, kind, within_s, stop)

    def close(self) -> None:
        """Let it go without waiting; end() waits."""
        if self._link:
            self._link.close()

    def end(self) -> None:
        """Let it go, or end it if it does not."""
        if self._link:
            self._link.end()
            self._link = None

    def _exchange(
        self, request: Any, kind: Any, within_s: float, stop: Event | None = None
    ) -> Any:  # fmt: skip
        assert self._link
        try:
            return _decoded(self._link.exchange(_frame(request, within_s), within_s, stop), kind)
        except Broken as broken:
            failed = Failed(broken.status, broken.reason)
        except msgspec.MsgspecError as error:
            failed = Failed("crashed", f"its answer cannot be read: {error}")
        self._link.kill()
        self.end()
        return failed


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
    try:
        refusal = msgspec.json.decode(answer.header, type=_Refusal)
    except msgspec.ValidationError:
        return msgspec.json.decode(answer.header, type=kind)
    return Failed(refusal.status, refusal.failed)
