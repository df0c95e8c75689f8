"""An ETDump of ExecuTorch: the time of each operator, as its event tracer took it."""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median
from typing import Final

from ...device.protocol import RuntimeOp
from ...graph.errors import InputError
from ...record.atomic import replace_file
from ..found import MOST_OPERATORS, Found, Place, name_in, reported, seconds, seconds_or_zero

WHAT: Final = "ExecuTorch's ETDump"
TOOL: Final = "ETDump (with its event tracer)"

_MAGIC: Final = b"ED00"
_CALL: Final = "Method::execute"
_LOAD: Final = "Program::load_method"


def recognises(data: bytes, _: str) -> bool:
    """Return True if the file has an ETDump's identifier."""
    return _MAGIC in (data[4:8], data[8:12])  # without and with its size before it


def read(data: bytes, place: Place) -> list[Found]:
    """Return the operators and the time of a call, without the first, cold one if there are more."""
    if find_spec("executorch") is None:
        raise InputError(f"{place.where}: executorch is required to read an ETDump: pip install executorch")
    times = _times(data, place.where)
    calls = [each for name, each in times if name == _CALL]
    if not calls:
        raise InputError(f"{place.where}: has no event {_CALL}; expected an ETDump of a model that was run")
    call = _warm(calls[0])
    told = {"mean": fmean(call), "50": median(call), "min": min(call), "max": max(call)}
    told = {name: seconds(value, 1.0, place.where) for name, value in told.items()}
    from ...device.etdump import is_operator

    operators = tuple(
        RuntimeOp(name_in(name), name_in(name), seconds_or_zero(fmean(_warm(each)), 1.0, place.where))
        for name, each in times[:MOST_OPERATORS]
        if is_operator(name) and name != _LOAD
    )
    load = next((each[0] for name, each in times if name == _LOAD), None)
    return [
        Found(
            backend="executorch",
            tool=TOOL,
            load_s=load,
            first_s=calls[0][0],
            reported=reported(place.where, TOOL, len(call), told),
            operators=operators,
            profiled=True,
        )
    ]


def _times(data: bytes, where: str) -> list[tuple[str, list[float]]]:
    from ...device.etdump import event_times

    with tempfile.TemporaryDirectory(prefix="mnv3prof-") as folder:
        trace = Path(folder) / "trace.etdp"
        replace_file(trace, data)
        try:
            return event_times(trace)
        except Exception as error:  # whatever the package raises for a damaged file
            raise InputError(f"{where}: cannot be read by executorch ({error})") from None


def _warm(times: list[float]) -> list[float]:
    return times[1:] or times
