"""Latency of a network from those of its blocks, as a sum over blocks.

net = a · hot + c · weights − d · blocks − e · elements across borders of blocks + f. A block that runs alone
finds its weights in caches, which those of a large network leave; it is called by itself, and reads and
writes tensors that a runtime may keep in its own layout between blocks.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from .features import BORDER, WEIGHTS
from .predictor import least_relative

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Composition(NamedTuple):
    """Coefficients ≥ 0: of the blocks' own times, of weights, of the number of blocks and of elements across
    borders, which are subtracted, and a constant, in seconds.
    """

    hot: float
    weight: float
    block: float
    border: float
    constant: float

    def added(
        self, alone_s: "NDArray[Any]", features: "NDArray[Any]", first: "NDArray[Any]"
    ) -> "NDArray[Any]":
        """Return what blocks add to their networks in nanoseconds, never less than 0.

        alone_s: their own times. features: (blocks, NAMES). first: True for the first block of a network,
        which has the constant.
        """
        import numpy as np

        seconds = self.hot * alone_s + self.weight * features[:, WEIGHTS]
        seconds -= self.block + self.border * features[:, BORDER] - self.constant * first
        return np.asarray(np.maximum(np.rint(1e9 * seconds), 0).astype(np.int64))


def terms(alone_s: "NDArray[Any]", features: "NDArray[Any]") -> "NDArray[Any]":
    """Return what the coefficients multiply in a network. alone_s: of its blocks."""
    import numpy as np

    return np.array(
        [alone_s.sum(), features[:, WEIGHTS].sum(), -float(len(alone_s)), -features[:, BORDER].sum(), 1.0]
    )


def fit_composition(networks: "NDArray[Any]", seconds: "NDArray[Any]") -> Composition:
    """Fit the coefficients to times of networks. networks: (networks, terms)."""
    return Composition(*map(float, least_relative(networks, seconds)))
