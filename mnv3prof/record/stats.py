"""Statistics of samples: median and quantiles, the interval around a median, and what is called noisy.

A burst is consecutive calls of one part. Samples of one burst share the machine's state, so the
interval of a median follows from how bursts differ.
"""

from collections.abc import Sequence
from math import ceil, floor, inf, sqrt
from typing import Final

import msgspec

from ..device.samples import median, quantile

LEAST_BURSTS: Final = 6
"""Fewer have no 95 % confidence interval of their median: of 5, the extremes bound it with 93.75 %."""

DISTURBED: Final = 0.07
"""A burst is disturbed where its median is above the fastest burst's by more than this share of it.
What else a machine does delays a call, and hardly ever speeds it up (Chen & Revels, Robust benchmarking
in noisy environments, 2016)."""

NOISY_SPREAD: Final = 0.10
"""A timing is noisy where its interquartile range exceeds this share of the median, as in
torch.utils.benchmark ..."""
NOISY_INTERVAL: Final = 0.05
"""... or the 95 % confidence interval of the median reaches further than this share to a side."""

DRIFT: Final = 0.10
"""A timing drifts where its last bursts differ from its first by more than this share of the median."""

_Z95: Final = 1.959964
_LEAST_STRETCH: Final = 5


class Summary(msgspec.Struct, frozen=True):
    """Of so many bursts, in the samples' unit. low, high: the median's 95 % confidence interval."""

    bursts: int
    median: float
    p10: float
    p90: float
    iqr: float
    low: float
    high: float

    @property
    def interval(self) -> float:
        """How far the confidence interval reaches from the median, as a share of it; infinite for bursts
        that are too few to have one.
        """
        if self.bursts < LEAST_BURSTS:
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


def summarize(bursts: Sequence[Sequence[float]]) -> Summary:
    """Summarize the samples of at least one burst, each of at least one. Raises ValueError for none.

    Bursts too few for an interval are bounded by all of them and by the interval that their samples
    would have, whichever is wider.
    """
    if not bursts or not all(bursts):
        raise ValueError("there are no samples to summarize")
    ordered = sorted(sample for burst in bursts for sample in burst)
    middle = quantile(ordered, 0.5)
    bounds = [
        _interval(sorted(map(median, bursts))),
        *([_interval(ordered)] if len(bursts) < LEAST_BURSTS else []),
        (middle, middle),  # bursts of unequal length can leave it outside
    ]
    return Summary(
        bursts=len(bursts),
        median=middle,
        p10=quantile(ordered, 0.1),
        p90=quantile(ordered, 0.9),
        iqr=quantile(ordered, 0.75) - quantile(ordered, 0.25),
        low=min(low for low, _ in bounds),
        high=max(high for _, high in bounds),
    )


def _interval(ordered: Sequence[float]) -> tuple[float, float]:
    low, high = median_interval(len(ordered))
    return ordered[low], ordered[high]


def undisturbed(middles: Sequence[float]) -> list[int]:
    """Return which bursts are kept, by their medians: at least the LEAST_BURSTS fastest, since a single
    fast burst is no reference.
    """
    ranked = sorted(range(len(middles)), key=middles.__getitem__)
    limit = min(middles, default=0.0) * (1 + DISTURBED)
    kept = [n for rank, n in enumerate(ranked) if rank < LEAST_BURSTS or middles[n] <= limit]
    return sorted(kept)


def median_interval(count: int) -> tuple[int, int]:
    """Indices of the ascending samples that bound the median with 95 % confidence.

    The binomial's normal approximation (Le Boudec, Performance Evaluation, 2010, section 2.2),
    free of any assumption on the distribution; with fewer than 6 samples all of them.
    """
    low = floor((count - _Z95 * sqrt(count)) / 2) - 1
    high = ceil((count + _Z95 * sqrt(count)) / 2)
    return max(low, 0), min(high, count - 1)


def drifts(middles: Sequence[float]) -> bool:
    """Tell whether the time changed while sampling, by the medians of bursts in the order in which they ran.

    It did where the medians of the first and of the last third of them lie further apart than DRIFT.
    """
    third = len(middles) // 3
    if third < _LEAST_STRETCH:
        return False
    first, last = median(middles[:third]), median(middles[-third:])
    return abs(last - first) > DRIFT * median(middles)
