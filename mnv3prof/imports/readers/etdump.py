"""An ETDump of ExecuTorch: the time of each operator, as its event tracer took it."""

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median
from typing import Final

import msgspec

from ...device.protocol import RuntimeOp
from ...graph.errors import InputError
from ...record.atomic import read_file, replace_file
from ..found import MOST_BYTES, MOST_OPERATORS, Found, Place, name_in, reported, seconds, seconds_or_zero

WHAT: Final = "ExecuTorch's ETDump"
TOOL: Final = "ETDump (with its event tracer)"

_NOT_USABLE: Final = 3
_CODE: Final = """
import json, pathlib, sys
sys.path[:] = {path!r}
try:
    from mnv3prof.device.etdump import event_times
    from executorch.devtools import Inspector
except Exception:
    sys.exit({not_usable})
found = event_times(pathlib.Path({trace!r}))
pathlib.Path({events!r}).write_text(json.dumps(found, allow_nan=False))
"""
_MAGIC: Final = b"ED00"
_CALL: Final = "Method::execute"
_LOAD: Final = "Program::load_method"


def recognizes(data: bytes, _: str) -> bool:
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
    """Return the events of a trace, read by a process of its own: the package prints much, and may crash."""
    with tempfile.TemporaryDirectory(prefix="mnv3prof-") as folder:
        trace, events = (Path(folder) / name for name in ("trace.etdp", "events.json"))
        replace_file(trace, data)
        code = _CODE.format(path=sys.path, trace=str(trace), events=str(events), not_usable=_NOT_USABLE)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        if done.returncode == _NOT_USABLE:
            raise InputError(f"{where}: this executorch cannot read an ETDump: pip install -U executorch")
        if done.returncode:
            raise InputError(f"{where}: is damaged or cut off; expected an ETDump")
        return msgspec.json.decode(read_file(events, MOST_BYTES), type=list[tuple[str, list[float]]])


def _warm(times: list[float]) -> list[float]:
    return times[1:] or times
