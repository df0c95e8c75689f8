"""Waits a known time: the whole path of measuring without a runtime, and its faults on demand.

NULL_SECONDS of the environment is the time, 1 ms if not given. NULL_FAULT makes part "1" go wrong:
raise, exit, hang, or wrong (another output than PyTorch's).
"""

import os
from time import perf_counter, sleep

from . import Call, Part, Usable

WHAT = "nothing: waits a known time, to test the measuring itself"
DTYPES = ("fp32",)


def usable() -> Usable:
    """Always."""
    return Usable(True, "1", "clock")


def prepare(part: Part, threads: int) -> Call:
    """A busy wait that hands out PyTorch's output."""
    seconds = float(os.environ.get("NULL_SECONDS", "0.001"))
    fault = os.environ.get("NULL_FAULT") if part.name == "1" else None
    expected = part.expected + 1 if fault == "wrong" else part.expected

    def call() -> object:
        if fault == "raise":
            raise RuntimeError("told to fail")
        if fault == "exit":
            os.abort()
        if fault == "hang":
            sleep(3600)
        until = perf_counter() + seconds
        while perf_counter() < until:
            pass
        return expected

    return call
