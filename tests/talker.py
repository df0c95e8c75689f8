"""Workers that violate the protocol; a link starts main()."""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mnv3prof.device import worker
from mnv3prof.device.process import Line, settle
from mnv3prof.device.protocol import HELLO, Begin, Begun, read_frame

TOKEN = [""]
"""What main() was given."""


def _hello() -> None:
    _say(HELLO + TOKEN[0].encode())


def _say(data: Any) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _once(answer: Any) -> None:
    """Send the hello, read a request, and answer with these bytes."""
    _hello()
    read_frame(sys.stdin.buffer)
    _say(answer)
    time.sleep(60)


def _hang(_: Any) -> None:
    ctypes.PyDLL(None).sleep(60)  # which keeps the interpreter's lock


def _chatter(_: Any) -> Any:
    os.write(1, b"x" * 100_000)
    os.write(2, b"y" * 100_000)
    print("and more", flush=True)
    return Begun()


def _noise() -> None:
    _say(b"Welcome!\nYou have mail.\n")
    os.write(2, b"a warning\n" * 10_000)
    _serve(_chatter)


def _spoof() -> None:
    """A library prints what looks like a worker that is ready, and an answer."""
    _say(HELLO + b"0" * 64 + b"\0\0\0\x05\0\0\0\0hello" + HELLO)
    _serve(_chatter)


def _serve(handler: Any) -> None:
    worker.serve(Line(TOKEN[0]), {Begin: handler}, worker.read_request)


def _leave() -> None:
    sys.exit("there is no runtime here")


def _warn() -> None:
    """It warns long before it crashes."""
    os.write(2, b"a warning\n")
    _serve(lambda _: os.abort())


def _parent() -> None:
    """It has a child process when it is killed."""
    child = subprocess.Popen(["sleep", "60"])
    path = Path(os.environ["TALK_FILE"])
    path.with_suffix(".draft").write_text(str(child.pid), encoding="utf-8")
    path.with_suffix(".draft").rename(path)
    _serve(lambda _: time.sleep(60))


def _late() -> None:
    settle()
    worker._GRACE_S = 0
    _serve(_hang)


TALK = {
    "noise": _noise,
    "spoof": _spoof,
    "late": _late,
    "hang": lambda: _serve(_hang),
    "leave": _leave,
    "warn": _warn,
    "parent": _parent,
    "nap": lambda: _serve(lambda _: time.sleep(60)),
    "slow": lambda: _serve(lambda _: time.sleep(0.5) or Begun()),  # type: ignore[func-returns-value]
    "surrogate": lambda: _serve(lambda _: Path("no\udcff").read_bytes()),
    "signal": lambda: _serve(lambda _: os.kill(os.getpid(), 35)),
    "raise": lambda: 1 / 0,
    "garbage": lambda: _once(b"\0\0\0\x05\0\0\0\0hello"),
    "list": lambda: _once(b"\0\0\0\x02\0\0\0\0[]"),
    "nan": lambda: _once(b'\0\0\0\x10\0\0\0\0{"import_s":NaN}'),
    "giant": lambda: _once(b"\xff" * 8),
    "cut": lambda: (_hello(), read_frame(sys.stdin.buffer), _say(b"\0\0\0\x09\0\0\0\0{}"), sys.exit(3)),  # type: ignore[func-returns-value]
    "long": lambda: (_say(b"x" * 64 * 1024 + b"\0\0\0\x02\0\0\0\0{}"), time.sleep(60)),  # type: ignore[func-returns-value]
    "nothing": lambda: time.sleep(60),
    "echo": lambda: _once(b""),
}


def main(token: str) -> None:
    """Violate the protocol in the way that the environment names."""
    TOKEN[0] = token
    TALK[os.environ["TALK"]]()  # type: ignore[no-untyped-call]
