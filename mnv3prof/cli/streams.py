"""Standard output, which takes all or fails, and standard error, which never does."""

import io
import os
import sys
from typing import Any, Final, TextIO

from ..graph.errors import printable

STANDARD_OUTPUT: Final = "standard output"


class _Descriptor(io.FileIO):
    """The descriptor of standard output, whose errors name it."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


def buffer_standard_output() -> None:
    """Buffer sys.stdout, unless it is closed: what Python does not buffer it may write in part only."""
    bare = sys.stdout
    if bare is None or sys.platform == "win32":
        return
    bare.flush()
    raw = _Descriptor(bare.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw), bare.encoding, bare.errors, line_buffering=raw.isatty()
    )


def say(text: str) -> None:
    """Print a line on standard error, if it takes one."""
    if sys.stderr is None:  # print would take standard output instead
        return
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO | None) -> None:
    """Send what the interpreter still flushes as it exits nowhere, where it would fail again."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
