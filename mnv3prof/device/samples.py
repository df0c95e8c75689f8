"""Order statistics of wall times."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_OUTLIER = 14.8


def median(samples: Sequence[float]) -> float:
    """Return the median of at least one sample."""
    return quantile(sorted(samples), 0.5)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the `share` quantile of ascending samples (Hyndman & Fan, type 7)."""
    place = share * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def thinned(samples: Sequence[float], most: int, shift: float = 0.5) -> tuple[float, ...]:
    """Return at most `most` of the samples, ascending, evenly spread over their ranks.

    If `most` is odd, the samples' middle one is kept. shift: from 0 to below 1, selects the other
    ranks; if it varies from burst to burst, pooled bursts keep the quantiles of all their calls.
    """
    ordered = sorted(samples)
    if len(ordered) <= most:
        return tuple(ordered)
    shift = shift if len(ordered) >= 2 * most else 0.5  # no rank is taken twice
    last = len(ordered) - 1  # a shift just below 1 can round up to the rank after it
    ranks = [min(int((n + shift) * len(ordered) / most), last) for n in range(most)]
    if most % 2:
        ranks[most // 2] = len(ordered) // 2
    return tuple(ordered[rank] for rank in sorted(ranks))


def outliers(samples: Sequence[float]) -> int:
    """Count the samples with a modified z-score above 14.8, hyperfine's limit.

    Iglewicz & Hoaglin: 0.6745 × distance from the median / median absolute deviation.
    """
    ordered = sorted(samples)
    middle = quantile(ordered, 0.5)
    deviation = median([abs(sample - middle) for sample in ordered])
    # The clock's resolution can make most samples equal: the deviation is at least 0.1 % of the median.
    limit = _OUTLIER * max(deviation, 1e-3 * middle) / 0.6745
    return sum(abs(sample - middle) > limit for sample in ordered)
