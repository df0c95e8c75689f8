"""Comparison of an output that a device wrote with the one that PyTorch computes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from ..device.agreement import errors
from ..device.protocol import Prepared
from ..graph.errors import InputError
from ..graph.graph import Graph
from ..graph.parts import NET, part_layers
from ..record.atomic import read_file
from ..record.timing import Timing
from .tolerances import how_wrong

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_BYTES: Final = 2**30
_BYTES: Final = 4


def checked(timing: Timing, graph: Graph, output: Path, expected: Path) -> Timing:
    """Return the timing with the errors of its output, as a mismatch if they are above the tolerance.

    output, expected: files of fp32 values, without a header, of all outputs of the part. Raises InputError.
    """
    import numpy as np

    size = timing.target.batch * sum(graph.elements[name] for name in _outputs(graph, timing.part))
    actual, wanted = _values(output, size, timing), _values(expected, size, timing)
    if not np.isfinite(wanted).all():
        raise InputError(f"{expected}: has values that are not finite; expected PyTorch's output")
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


def _outputs(graph: Graph, part: str) -> Sequence[str]:
    """Return the names of the outputs of a part."""
    return graph.outputs if part == NET else graph.ends(part_layers(graph, part))[1]


def _values(path: Path, size: int, timing: Timing) -> "NDArray[Any]":
    import numpy as np

    data = read_file(path, _MOST_BYTES)
    if not data or len(data) % _BYTES:
        raise InputError(f"{path}: has {len(data):,} bytes; expected fp32 values of {_BYTES} bytes")
    found = np.frombuffer(data, dtype="<f4")
    if found.size != size:
        raise InputError(
            f"{path}: has {found.size:,} fp32 values; expected {size:,}, for {timing.part} at batch "
            f"{timing.target.batch}"
        )
    return found
