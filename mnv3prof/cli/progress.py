"""What is told of a measurement while it runs."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

from ..graph.errors import printable
from .streams import say

if TYPE_CHECKING:
    from ..bench.schedule import Progress

_LINE_EVERY_S: Final = 10.0
_TICK_S: Final = 1.0


@contextmanager
def progress() -> Iterator[Callable[["Progress"], None]]:
    """A bar on a terminal's standard error; else a line on it every _LINE_EVERY_S, in CI at once too."""
    if sys.stderr and sys.stderr.isatty():
        with _bar() as hear, _retold(hear) as tell:
            yield tell
    elif sys.stderr:
        with _retold(_lines(at_once=bool(os.environ.get("CI")))) as tell:
            yield tell
    else:
        yield lambda _: None


@contextmanager
def _retold(hear: Callable[["Progress"], None]) -> Iterator[Callable[["Progress"], None]]:
    """Tell `hear` a step again every _TICK_S, with the seconds so far, until sampling begins."""
    begin, over = monotonic(), Event()
    latest: Progress | None = None

    def tell(progress: "Progress") -> None:
        nonlocal latest
        latest = progress
        elapsed = monotonic() - begin
        timed = progress.share is None and elapsed >= 1
        hear(progress._replace(what=f"{progress.what}, {elapsed:.0f} s so far") if timed else progress)

    def again() -> None:
        while not over.wait(_TICK_S):
            if latest is not None and latest.share is None:
                tell(latest)

    thread = Thread(target=again, daemon=True)
    thread.start()
    try:
        yield tell
    finally:
        over.set()
        thread.join()


def _lines(*, at_once: bool) -> Callable[["Progress"], None]:
    last = float("-inf") if at_once else monotonic()

    def hear(progress: "Progress") -> None:
        nonlocal last
        now = monotonic()
        if now - last >= _LINE_EVERY_S:
            last = now
            left = "" if progress.left_s is None else f", {progress.left_s:.0f} s left"
            say(f"{progress.what}{left}")

    return hear


@contextmanager
def _bar() -> Iterator[Callable[["Progress"], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    left, what = TextColumn("{task.fields[left]:>10}"), TextColumn("{task.description}", markup=False)
    # Drawn only when something is told: drawing takes processor time from what is measured.
    with Bar(
        BarColumn(), left, what, console=Console(stderr=True), auto_refresh=False, transient=True
    ) as bar:
        task = bar.add_task("starting", total=None, left="")
        last = float("-inf")

        def hear(progress: "Progress") -> None:
            nonlocal last
            left = "" if progress.left_s is None else f"{progress.left_s:.0f} s left"
            total = None if progress.share is None else 1.0
            now = monotonic()
            if now - last >= 0.2:
                last = now
                bar.update(
                    task,
                    description=printable(progress.what),
                    total=total,
                    completed=progress.share or 0.0,
                    left=left,
                )
                bar.refresh()

        yield hear
