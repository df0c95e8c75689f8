"""Whether a part's time changed: by statistics, or not at all."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from ..record.run import Run
from ..record.timing import Timing

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

    Mann-Whitney's U test over the samples, which assumes nothing of their distribution. Times of
    different batches are compared per image.
    """
    if unfit := without_times(old, new):
        return Change("not comparable", reason=unfit)
    before, after = old.summary, new.summary
    if before is None or after is None or not old.per_image or new.per_image is None:
        return Change("not comparable", reason="the old one took no time")
    ratio = new.per_image / old.per_image
    noise, p = max(before.noise, after.noise), mann_whitney(_per_image(old), _per_image(new))
    if p >= SIGNIFICANT:
        return Change("same", ratio, p, noise, "not significant")
    if abs(ratio - 1) <= noise:
        return Change("same", ratio, p, noise, "within the noise")
    if 1 / (1 + REPEATABLE) <= ratio <= 1 + REPEATABLE:
        return Change("same", ratio, p, noise, f"within the {REPEATABLE:.0%} by which runs differ")
    return Change("slower" if ratio > 1 else "faster", ratio, p, noise)


def without_times(old: Timing, new: Timing) -> str:
    """Why one of them has no times, or too few, to be compared; "" where both have enough."""
    for which, timing in (("old", old), ("new", new)):
        if timing.status != "ok":
            return f"the {which} one is {state(timing)}"
        if (many := len(timing.samples)) < LEAST_SAMPLES:
            return f"the {which} one has {many} samples, {LEAST_SAMPLES} are needed"
    return ""


def _per_image(timing: Timing) -> tuple[float, ...]:
    return tuple(sample / timing.target.batch for sample in timing.samples)


def mann_whitney(old: Sequence[float], new: Sequence[float]) -> float:
    """The two-sided p-value of Mann-Whitney's U test over the samples."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(old, new, alternative="two-sided").pvalue)


def other_machine(old: Timing, new: Timing, before: Run, after: Run) -> str:
    """Why these timings of two runs cannot be compared; "" where they can.

    Times of another machine cannot, unless the devices are what is compared. Versions may differ: they
    are what a change of time is often about.
    """
    if old.target.device != new.target.device:
        return ""
    a, b = before.hosts[old.target.device], after.hosts[new.target.device]
    pairs: dict[str, tuple[object, object]] = {
        "processor": (a.cpu, b.cpu),
        "cores": (a.cores, b.cores),
        "system": (a.os.partition("-")[0], b.os.partition("-")[0]),
    }
    if old.target.backend == new.target.backend:
        name = new.target.backend
        x, y = (host.runtimes[name].chip if name in host.runtimes else "" for host in (a, b))
        pairs["chip"] = (x, y)
    differing = [f"{what} {x or 'unknown'} and {y or 'unknown'}" for what, (x, y) in pairs.items() if x != y]
    return f"measured on different machines: {', '.join(differing)}" if differing else ""


def state(timing: Timing) -> str:
    """What keeps it from having a time: its status, and the reason for it."""
    if timing.status == "ok":
        return "without a sample"
    return f"{timing.status}: {timing.reason}" if timing.reason else timing.status
