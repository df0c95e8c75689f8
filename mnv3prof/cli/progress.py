"""Progress of a measurement, on standard error."""

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
    """Show a progress bar on a terminal; otherwise print a line every _LINE_EVERY_S (in CI at once too)."""
    if sys.stderr and sys.stderr.isatty():
        with _bar() as show, _repeated(show) as on_progress:
            yield on_progress
    elif sys.stderr:
        with _repeated(_lines(at_once=bool(os.environ.get("CI")))) as on_progress:
            yield on_progress
    else:
        yield lambda _: None


@contextmanager
def _repeated(show: Callable[["Progress"], None]) -> Iterator[Callable[["Progress"], None]]:
    """Show a step again every _TICK_S, with its elapsed time, until sampling begins."""
    begin, done = monotonic(), Event()
    latest: Progress | None = None

    def on_progress(progress: "Progress") -> None:
        nonlocal latest
        latest = progress
        elapsed = monotonic() - begin
        timed = progress.share is None and elapsed >= 1
        show(progress._replace(what=f"{progress.what}, {elapsed:.0f} s so far") if timed else progress)

    def repeat() -> None:
        while not done.wait(_TICK_S):
            if latest is not None and latest.share is None:
                on_progress(latest)

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield on_progress
    finally:
        done.set()
        thread.join()


def _lines(*, at_once: bool) -> Callable[["Progress"], None]:
    last = float("-inf") if at_once else monotonic()

    def show(progress: "Progress") -> None:
        nonlocal last
        now = monotonic()
        if now - last >= _LINE_EVERY_S:
            last = now
            left = "" if progress.left_s is None else f", {progress.left_s:.0f} s left"
            say(f"{progress.what}{left}")

    return show


@contextmanager
def _bar() -> Iterator[Callable[["Progress"], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    left, what = TextColumn("{task.fields[left]:>10}"), TextColumn("{task.description}", markup=False)
    # No automatic refresh: drawing takes CPU time from what is measured.
    with Bar(
        BarColumn(), left, what, console=Console(stderr=True), auto_refresh=False, transient=True
    ) as bar:
        task = bar.add_task("starting", total=None, left="")
        last = float("-inf")

        def show(progress: "Progress") -> None:
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

        yield show
