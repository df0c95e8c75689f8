"""The result file of onnxruntime_perf_test: a line for each call."""

import re
from typing import Final

from ...graph.errors import InputError
from ..found import Found, Place, S, few, name_in

WHAT: Final = "onnxruntime_perf_test (result file)"
TOOL: Final = "onnxruntime_perf_test"

_MOST_LINE: Final = 2_000
_LINE: Final = re.compile(r"^([^,\n]*),([^,\n]+),[^,\n]*,[^,\n]*,(\d{1,15})[ \t]*$", re.MULTILINE)
_FIRST: Final = re.compile(r"[^,\n]*,[-+.\deE]+,\d+,[-+.\deE]+,\d+[ \t]*(\n|$)")


def recognizes(_: bytes, text: str) -> bool:
    """Return True if the first line is that of a call."""
    return _FIRST.match(text.lstrip()[:_MOST_LINE]) is not None


def read(_: bytes, place: Place) -> list[Found]:
    """Return a run for each series of numbers that begins anew: a second run is appended to the file."""
    runs: list[tuple[str, list[float]]] = []
    last, label = -1, ""
    lines = 0
    for line in _LINE.finditer(place.text):
        model, seconds, number = line.groups()
        lines += 1
        if not runs or int(number) <= last or model != label:
            label = model
            runs.append((name_in(model), []))
        last = int(number)
        runs[-1][1].append(place.time(seconds.strip(), S, line.start()))
    _refuse_other_lines(place, lines)
    return few(
        [Found(backend="onnxruntime", tool=TOOL, label=name, samples=tuple(times)) for name, times in runs],
        place.where,
    )


def _refuse_other_lines(place: Place, known: int) -> None:
    """Raise InputError for lines with commas that are not those of a call."""
    if sum("," in line for line in place.text.split("\n")) > known:
        raise InputError(f"{place.where}: is damaged; expected model,seconds,bytes,CPU %,number in each line")
