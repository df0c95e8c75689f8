"""Whether a part's time changed: by statistics, or not at all."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from .run import Host, Timing

LEAST_SAMPLES: Final = 9
"""Fewer samples a side are not compared (google-benchmark's rule for its U test)."""
SIGNIFICANT: Final = 0.002
"""The p-value below which two timings differ (asv's rule); many parts are compared at once."""

REPEATABLE: Final = 0.05
"""Runs of one thing in a row may differ by this share (MLPerf Mobile's rule); no smaller change counts."""

Verdict = Literal["faster", "slower", "same", "not comparable"]


class Change(msgspec.Struct, frozen=True):
    """What became of a time. ratio: new median / old; p: Mann-Whitney's, two-sided; noise: the
    larger of both timings' noise. reason: why it counts for nothing.
    """

    verdict: Verdict
    ratio: float | None = None
    p: float | None = None
    noise: float | None = None
    reason: str = ""


def change(old: Timing, new: Timing) -> Change:
    """Whether the time changed: significantly, by more than the noise of both, and than runs differ by.

    Mann-Whitney's U test over the samples, which assumes nothing of their distribution.
    """
    for which, timing in (("old", old), ("new", new)):
        if timing.status != "ok":
            return Change("not comparable", reason=f"the {which} one is {state(timing)}")
        if (many := len(timing.counting)) < LEAST_SAMPLES:
            few = f"the {which} one has {many} samples, {LEAST_SAMPLES} are needed"
            return Change("not comparable", reason=few)
    before, after = old.summary, new.summary
    if before is None or after is None or not before.median:
        return Change("not comparable", reason="the old one took no time")
    ratio = after.median / before.median
    noise, p = max(before.noise, after.noise), mann_whitney(old.counting, new.counting)
    if p >= SIGNIFICANT:
        return Change("same", ratio, p, noise, "not significant")
    if abs(ratio - 1) <= noise:
        return Change("same", ratio, p, noise, "within the noise")
    if 1 / (1 + REPEATABLE) <= ratio <= 1 + REPEATABLE:
        return Change("same", ratio, p, noise, f"within the {REPEATABLE:.0%} by which runs differ")
    return Change("slower" if ratio > 1 else "faster", ratio, p, noise)


def mann_whitney(old: Sequence[float], new: Sequence[float]) -> float:
    """The two-sided p-value of Mann-Whitney's U test over the samples."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(old, new, alternative="two-sided").pvalue)


def other_machine(old: Host, new: Host, backend: str) -> str:
    """Why times of `backend` on these hosts cannot be compared; "" where they can.

    Versions may differ: they are what a change of time is often about.
    """
    pairs = {
        "processor": (old.cpu, new.cpu),
        "cores": (old.cores, new.cores),
        "system": (old.os.partition("-")[0], new.os.partition("-")[0]),
        "device": tuple(h.runtimes[backend].device if backend in h.runtimes else "" for h in (old, new)),
    }
    differing = [f"{what} {a or 'unknown'} and {b or 'unknown'}" for what, (a, b) in pairs.items() if a != b]
    return f"measured on different machines: {', '.join(differing)}" if differing else ""


def state(timing: Timing) -> str:
    """What keeps it from having a time: its status, and the reason for it."""
    if timing.status == "ok":
        return "without a sample"
    return f"{timing.status}: {timing.reason}" if timing.reason else timing.status
