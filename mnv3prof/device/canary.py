"""A fixed piece of work, timed beside each burst: it is slow where the CPU itself is.

A neighbor on the other hardware thread, also one of another virtual machine, and a lower clock rate take no
CPU time from a process and are in no count of the system.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from .samples import median

_STEPS = 4000
_REPEATS = 3
_SIDE = 192
_PRODUCTS = 7

_operands: list[Any] = []


def product_s() -> float:
    """Return the least time of a few fp32 products of 192×192 by NumPy, in s. All take about a millisecond.

    AndroidX Microbenchmark compares such a product with its time at the start, to see throttling.
    """
    import numpy as np

    if not _operands:
        _operands.extend(np.ones((_SIDE, _SIDE), np.float32) for _ in range(2))
    a, b = _operands
    times = []
    for _ in range(_PRODUCTS):
        start = perf_counter()
        np.matmul(a, b)
        times.append(perf_counter() - start)
    return min(times)


def canary_s() -> float:
    """Return the median time of a few short loops, in s. All take a fraction of a millisecond."""
    times = []
    for _ in range(_REPEATS):
        start = perf_counter()
        for _ in range(_STEPS):
            pass
        times.append(perf_counter() - start)
    return median(times)
