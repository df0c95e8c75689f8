"""What is told of a measurement while it runs."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final

from ..graph.errors import printable
from .streams import say

if TYPE_CHECKING:
    from ..bench.schedule import Progress

_LINE_EVERY_S: Final = 10.0


@contextmanager
def progress() -> Iterator[Callable[["Progress"], None]]:
    """A bar on a terminal's standard error; in CI a line now and then; else nothing."""
    if sys.stderr and sys.stderr.isatty():
        with _bar() as hear:
            yield hear
    elif os.environ.get("CI"):
        yield _lines()
    else:
        yield lambda _: None


def _lines() -> Callable[["Progress"], None]:
    last = float("-inf")

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

    left, what = TextColumn("{task.fields[left]:>7}"), TextColumn("{task.description}", markup=False)
    # Drawn only when something is told: drawing takes processor time from what is measured.
    with Bar(
        BarColumn(), left, what, console=Console(stderr=True), auto_refresh=False, transient=True
    ) as bar:
        task = bar.add_task("starting", total=None, left="")
        last = float("-inf")

        def hear(progress: "Progress") -> None:
            nonlocal last
            left = "" if progress.left_s is None else f"{progress.left_s:.0f} s"
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
