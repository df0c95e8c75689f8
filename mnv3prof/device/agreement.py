"""Errors of a runtime's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Errors(NamedTuple):
    """Errors of an output against the expected one.

    absolute: the largest error. largest: the same relative to the largest expected magnitude. rms: root
    mean square of the error relative to that of the expected output.
    """

    absolute: float
    largest: float
    rms: float


def errors(output: Any, expected: NDArray[Any]) -> Errors:
    """Compare an output with the expected one. Raises ValueError if shapes differ."""
    import numpy as np

    actual = as_array(output)
    if actual.shape != expected.shape:
        raise ValueError(f"the output's shape is {actual.shape}; expected PyTorch's, {expected.shape}")
    error, wanted = actual.astype(np.float64) - expected, expected.astype(np.float64)
    absolute, largest = (float(np.max(np.abs(values))) for values in (error, wanted))
    rms, wanted_rms = (float(np.sqrt(np.mean(values**2))) for values in (error, wanted))
    return Errors(absolute, absolute / (largest or 1), rms / (wanted_rms or 1))


def as_array(output: Any) -> NDArray[Any]:
    """Return a runtime's output, an array or a tensor on any device, as an array."""
    import numpy as np

    return np.asarray(output.detach().float().cpu() if hasattr(output, "detach") else output)
