"""A backend that waits a known time, to test the measurement without a runtime.

Environment variables:
    NULL_SECONDS: the time of a call, 1 ms by default.
    NULL_FAULT: a fault of part "1": raise, exit, segfault, hang, memory, or wrong (a wrong output).
    NULL_NOISE: noise of all parts: outliers (every 20th call takes ten times as long), drift (of 500 calls
        the last 100 take 1.5 times as long), or first (the first call takes a second).
"""

from __future__ import annotations

import os
import signal
from time import perf_counter, sleep
from typing import TYPE_CHECKING

from . import Bind, Job, Unsupported

if TYPE_CHECKING:
    from . import Arrays, Call

WHAT = "no runtime: waits a known time, to test the measurement"
DTYPES = ("fp32",)
FORMAT = ""
PACKAGE = ""
PEAK = ""
IMPORTS = ()
SIMULATED = "cpu"


def load(job: Job) -> Bind:
    """Make calls that wait busily and return the expected outputs, of the job's own inputs only."""
    seconds = float(os.environ.get("NULL_SECONDS", "0.001"))
    fault = os.environ.get("NULL_FAULT", "") if job.part == "1" else ""
    noise = os.environ.get("NULL_NOISE", "")
    expected = tuple(each + 1 for each in job.expected) if fault == "wrong" else job.expected
    calls = 0

    def call() -> object:
        nonlocal calls
        if fault in _FAULTS:
            _FAULTS[fault]()
        until = perf_counter() + _noisy(seconds, calls, noise)
        calls += 1
        while perf_counter() < until:
            pass
        return expected

    def bind(given: Arrays) -> Call:
        if given is not job.given:
            raise Unsupported("it runs no network")
        return call

    return bind


def _noisy(seconds: float, calls: int, noise: str) -> float:
    if noise == "first" and calls == 0:
        return 1.0
    if noise == "outliers" and calls % 20 == 19:
        return 10 * seconds
    if noise == "drift" and calls // 100 % 5 == 4:
        return 1.5 * seconds
    return seconds


def _raise() -> None:
    raise RuntimeError("told to fail")


def _allocate_forever() -> None:
    blocks = []
    while True:
        blocks.append(bytes(2**28))  # zeros: allocated, but never touched


_FAULTS = {
    "raise": _raise,
    "exit": os.abort,
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda: sleep(3600),
    "memory": _allocate_forever,
}
