"""The tool on a real terminal of a given width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

SCRIPT = str(Path(sys.executable).with_name("mnv3prof"))
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(arguments: list[str], columns: int, **environment: str) -> tuple[int, str]:
    """Exit code and output on a terminal of `columns`, including escape codes."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
        env={**inherited, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environment},
    )
    os.close(theirs)
    read = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end has closed
            break
        if not chunk:
            break
        read += chunk
    os.close(ours)
    return process.wait(), read.decode().replace("\r\n", "\n")


def without_escapes(text: str) -> str:
    """`text` without escape codes."""
    return _ESCAPES.sub("", text)
