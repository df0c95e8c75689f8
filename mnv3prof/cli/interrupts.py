"""What is said when an interrupt ends a command: what was saved, and how to continue."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from ..record.timing import Timing

INTERRUPTED = 130
"""The exit code, as a shell gives it to what SIGINT ends."""


@contextmanager
def stopping(said: Callable[[], str]) -> Iterator[None]:
    """Exit with INTERRUPTED where an interrupt comes, and say `said()`."""
    try:
        yield
    except KeyboardInterrupt:
        raise stopped(said()) from None


def stopped(what: str) -> typer.Exit:
    """Say on standard error that the command was stopped, and what that left. Return the exit to raise."""
    typer.echo(f"mnv3prof: stopped; {what}", err=True)
    return typer.Exit(INTERRUPTED)


def what_is_saved(timings: Sequence[Timing], path: Path | None, resume: str) -> str:
    """How many of the times there are, where they are saved, and how to continue.

    path: the run's file, None for none. resume: what continues it, "" if nothing does.
    """
    done = sum(timing.seconds is not None for timing in timings)
    count = f"{done} of {len(timings)} times"
    if path is None:
        return f"{count} were measured, none is saved: --output FILE.json would save them"
    return f"{count} are saved in {path}{f'; continue with {resume}' if resume else ''}"
