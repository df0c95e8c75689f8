"""The text of MNN's benchmark.out: maximum, minimum and mean in ms."""

import re
from typing import Final

from ..found import Found, Place
from ..ranges import ranges_in

WHAT: Final = "MNN's benchmark.out"
TOOL: Final = "MNN's benchmark.out"

_CPU: Final = "CPU"
_FIELDS: Final = re.compile(
    r"^\[ - \] (?P<name>[^\n]{0,300}?) {1,60}max = {0,40}(?P<max>[^\sm]+) ?ms"
    r" {1,40}min = {0,40}(?P<min>[^\sm]+) ?ms"
    r" {1,40}avg = {0,40}(?P<mean>[^\sm]+) ?ms"
    r"|\bloop = *(?P<loops>\d+)"
    r"|\bthread *= *(?P<threads>\d+)"
    r"|\bForward type: *\*\*(?P<device>[A-Za-z]{1,20})\*\*",
    re.MULTILINE,
)


def recognizes(_: bytes, text: str) -> bool:
    """Return True if the text has a network's times as this tool prints them."""
    return "[ - ] " in text and any(field["mean"] for field in _FIELDS.finditer(text))


def read(_: bytes, place: Place) -> list[Found]:
    """Return a run for each network."""
    return ranges_in(place, _FIELDS, TOOL, _runs_on)


def _runs_on(device: str) -> tuple[str, str]:
    return "mnn", "" if device in ("", _CPU) else device
