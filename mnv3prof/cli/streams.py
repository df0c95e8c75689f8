"""Standard output, whose errors are raised, and standard error, whose errors are ignored."""

import io
import os
import shlex
import sys
from typing import Any, Final, TextIO

from ..graph.errors import printable

STANDARD_OUTPUT: Final = "standard output"


class _Descriptor(io.FileIO):
    """The file descriptor of standard output; its errors name it."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


def buffer_standard_output() -> None:
    """Buffer sys.stdout unless it is closed: unbuffered, Python may write only a part without an error."""
    stream = sys.stdout
    if stream is None or sys.platform == "win32":
        return
    stream.flush()
    raw = _Descriptor(stream.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=raw.isatty()
    )


def command_line() -> str:
    """Return the command as it was written, in one printable line."""
    return printable(shlex.join(["mnv3prof", *sys.argv[1:]]))


def say(text: str) -> None:
    """Print a line to standard error; ignore errors."""
    say_to(sys.stderr, text)


def say_to(stream: TextIO | None, text: str) -> None:
    """Print a line to a stream of messages, in ASCII if its encoding requires that; ignore errors."""
    if stream is None:  # print() would use standard output instead
        return
    from ..render.sheet import plain_text

    try:
        print(plain_text(text, ascii_only=not knows(stream, text)), file=stream, flush=True)
    except OSError:
        discard(stream)


def knows(stream: TextIO, text: str) -> bool:
    """Return True if the encoding of the stream has all characters of `text`."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def discard(stream: TextIO | None) -> None:
    """Redirect the stream to os.devnull, so that the flush at exit does not fail again."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
