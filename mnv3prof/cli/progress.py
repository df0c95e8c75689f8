"""Progress of long steps, on standard error: a bar on a terminal, lines elsewhere."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final, TextIO

from ..bench.progress import OnProgress, Progress
from ..graph.errors import printable
from .streams import say_to

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_FIRST_S: Final = 1.0
"""Phases, and commands on a terminal, that are shorter than this show nothing."""
_LINE_EVERY_S: Final = 10.0
_DRAW_EVERY_S: Final = 0.2
_TICK_S: Final = 0.5

Show = Callable[[Progress, float], None]
"""Shows a step and the seconds since its phase began."""


@contextmanager
def progress() -> Iterator[OnProgress]:
    """Show steps as a bar on a terminal, and as lines elsewhere: one per phase, and one per _LINE_EVERY_S."""
    if sys.stderr is None:
        yield lambda _: None
        return
    with ExitStack() as stack:
        stream = _kept(sys.stderr, stack)
        show = _Bar(stream, stack) if stream.isatty() else Lines(lambda line: say_to(stream, line))
        steps = Steps(show)
        with _ticking(steps):
            yield steps.note


def _kept(stream: TextIO, stack: ExitStack) -> TextIO:
    """Return a copy of a stream, which writes while counters run and the descriptor is redirected."""
    try:
        return stack.enter_context(
            os.fdopen(
                os.dup(stream.fileno()), "w", encoding=stream.encoding, errors=stream.errors, buffering=1
            )
        )
    except (OSError, ValueError):  # it has no descriptor
        return stream


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show one step that has no parts."""
    with progress() as on_progress:
        on_progress(Progress(what))
        yield


@contextmanager
def _ticking(steps: "Steps") -> Iterator[None]:
    done = Event()

    def tick() -> None:
        while not done.wait(_TICK_S):
            steps.tick()

    thread = Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Steps:
    """The latest step, and when its phase began."""

    def __init__(self, show: Show, clock: Callable[[], float] = monotonic) -> None:
        self._show, self._clock, self._lock = show, clock, Lock()
        self._latest: Progress | None = None
        self._began = self._heard = 0.0

    def note(self, progress: Progress) -> None:
        """Show a step; a step of another phase begins that phase."""
        with self._lock:
            self._heard = self._clock()
            if self._latest is None or progress.title != self._latest.title:
                self._began = self._heard
            self._latest = progress
            self._show(progress, self._heard - self._began)

    def tick(self) -> None:
        """Show the latest step again, unless it is one of sampling, which this would disturb.

        A step of sampling that lasts _LINE_EVERY_S is not a burst of calls, and is shown.
        """
        with self._lock:
            now = self._clock()
            latest = self._latest
            if latest and (latest.share is None or now - self._heard >= _LINE_EVERY_S):
                left_s = latest.left_s and max(0.0, latest.left_s - (now - self._heard))
                self._show(latest._replace(left_s=left_s), now - self._began)


class Lines:
    """Prints a line when a phase has lasted _FIRST_S, and then one every _LINE_EVERY_S."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._phase, self._due = "", _FIRST_S

    def __call__(self, progress: Progress, elapsed: float) -> None:
        """Print a line if one is due."""
        if progress.title != self._phase:
            self._phase, self._due = progress.title, _FIRST_S
        if elapsed < self._due:
            return
        first = self._due < _LINE_EVERY_S
        self._due = _LINE_EVERY_S * (elapsed // _LINE_EVERY_S + 1)
        times = _times(progress, None if first else elapsed)
        self._say(", ".join([progress.title if first else progress.text, *times]))


class _Bar:
    """A bar on a terminal, with elapsed time, time left and the step. It appears after _FIRST_S."""

    def __init__(self, stream: TextIO, stack: ExitStack) -> None:
        self._stream, self._stack = stream, stack
        self._bar: RichProgress | None = None
        self._due = monotonic() + _FIRST_S

    def __call__(self, progress: Progress, elapsed: float) -> None:
        """Draw the bar if that is due."""
        now = monotonic()
        if now < self._due:
            return
        self._due = now + _DRAW_EVERY_S
        if self._bar is None:
            self._bar = self._stack.enter_context(_rich_bar(self._stream))
        (task,) = self._bar.task_ids
        self._bar.update(
            task,
            description=printable(progress.text),
            total=None if progress.share is None else 1.0,
            completed=progress.share or 0.0,
            times=", ".join(_times(progress, elapsed)),
        )
        self._bar.refresh()


@contextmanager
def _rich_bar(stream: TextIO) -> Iterator["RichProgress"]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    whole = Column(no_wrap=True, min_width=18)  # a narrow terminal cuts the description, not the times
    times = TextColumn("{task.fields[times]:>18}", table_column=whole)
    what = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    # No automatic refresh: drawing takes CPU time from what is measured.
    with RichProgress(
        BarColumn(20), times, what, console=Console(file=stream), auto_refresh=False, transient=True
    ) as bar:
        bar.add_task("", total=None, times="")
        yield bar


def _times(progress: Progress, elapsed: float | None) -> list[str]:
    """Return the known ones of elapsed time and time left."""
    times = [] if elapsed is None else [_seconds(elapsed)]
    return times if progress.left_s is None else [*times, f"{_seconds(progress.left_s)} left"]


def _seconds(seconds: float) -> str:
    """Write a duration: "95 s", and in minutes from two minutes on."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
