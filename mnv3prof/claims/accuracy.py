"""Comparison of training accuracies, paired by seed."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev
from typing import Final, NamedTuple

from ..record.findings import ClaimVerdict, Evidence, Finding, Trial
from .claim import Claim, finding, not_trained

BASE: Final = "the article's recipe"
CONFIDENCE: Final = 0.95
LEARNT: Final = 0.9
"""Networks of a lower mean accuracy are not compared."""


class AccuracyDelta(NamedTuple):
    """Difference in accuracy between two ablations, in percentage points: mean over seeds and 95 % interval.

    low, high: Student's t over the paired differences; infinite for one seed.
    """

    points: float
    low: float
    high: float
    seeds: int
    working: tuple[str, ...]

    def __str__(self) -> str:
        if self.seeds < 2:
            return f"{self.points:+.2f} points over 1 seed, without an interval"
        return f"{self.points:+.2f} points ({self.low:+.2f} to {self.high:+.2f}) over {self.seeds} seeds"


def accuracy_delta(trials: Sequence[Trial], ablation: str, other: str) -> AccuracyDelta | None:
    """Return how much more accurate `ablation` is than `other` for the seeds that both were trained with."""
    first, second = (_accuracies(trials, name) for name in (ablation, other))
    points = {seed: 100 * (first[seed] - second[seed]) for seed in sorted(first.keys() & second.keys())}
    if not points:
        return None
    lines = tuple(
        f"seed {seed}: {ablation} {first[seed]:.2%}, {other} {second[seed]:.2%}, {difference:+.2f}"
        for seed, difference in points.items()
    )
    return interval(list(points.values()), lines)


def lost_in_8_bits(trials: Sequence[Trial], ablation: str) -> AccuracyDelta | None:
    """Return the points that `ablation` loses in 8 bits."""
    known = [
        (t.seed, t.accuracy, t.int8)
        for t in trials
        if t.ablation == ablation and t.accuracy is not None and t.int8 is not None
    ]
    lines = tuple(
        f"seed {seed}: {ablation}, fp32 {fp32:.2%}, 8 bits {int8:.2%}" for seed, fp32, int8 in known
    )
    return interval([100 * (fp32 - int8) for _, fp32, int8 in known], lines) if known else None


def interval(points: Sequence[float], working: tuple[str, ...] = ()) -> AccuracyDelta:
    """Return the mean of one value per seed, and its interval."""
    middle = mean(points)
    if len(points) < 2:
        return AccuracyDelta(middle, float("-inf"), float("inf"), len(points), working)
    half = _student(len(points) - 1) * stdev(points) / sqrt(len(points))
    return AccuracyDelta(middle, middle - half, middle + half, len(points), working)


def _student(freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))


def verdict_on_delta(delta: AccuracyDelta, trials: Sequence[Trial]) -> tuple[ClaimVerdict, str]:
    """Judge whether there is a gain of any size."""
    if why := learnt_too_little(trials):
        return "no evidence", why
    if delta.low > 0:
        return "holds", "in direction; the size on ImageNet is not testable here"
    if delta.high < 0:
        return "does not hold", "on this data the change costs accuracy"
    if delta.seeds < 2:
        return "not testable here", "one seed has no interval"
    return "not testable here", "the difference is within the spread of the seeds"


def finding_on_accuracy(claim: Claim, evidence: Evidence, other: str, compared: str) -> Finding:
    """Make the finding on the gain of the article's recipe over `other`. compared: text before the gain."""
    delta = accuracy_delta(evidence.trials, BASE, other)
    if delta is None:
        return not_trained(claim)
    verdict, why = verdict_on_delta(delta, evidence.trials)
    how = trained_on(evidence.trials, BASE, other)
    return finding(claim, verdict, found=f"{compared}: {delta}.", how=how, why=why, working=delta.working)


def learnt_too_little(trials: Sequence[Trial]) -> str:
    """Return why the trainings by the article's recipe are no base for comparison, or ""."""
    accuracies = list(_accuracies(trials, BASE).values())
    if not accuracies or mean(accuracies) >= LEARNT:
        return ""
    epochs = max(t.epochs for t in trials if t.ablation == BASE)
    reached = f"accuracy of {BASE} after {epochs} epochs: {mean(accuracies):.0%}"
    return f"{reached}, below the {LEARNT:.0%} needed for a comparison"


def trained_on(trials: Sequence[Trial], *ablations: str) -> str:
    """Describe trainings: network, data, epochs and seeds."""
    known = [t for t in trials if t.ablation in ablations and t.accuracy is not None]
    what = ", ".join(dict.fromkeys(f"{t.network} trained on {t.data}, {t.epochs} epochs" for t in known))
    seeds = set.intersection(*({t.seed for t in known if t.ablation == ablation} for ablation in ablations))
    return f"{what}, {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}"


def _accuracies(trials: Sequence[Trial], ablation: str) -> dict[int, float]:
    return {t.seed: t.accuracy for t in trials if t.ablation == ablation and t.accuracy is not None}
