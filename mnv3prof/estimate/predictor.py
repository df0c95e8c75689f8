"""Latency of a block from its features: a linear model, and trees on what is left."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..graph.errors import InputError
from .features import LINEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TREES: Final = 100
_LEAST_LEAF: Final = 1
_ROUNDS: Final = 20
_SMALLEST: Final = 0.01
"""A residual below this counts as this much when residuals are weighted."""


class Predictor(NamedTuple):
    """A fitted model. coefficients: of the first LINEAR features and of 1. least: of a time. trees: None
    without scikit-learn.
    """

    coefficients: "NDArray[Any]"
    least: float
    trees: Any

    def seconds(self, features: "NDArray[Any]") -> "NDArray[Any]":
        """Return the times of blocks. features: (blocks, NAMES)."""
        import numpy as np

        linear = self.linear(features)
        if self.trees is None or not len(features):
            return linear
        return np.asarray(linear * np.exp(self.trees.predict(_inputs(features, linear))))

    def linear(self, features: "NDArray[Any]") -> "NDArray[Any]":
        """Return the times by the linear model alone."""
        import numpy as np

        return np.asarray(np.maximum(_with_one(features) @ self.coefficients, self.least))


def has_trees() -> bool:
    """Return True if scikit-learn is installed."""
    from importlib.util import find_spec

    return find_spec("sklearn") is not None


def fit_predictor(features: "NDArray[Any]", seconds: "NDArray[Any]", *, trees: bool) -> Predictor:
    """Fit a model to times of blocks. features: (blocks, NAMES). trees: False for the linear model alone."""
    import numpy as np

    coefficients = least_relative(_with_one(features), seconds)
    linear = Predictor(coefficients, float(seconds.min()) / 2, None)
    if not trees:
        return linear
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(_TREES, min_samples_leaf=_LEAST_LEAF, random_state=0, n_jobs=1)
    known = linear.linear(features)
    forest.fit(_inputs(features, known), np.log(seconds / known))
    return linear._replace(trees=forest)


def least_relative(columns: "NDArray[Any]", seconds: "NDArray[Any]") -> "NDArray[Any]":
    """Return coefficients ≥ 0 with which the columns sum up to the times, with the least sum of relative
    errors: least squares with weights of 1 / error, again and again. Raises InputError for times that cannot
    be fitted.
    """
    import numpy as np
    from scipy.optimize import nnls

    scale = np.maximum(np.abs(columns).max(axis=0), np.finfo(float).tiny)
    relative = columns / scale / seconds[:, None]
    weights = np.ones(len(seconds))
    for _ in range(_ROUNDS):
        try:
            found, _norm = nnls(relative * weights[:, None], weights, maxiter=100 * columns.shape[1])
        except RuntimeError:  # too many iterations
            raise InputError("has times of blocks that differ too much to be fitted") from None
        weights = np.maximum(np.abs(relative @ found - 1), _SMALLEST) ** -0.5
    return np.asarray(found / scale)


def _with_one(features: "NDArray[Any]") -> "NDArray[Any]":
    import numpy as np

    return np.column_stack([features[:, :LINEAR], np.ones(len(features))])


def _inputs(features: "NDArray[Any]", linear: "NDArray[Any]") -> "NDArray[Any]":
    """Return what trees see: logarithms of the features and of the linear model's time."""
    import numpy as np

    return np.column_stack([np.log1p(features), np.log(linear)])
