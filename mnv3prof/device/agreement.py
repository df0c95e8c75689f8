"""Errors of a runtime's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .runtimes import Arrays


class Errors(NamedTuple):
    """Errors of an output against the expected one.

    absolute: the largest error. largest: the same relative to the largest expected magnitude. rms: root
    mean square of the error relative to that of the expected output. All are the share of the values that
    differ where the output is not of floats: the neighbor of a class is as wrong as any other.
    """

    absolute: float
    largest: float
    rms: float


def worst_errors(outputs: Any, expected: Arrays) -> Errors:
    """Return the largest of each error over the outputs. Raises ValueError if number or shapes differ."""
    import numpy as np

    actual = as_arrays(outputs)
    if len(actual) != len(expected):
        raise ValueError(f"it has {len(actual)} outputs; expected PyTorch's, {len(expected)}")
    found = [errors(*pair) for pair in zip(actual, expected)]
    return Errors(*(float(np.max(each)) for each in zip(*found)))  # unlike max(), it keeps NaN


def errors(actual: NDArray[Any], expected: NDArray[Any]) -> Errors:
    """Compare an output with the expected one. Raises ValueError if shapes differ."""
    import numpy as np

    if actual.shape != expected.shape:
        raise ValueError(f"the output's shape is {actual.shape}; expected PyTorch's, {expected.shape}")
    if expected.dtype.kind != "f":
        share = float(np.mean(actual != expected))
        return Errors(share, share, share)
    error, wanted = actual.astype(np.float64) - expected, expected.astype(np.float64)
    absolute, largest = (float(np.max(np.abs(values))) for values in (error, wanted))
    rms, wanted_rms = (float(np.sqrt(np.mean(values**2))) for values in (error, wanted))
    return Errors(absolute, absolute / (largest or 1), rms / (wanted_rms or 1))


def as_arrays(outputs: Any) -> Arrays:
    """Return what a Call returns as arrays: arrays or tensors on any device."""
    return tuple(map(_as_array, outputs if isinstance(outputs, (tuple, list)) else (outputs,)))


def _as_array(output: Any) -> NDArray[Any]:
    import numpy as np

    if hasattr(output, "detach"):
        output = output.detach().cpu()
        output = output.float() if output.is_floating_point() else output
    return np.asarray(output)
