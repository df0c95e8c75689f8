"""Statistics of accuracies: the interval of one, and the comparison of two on the same images."""

from math import comb, sqrt
from typing import Final, NamedTuple

from ..record.accuracy import Accuracy

SIGNIFICANT: Final = 0.05
"""A difference is significant if it would be at least as large by chance with a smaller probability."""

_Z95: Final = 1.959964


class Interval(NamedTuple):
    """A 95 % interval of a share."""

    low: float
    high: float


class Difference(NamedTuple):
    """Two accuracies on the same images. gained, lost: how many images only the new and only the old
    target classified rightly. p: the probability of at least this difference by chance.
    """

    gained: int
    lost: int
    p: float

    @property
    def significant(self) -> bool:
        """True if chance does not explain the difference."""
        return self.p < SIGNIFICANT


def wilson(right: int, images: int) -> Interval:
    """Return the 95 % interval of the share right / images.

    (p + z²/2n ± z · sqrt(p(1 − p)/n + z²/4n²)) / (1 + z²/n) (Wilson, JASA 22, 1927).
    """
    share, z = right / images, _Z95
    middle = share + z * z / (2 * images)
    reach = z * sqrt(share * (1 - share) / images + z * z / (4 * images * images))
    scale = 1 + z * z / images
    return Interval(max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale))


def difference(old: Accuracy, new: Accuracy) -> Difference | None:
    """Compare two accuracies by McNemar's exact test; None if they are not of the same images.

    The images on which both agree tell nothing; of the others, chance gives each target half: a two-sided
    binomial test (Agresti, Categorical Data Analysis, section 11.1).
    """
    if not old.images or (old.data, old.images) != (new.data, new.images):
        return None
    gained, lost = len({*old.wrong} - {*new.wrong}), len({*new.wrong} - {*old.wrong})
    others = gained + lost
    tail = sum(comb(others, k) for k in range(min(gained, lost) + 1))
    return Difference(gained, lost, min(1.0, 2 * tail / 2**others))
