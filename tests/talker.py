"""Workers that say what no worker should: main() of each is what a link starts."""

import ctypes
import os
import sys
import time

from mnv3prof.device import worker
from mnv3prof.device.process import take_line
from mnv3prof.device.protocol import HELLO, Begin, Begun, read_frame


def _say(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _once(answer):
    """Say the hello, read a request, and answer with these bytes."""
    _say(HELLO)
    read_frame(sys.stdin.buffer)
    _say(answer)
    time.sleep(60)


def _hang(_):
    ctypes.PyDLL(None).sleep(60)  # which keeps the interpreter's lock


def _chatter(_):
    os.write(1, b"x" * 100_000)
    os.write(2, b"y" * 100_000)
    print("and more", flush=True)
    return Begun(0.25)


def _noise():
    _say(b"Welcome!\nYou have mail.\n")
    os.write(2, b"a warning\n" * 10_000)
    _serve(_chatter)


def _serve(handler):
    worker.serve(take_line(), {Begin: handler}, worker.read_request)


def _late():
    worker._GRACE_S = 0
    _serve(_hang)


def _leave():
    sys.exit("there is no runtime here")


TALK = {
    "noise": _noise,
    "late": _late,
    "hang": lambda: _serve(_hang),
    "leave": _leave,
    "raise": lambda: 1 / 0,
    "garbage": lambda: _once(b"\0\0\0\x05\0\0\0\0hello"),
    "list": lambda: _once(b"\0\0\0\x02\0\0\0\0[]"),
    "nan": lambda: _once(b'\0\0\0\x10\0\0\0\0{"import_s":NaN}'),
    "giant": lambda: _once(b"\xff" * 8),
    "cut": lambda: (_say(HELLO), read_frame(sys.stdin.buffer), _say(b"\0\0\0\x09\0\0\0\0{}"), sys.exit(3)),
    "long": lambda: _say(b"no hello " * 10_000),
    "echo": lambda: _once(b""),
}


def main():
    """Talk as the environment says."""
    TALK[os.environ["TALK"]]()
