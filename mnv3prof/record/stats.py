"""Statistics of samples: median and quantiles, the interval around a median, and what is called noisy."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, inf, sqrt
from typing import Final

import msgspec

LEAST_SAMPLES: Final = 6
"""Fewer have no 95 % confidence interval of their median: of 5, the extremes bound it with 93.75 %."""

NOISY_SPREAD: Final = 0.10
"""A timing is noisy where its interquartile range exceeds this share of the median, as in
torch.utils.benchmark ..."""
NOISY_INTERVAL: Final = 0.05
"""... or the 95 % confidence interval of the median reaches further than this share to a side."""

DRIFT: Final = 0.10
"""A timing drifts where the medians of its stretches differ by more than this share of the median."""

_Z95: Final = 1.959964
_OUTLIER: Final = 14.8
_STRETCHES: Final = 20
_LEAST_STRETCH: Final = 5


class Summary(msgspec.Struct, frozen=True):
    """Of `count` samples, in the samples' unit. low, high: the median's 95 % confidence interval."""

    count: int
    median: float
    p10: float
    p90: float
    iqr: float
    low: float
    high: float

    @property
    def interval(self) -> float:
        """How far the confidence interval reaches from the median, as a share of it; infinite for samples
        that are too few to have one.
        """
        if self.count < LEAST_SAMPLES:
            return inf
        return max(self.median - self.low, self.high - self.median) / self.median if self.median else 0.0

    @property
    def noise(self) -> float:
        """The spread as it is shown: half of p90 − p10, as a share of the median."""
        return (self.p90 - self.p10) / 2 / self.median if self.median else 0.0

    @property
    def noisy(self) -> bool:
        """Whether the spread or the interval is wider than the two constants allow."""
        spread = self.iqr / self.median if self.median else 0.0
        return spread > NOISY_SPREAD or self.interval > NOISY_INTERVAL


def summarize(samples: Sequence[float]) -> Summary:
    """The summary of at least one sample. Raises ValueError for none."""
    if not samples:
        raise ValueError("there are no samples to summarize")
    ordered = sorted(samples)
    low, high = median_interval(len(ordered))
    return Summary(
        count=len(ordered),
        median=quantile(ordered, 0.5),
        p10=quantile(ordered, 0.1),
        p90=quantile(ordered, 0.9),
        iqr=quantile(ordered, 0.75) - quantile(ordered, 0.25),
        low=ordered[low],
        high=ordered[high],
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The `share` quantile of ascending samples, linear between neighbours (Hyndman & Fan, type 7)."""
    place = share * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median_interval(count: int) -> tuple[int, int]:
    """Indices of the ascending samples that bound the median with 95 % confidence.

    The binomial's normal approximation (Le Boudec, Performance Evaluation, 2010, section 2.2),
    free of any assumption on the distribution; with fewer than 6 samples all of them.
    """
    low = floor((count - _Z95 * sqrt(count)) / 2) - 1
    high = ceil((count + _Z95 * sqrt(count)) / 2)
    return max(low, 0), min(high, count - 1)


def outliers(samples: Sequence[float]) -> int:
    """How many samples have a modified z-score above 14.8, hyperfine's limit: 10 deviations off.

    Iglewicz & Hoaglin: 0.6745 × distance from the median / median absolute deviation.
    """
    ordered = sorted(samples)
    middle = quantile(ordered, 0.5)
    deviation = quantile(sorted(abs(sample - middle) for sample in ordered), 0.5)
    # A clock's tick can make most samples equal; a thousandth of the median is never an outlier.
    limit = _OUTLIER * max(deviation, 1e-3 * middle) / 0.6745
    return sum(abs(sample - middle) > limit for sample in ordered)


def drifts(samples: Sequence[float]) -> bool:
    """Whether the time changed while sampling: medians of consecutive stretches lie apart."""
    stretches = min(_STRETCHES, len(samples) // _LEAST_STRETCH)
    if stretches < 2:
        return False
    bounds = [n * len(samples) // stretches for n in range(stretches + 1)]
    medians = [quantile(sorted(samples[low:high]), 0.5) for low, high in pairwise(bounds)]
    return max(medians) - min(medians) > DRIFT * quantile(sorted(samples), 0.5)
