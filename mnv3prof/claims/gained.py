"""Accuracies of trainings held against each other, seed by seed."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev
from typing import Final, NamedTuple

from ..record.findings import Trial, Verdict

BASE: Final = "the article's recipe"
CONFIDENCE: Final = 0.95
LEARNT: Final = 0.9
"""Networks that are right in less than this on average have learnt too little to be compared."""


class Gain(NamedTuple):
    """Points (of 100) by which one arm is ahead of another: the mean over seeds, its 95 % interval.

    low, high: Student's t over the paired differences; infinitely wide for one seed.
    """

    points: float
    low: float
    high: float
    seeds: int
    working: tuple[str, ...]

    def __str__(self) -> str:
        if self.seeds < 2:
            return f"{self.points:+.2f} points over 1 seed, whose spread is not known"
        return f"{self.points:+.2f} points ({self.low:+.2f} to {self.high:+.2f}) over {self.seeds} seeds"


def gain(trials: Sequence[Trial], arm: str, other: str) -> Gain | None:
    """How far `arm` is ahead of `other`, over the seeds that both have been trained with."""
    first, second = (_accuracies(trials, name) for name in (arm, other))
    points = {seed: 100 * (first[seed] - second[seed]) for seed in sorted(first.keys() & second.keys())}
    if not points:
        return None
    lines = tuple(
        f"seed {seed}: {arm} {first[seed]:.2%}, {other} {second[seed]:.2%}, {ahead:+.2f}"
        for seed, ahead in points.items()
    )
    return interval(list(points.values()), lines)


def lost_in_8_bits(trials: Sequence[Trial], arm: str) -> Gain | None:
    """How many points `arm` loses in 8 bits."""
    found = [t for t in trials if t.arm == arm and t.accuracy is not None and t.int8 is not None]
    lines = tuple(f"seed {t.seed}: {arm}, fp32 {t.accuracy:.2%}, 8 bits {t.int8:.2%}" for t in found)
    lost = [100 * (t.accuracy - t.int8) for t in found if t.accuracy is not None and t.int8 is not None]
    return interval(lost, lines) if lost else None


def interval(points: Sequence[float], working: tuple[str, ...] = ()) -> Gain:
    """The mean of one value a seed, and its interval."""
    middle = mean(points)
    if len(points) < 2:
        return Gain(middle, float("-inf"), float("inf"), len(points), working)
    half = _student(len(points) - 1) * stdev(points) / sqrt(len(points))
    return Gain(middle, middle - half, middle + half, len(points), working)


def _student(freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))


def verdict_on_gain(found: Gain, trials: Sequence[Trial]) -> tuple[Verdict, str]:
    """Whether there is a gain at all, of whatever size."""
    if why := learnt_too_little(trials):
        return "no evidence yet", why
    if found.low > 0:
        return "holds", "in direction; its size on ImageNet is not testable here"
    if found.high < 0:
        return "does not hold", "on this data the change costs accuracy"
    if found.seeds < 2:
        return "not testable here", "one seed tells no spread"
    return "not testable here", "the difference is within the seeds' spread; digits cannot tell"


def learnt_too_little(trials: Sequence[Trial]) -> str:
    """Why the article's own trainings are no base to compare with yet; "" where they are one."""
    found = list(_accuracies(trials, BASE).values())
    if not found or mean(found) >= LEARNT:
        return ""
    epochs = max(t.epochs for t in trials if t.arm == BASE)
    return f"after {epochs} epochs {BASE} is right in {mean(found):.0%} only: too little was learnt"


def trained_on(trials: Sequence[Trial], *arms: str) -> str:
    """How a finding was come by: network, data, epochs and seeds."""
    found = [t for t in trials if t.arm in arms and t.accuracy is not None]
    what = ", ".join(dict.fromkeys(f"{t.network} trained on {t.data}, {t.epochs} epochs" for t in found))
    seeds = set.intersection(*({t.seed for t in found if t.arm == arm} for arm in arms))
    return f"{what}, {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}"


def _accuracies(trials: Sequence[Trial], arm: str) -> dict[int, float]:
    return {t.seed: t.accuracy for t in trials if t.arm == arm and t.accuracy is not None}
