"""Worker processes: started, asked one thing at a time, and ended whatever they do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Event
from time import monotonic
from typing import Any, Final, NamedTuple

from .worker import Failed, begin

_LOOK_S: Final = 0.2


class Worker(NamedTuple):
    """A process, and the line to it."""

    process: BaseProcess
    line: Connection


def start(serve: Callable[..., None], *arguments: object) -> Worker:
    """A process that runs serve(*arguments, line)."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(serve, *arguments, theirs), daemon=True)
    with _interrupts_blocked():
        process.start()
    theirs.close()
    return Worker(process, ours)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process inherits this: interrupted while it imports what it needs, it would print a traceback."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(serve: Callable[..., None], *arguments: object) -> None:
    begin()
    serve(*arguments)


def ask(worker: Worker, request: object, timeout_s: float, stop: Event | None = None) -> Any:
    """The worker's answer; Failed where it dies, takes too long or is to stop, and then it has ended."""
    try:
        worker.line.send(request)
        if _answers(worker, timeout_s, stop):
            return worker.line.recv()
        failed = Failed("timeout", f"no answer within {timeout_s:g} s")
    except (EOFError, OSError):
        worker.process.join(5)
        failed = Failed("crashed", f"its process ended with {_exit(worker.process.exitcode)}")
    worker.process.kill()
    end(worker)
    return failed


def _answers(worker: Worker, timeout_s: float, stop: Event | None) -> bool:
    if stop is None:
        return worker.line.poll(timeout_s)
    until = monotonic() + timeout_s
    while not stop.is_set() and monotonic() < until:
        if worker.line.poll(_LOOK_S):
            return True
    return False


def is_alive(worker: Worker) -> bool:
    """Whether it can be asked."""
    return not worker.line.closed


def end(worker: Worker) -> None:
    """Let it go, or end it if it does not."""
    worker.line.close()
    worker.process.join(1.0)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        import signal

        return signal.Signals(-code).name
    return f"exit code {code}"
