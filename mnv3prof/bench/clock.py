"""The only timing loop: warm up until steady, then time single calls."""

from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time
from typing import Final, NamedTuple

_WINDOW: Final = 3
_STEADY: Final = 0.05
_WARM_SHARE: Final = 0.5
"""A visit spends at most this share of its time on warming up."""


class Visit(NamedTuple):
    """Seconds of each timed call, and processor time by time over all of them."""

    samples: tuple[float, ...]
    cpu_per_wall: float


def visit(
    call: Callable[[], object], seconds: float, clock: Callable[[], float] = perf_counter,
    cpu_clock: Callable[[], float] = process_time,
) -> Visit:  # fmt: skip
    """Time `call`, which returns when its output is ready, again and again for about `seconds`.

    Another process has had the processor's caches, so each visit warms up first. It times at least
    one call.
    """
    start = clock()
    _warm_up(call, start + _WARM_SHARE * seconds, clock)
    samples: list[float] = []
    cpu_start, begin = cpu_clock(), clock()
    now = begin
    while not samples or now - start < seconds:
        call()
        before, now = now, clock()
        samples.append(now - before)
    wall = now - begin
    return Visit(tuple(samples), (cpu_clock() - cpu_start) / wall if wall > 0 else 0.0)


def _warm_up(call: Callable[[], object], until: float, clock: Callable[[], float]) -> None:
    """Call until the last few calls are as fast as the few before them, at most `until`."""
    times: list[float] = []
    now = clock()
    while now < until:
        call()
        before, now = now, clock()
        times.append(now - before)
        if len(times) >= 2 * _WINDOW and _is_steady(times[-2 * _WINDOW :]):
            return


def _is_steady(times: list[float]) -> bool:
    earlier, later = median(times[:_WINDOW]), median(times[_WINDOW:])
    return abs(later - earlier) <= _STEADY * earlier
