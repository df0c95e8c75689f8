"""Comparison of an output that a device wrote with the one that PyTorch computes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from ..device.agreement import errors
from ..device.protocol import Prepared
from ..graph.errors import InputError
from ..record.atomic import read_file
from ..record.timing import Timing
from .tolerances import how_wrong

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_BYTES: Final = 2**30
_BYTES: Final = 4


def checked(timing: Timing, output: Path, expected: Path) -> Timing:
    """Return the timing with the errors of its output, as a mismatch if they are above the tolerance.

    output, expected: files of fp32 values, without a header. Raises InputError.
    """
    import numpy as np

    actual, wanted = _values(output), _values(expected)
    if actual.size != wanted.size:
        raise InputError(
            f"{output}: has {actual.size:,} fp32 values; expected {wanted.size:,}, as {expected} has"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        found = [value if np.isfinite(value) else None for value in errors(actual, wanted)]
    wrong = how_wrong(Prepared(0.0, 0.0, *found), timing.target.dtype, timing.part)
    return replace(
        timing,
        status="mismatch" if wrong else timing.status,
        reason=wrong or timing.reason,
        max_abs_err=found[0],
        max_rel_err=found[1],
        rms_rel_err=found[2],
    )


def _values(path: Path) -> "NDArray[Any]":
    import numpy as np

    data = read_file(path, _MOST_BYTES)
    if not data or len(data) % _BYTES:
        raise InputError(f"{path}: has {len(data):,} bytes; expected fp32 values of {_BYTES} bytes")
    return np.frombuffer(data, dtype="<f4")
