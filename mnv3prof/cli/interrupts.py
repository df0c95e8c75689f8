"""Messages after an interrupt: what was saved, and how to continue."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from ..record.timing import Timing

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


def what_is_saved(timings: Sequence[Timing], path: Path | None, resume: str) -> str:
    """Return how many timings are saved, where, and how to continue.

    path: the run's file, or None. resume: the command that continues the run, or "".
    """
    done = sum(timing.seconds is not None for timing in timings)
    count = f"{done} of {len(timings)} times"
    if path is None:
        return f"{count} were measured and none is saved; use --output FILE.json to save them"
    return f"{count} are saved in {path}{f'; continue with {resume}' if resume else ''}"
