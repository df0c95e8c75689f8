"""The only timing loop: warm up until the time is steady, then time single calls."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Callable

from .samples import median, outliers, thinned

KEPT = 9
"""So many order statistics of a burst are kept: an odd number has the median among them."""

_WINDOW = 3
_STEADY = 0.05
_WARM_SHARE = 0.5
"""A burst spends at most this share of its time on warming up."""
_DIGITS = 9
_GOLDEN = 0.618034
"""Its multiples spread evenly over the unit interval, however many there are."""


@dataclass(frozen=True)
class Burst:
    """Consecutive calls of one part; the fields are those of record.timing.Burst."""

    calls: int
    wall_s: tuple[float, ...]
    mean_s: float
    max_s: float
    outliers: int
    cpu_s: float
    switches: int | None
    state: dict[str, float] = field(default_factory=dict)


def burst(
    call: Callable[[], object], seconds: float, number: int = 0, clock: Callable[[], float] = perf_counter,
    cpu_clock: Callable[[], float] = process_time,
) -> Burst:  # fmt: skip
    """Time `call`, which returns when its output is ready, again and again for about `seconds`.

    Another process has had the processor's caches, so each burst warms up first. It times at least
    one call. number: of the burst among those of one part; it decides which ranks are kept.
    """
    start = clock()
    _warm_up(call, start + _WARM_SHARE * seconds, clock)
    samples: list[float] = []
    switches = _involuntary_switches()
    cpu_start, begin = cpu_clock(), clock()
    now = begin
    while not samples or now - start < seconds:
        call()
        before, now = now, clock()
        samples.append(now - before)
    cpu_s = cpu_clock() - cpu_start
    after = _involuntary_switches()
    return Burst(
        calls=len(samples),
        wall_s=tuple(round(sample, _DIGITS) for sample in thinned(samples, KEPT, number * _GOLDEN % 1)),
        mean_s=round((now - begin) / len(samples), _DIGITS),
        max_s=round(max(samples), _DIGITS),
        outliers=outliers(samples),
        cpu_s=round(cpu_s / len(samples), _DIGITS),
        switches=None if switches is None or after is None else after - switches,
    )


def _involuntary_switches() -> int | None:
    """Return how often the system took a processor from this process; None where it does not tell."""
    with suppress(ImportError):  # Windows has no such count
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    return None


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
