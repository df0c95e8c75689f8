"""Messages after an interrupt: what was saved, and how to continue."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

from ..cost.conventions import Reading
from ..record.plan import NOT_READ, RuntimePlan
from ..record.timing import Timing
from ..render.sheet import join_words

INTERRUPTED = 130
"""Exit code after an interrupt, as a shell reports SIGINT."""


@contextmanager
def stopping(message: Callable[[], str]) -> Iterator[None]:
    """On an interrupt, print `message()` and exit with INTERRUPTED."""
    try:
        yield
    except KeyboardInterrupt:
        raise stopped(message()) from None


def stopped(message: str) -> typer.Exit:
    """Print the message about an interrupt to standard error. Return the exit to raise."""
    typer.echo(f"mnv3prof: stopped; {message}", err=True)
    return typer.Exit(INTERRUPTED)


class Stop:
    """Whether an interrupt came."""

    def __init__(self) -> None:
        self.came = False


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Yield what the first interrupt is noted in; the next one is raised."""
    handler = signal.getsignal(signal.SIGINT)
    stop = Stop()

    def note(number: int, frame: FrameType | None) -> None:
        if stop.came and callable(handler):
            handler(number, frame)
        stop.came = True

    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Handle an interrupt at the end, so that what is done inside is done whole."""
    handler = signal.getsignal(signal.SIGINT)
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *each: came.append(each))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came and callable(handler):
            handler(*came[0])


def what_is_saved(
    timings: Sequence[Timing],
    path: Path | None,
    resume: str,
    readings: Sequence[Reading] = (),
    plans: Sequence[RuntimePlan] = (),
) -> str:
    """Return how much of what was requested is saved, where, and how to continue.

    path: the run's file, or None. resume: the command that continues the run, or "".
    """
    done = (
        ("time", "times", [timing.seconds is not None for timing in timings]),
        (
            "result of FLOP counters",
            "results of FLOP counters",
            [reading.status != "not run" for reading in readings],
        ),
        ("memory plan", "memory plans", [plan.reason != NOT_READ for plan in plans]),
    )
    complete = [
        f"{sum(each)} of {len(each)} {one if len(each) == 1 else several}"
        for one, several, each in done
        if each
    ]
    count, are, were = join_words(complete or ["0 times"]), "are", "were"
    if len(complete) == 1 and sum(len(each) for *_, each in done) == 1:
        are, were = "is", "was"
    if path is None and not any(each for *_, parts in done for each in parts):
        return f"{count} {were} measured; the same command starts again"
    if path is None:
        return f"{count} {were} measured and not saved; use --output FILE.json to save what is measured"
    return f"{count} {are} saved in {path}{f'; continue with {resume}' if resume else ''}"
