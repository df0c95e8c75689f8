"""Waits a known time: the whole path of measuring without a runtime, and its faults on demand.

NULL_SECONDS of the environment is the time, 1 ms if not given. NULL_FAULT makes part "1" go wrong:
raise, exit, segfault, hang, memory, or wrong (another output than expected). NULL_NOISE disturbs
every part's times: outliers (each 20th call takes tenfold), drift (every fifth hundred
of calls takes half as long again), first (the first call takes a second).
"""

from __future__ import annotations

import os
import signal
from time import perf_counter, sleep

from . import Call, Job

WHAT = "nothing: waits a known time, to test the measuring itself"
DTYPES = ("fp32",)
FORMAT = ""
PACKAGE = ""
ROOF = ""
IMPORTS = ()
SIMULATED = "cpu"


def prepare(job: Job) -> Call:
    """A busy wait that hands out what is expected."""
    seconds = float(os.environ.get("NULL_SECONDS", "0.001"))
    fault = os.environ.get("NULL_FAULT", "") if job.part == "1" else ""
    noise = os.environ.get("NULL_NOISE", "")
    expected = job.expected + 1 if fault == "wrong" else job.expected
    calls = 0

    def call() -> object:
        nonlocal calls
        if fault in _FAULTS:
            _FAULTS[fault]()
        until = perf_counter() + _disturbed(seconds, calls, noise)
        calls += 1
        while perf_counter() < until:
            pass
        return expected

    return call


def _disturbed(seconds: float, calls: int, noise: str) -> float:
    if noise == "first" and calls == 0:
        return 1.0
    if noise == "outliers" and calls % 20 == 19:
        return 10 * seconds
    if noise == "drift" and calls // 100 % 5 == 4:
        return 1.5 * seconds
    return seconds


def _raise() -> None:
    raise RuntimeError("told to fail")


def _swallow_memory() -> None:
    kept = []
    while True:
        kept.append(bytes(2**28))  # of zeros: asked for, never touched


_FAULTS = {
    "raise": _raise,
    "exit": os.abort,
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda: sleep(3600),
    "memory": _swallow_memory,
}
