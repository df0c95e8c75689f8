"""The only timing loop: warm up until the time has converged, then time single calls."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Callable

from .canary import canary_s
from .samples import median, outliers, thinned

KEPT = 9
"""Order statistics that a burst keeps: an odd number, so that the median is one of them."""

OTHERS = "other_cpu_share"
"""Key of a burst's state: lower bound of the share of the CPUs that other processes used during it."""
WAITS = "voluntary_switches"
"""Key of a burst's state: how often the process waited, e.g. for a GPU, which needs no CPU time."""
CANARY = "canary_s"
"""Key of a burst's state: time of the canary, the longer of those before and after the burst."""

PRODUCT = "product_s"
"""Key of a burst's state: time of a fixed product, the longer of those before and after the burst."""

_STAT = "/proc/stat"
_STEP_S = 0.015
"""Largest error of the system's CPU time: a step of 10 ms and a tick."""
_WINDOW = 3
_CONVERGED = 0.05
_WARM_SHARE = 0.5
"""Largest share of a burst's time that is spent on warm-up."""
_DIGITS = 9
_GOLDEN = 0.618034
"""Multiples of the golden ratio, modulo 1, are spread evenly over the unit interval."""


@dataclass(frozen=True)
class Burst:
    """Consecutive calls of one part; the fields are those of record.timing.Burst."""

    calls: int
    wall_s: tuple[float, ...]
    mean_s: float
    max_s: float
    outliers: int
    cpu_s: float
    cpu_median_s: float
    switches: int | None
    state: dict[str, float] = field(default_factory=dict)


def burst(
    call: Callable[[], object],
    seconds: float,
    number: int = 0,
    clock: Callable[[], float] = perf_counter,
    cpu_clock: Callable[[], float] = process_time,
) -> Burst:
    """Time calls of `call`, which returns when its output is ready, for about `seconds`.

    The caches hold the data of other processes at first, so each burst warms up. It times at least one
    call. number: of the burst among those of its part; it selects which ranks are kept.
    """
    canary = canary_s()
    start, others = clock(), _Others(cpu_clock)
    _warm_up(call, start + _WARM_SHARE * seconds, clock)
    samples: list[float] = []
    cpu_samples: list[float] = []
    waits, switches = _switches()
    now, cpu_now = clock(), cpu_clock()
    while not samples or now - start < seconds:
        begin = clock()
        call()
        now = clock()
        cpu_before, cpu_now = cpu_now, cpu_clock()
        samples.append(now - begin)
        cpu_samples.append(cpu_now - cpu_before)
    waits_after, switches_after = _switches()
    return Burst(
        calls=len(samples),
        wall_s=tuple(round(sample, _DIGITS) for sample in thinned(samples, KEPT, number * _GOLDEN % 1)),
        mean_s=round(sum(samples) / len(samples), _DIGITS),
        max_s=round(max(samples), _DIGITS),
        outliers=outliers(samples),
        cpu_s=round(sum(cpu_samples) / len(samples), _DIGITS),
        cpu_median_s=round(median(cpu_samples), _DIGITS),
        switches=None if switches is None or switches_after is None else switches_after - switches,
        state={
            **others.state(clock() - start),
            CANARY: round(max(canary, canary_s()), _DIGITS),
            **({} if waits is None or waits_after is None else {WAITS: float(waits_after - waits)}),
        },
    )


class _Others:
    """CPU time of other processes since the object was made."""

    def __init__(self, cpu_clock: Callable[[], float]) -> None:
        self._cpu_clock = cpu_clock
        self._machine, self._own = _machine_cpu_s(), cpu_clock()

    def state(self, seconds: float) -> dict[str, float]:
        """Return the state entry of other processes; {} if it is not known."""
        machine = _machine_cpu_s()
        if machine is None or self._machine is None:
            return {}
        used = machine - self._machine - (self._cpu_clock() - self._own) - _STEP_S
        return {OTHERS: round(max(0.0, used) / (seconds * (os.cpu_count() or 1)), 3)}


def _machine_cpu_s() -> float | None:
    """Return the CPU time of all processes since boot; None if it is not known.

    Source: proc(5), user, nice, system, irq, softirq and steal of all CPUs.
    """
    with suppress(OSError, ValueError, IndexError), Path(_STAT).open("rb") as file:
        times = [int(ticks) for ticks in file.readline().split()[1:9]]
        return (sum(times) - times[3] - times[4]) / os.sysconf("SC_CLK_TCK")
    return None


def _switches() -> tuple[int | None, int | None]:
    """Return the voluntary and involuntary context switches of this process; None where not counted."""
    with suppress(ImportError):  # Windows has no such count
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_nvcsw, usage.ru_nivcsw
    return None, None


def _warm_up(call: Callable[[], object], until: float, clock: Callable[[], float]) -> None:
    """Call until the last calls are as fast as those before them, at the latest until `until`."""
    times: list[float] = []
    now = clock()
    while now < until:
        call()
        before, now = now, clock()
        times.append(now - before)
        if len(times) >= 2 * _WINDOW and _has_converged(times[-2 * _WINDOW :]):
            return


def _has_converged(times: list[float]) -> bool:
    earlier, later = median(times[:_WINDOW]), median(times[_WINDOW:])
    return abs(later - earlier) <= _CONVERGED * earlier
