"""Errors of a runtime's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Errors(NamedTuple):
    """absolute: the largest error; largest: the same relative to the largest expected magnitude; rms: root
    mean square of the error relative to that of the expected output.
    """

    absolute: float
    largest: float
    rms: float


def errors(output: Any, expected: NDArray[Any]) -> Errors:
    """Compare an array or tensor with the expected one. Raises ValueError if the shapes differ."""
    import numpy as np

    found = np.asarray(output.detach().float().cpu() if hasattr(output, "detach") else output)
    if found.shape != expected.shape:
        raise ValueError(f"the output's shape is {found.shape}, PyTorch's {expected.shape}")
    error, wanted = found.astype(np.float64) - expected, expected.astype(np.float64)
    absolute, largest = (float(np.max(np.abs(values))) for values in (error, wanted))
    rms, wanted_rms = (float(np.sqrt(np.mean(values**2))) for values in (error, wanted))
    return Errors(
        absolute, absolute / largest if largest else absolute, rms / wanted_rms if wanted_rms else rms
    )
