"""Latency of a network from those of its blocks, as a sum over blocks.

net = a · hot + c · weights − d · blocks − e · elements across borders of blocks + f. A block that runs alone
finds its weights in caches, which those of a large network leave; it is called by itself, and reads and
writes tensors that a runtime may keep in its own layout between blocks.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from ..graph.errors import InputError
from .features import BORDER, WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Composition(NamedTuple):
    """Coefficients ≥ 0, in seconds: of the blocks' own times, of weights, of the number of blocks and of
    elements across borders, which are subtracted, and a constant.
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

        seconds = _terms(alone_s, features) @ np.array(self[:-1]) + self.constant * first
        return np.asarray(np.maximum(np.rint(1e9 * seconds), 0).astype(np.int64))


def _terms(alone_s: "NDArray[Any]", features: "NDArray[Any]") -> "NDArray[Any]":
    """Return what all coefficients but the constant multiply, for each block."""
    import numpy as np

    return np.column_stack([alone_s, features[:, WEIGHTS], -np.ones(len(alone_s)), -features[:, BORDER]])


def terms(alone_s: "NDArray[Any]", features: "NDArray[Any]") -> "NDArray[Any]":
    """Return what the coefficients multiply in a network. alone_s: of its blocks."""
    import numpy as np

    return np.append(_terms(alone_s, features).sum(axis=0), 1.0)


def fit_composition(
    networks: "NDArray[Any]", seconds: "NDArray[Any]", alone_s: "NDArray[Any]", features: "NDArray[Any]"
) -> Composition:
    """Return the coefficients with the least sum of relative errors of networks.

    networks: (networks, terms). seconds: their times. alone_s, features: of blocks, none of which may add
    less than 0 to a network. A linear program: of the coefficients, and of an error for each network.
    Raises InputError for times that cannot be fitted.
    """
    import numpy as np
    from scipy.optimize import linprog

    count = len(seconds)
    scale = np.maximum(np.abs(networks).max(axis=0), np.finfo(float).tiny)
    relative = networks / scale / seconds[:, None]
    blocks = _terms(alone_s, features) / scale[:-1]
    blocks /= np.maximum(np.abs(blocks).max(axis=1, keepdims=True), np.finfo(float).tiny)
    of_blocks = np.column_stack([-blocks, np.zeros((len(blocks), 1 + count))])
    above = np.column_stack([relative, -np.eye(count)])
    below = np.column_stack([-relative, -np.eye(count)])
    objective = np.append(np.zeros(networks.shape[1]), np.ones(count))
    limits = np.concatenate([np.zeros(len(blocks)), np.ones(count), -np.ones(count)])
    found = linprog(objective, np.vstack([of_blocks, above, below]), limits, method="highs")
    if found.x is None:
        raise InputError("has times of networks that differ too much to be fitted")
    return Composition(*map(float, np.asarray(found.x)[: networks.shape[1]] / scale))
