"""A fixed piece of work, timed beside each burst: it is slow where the CPU itself is.

A neighbour on the other hardware thread, also one of another virtual machine, and a lower clock rate take no
CPU time from a process and are in no count of the system.
"""

from __future__ import annotations

from time import perf_counter

from .samples import median

_STEPS = 4000
_REPEATS = 3


def canary_s() -> float:
    """Return the median time of a few short loops, in s. All take a fraction of a millisecond."""
    times = []
    for _ in range(_REPEATS):
        start = perf_counter()
        for _ in range(_STEPS):
            pass
        times.append(perf_counter() - start)
    return median(times)
