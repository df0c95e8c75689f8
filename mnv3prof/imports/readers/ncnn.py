"""The text of ncnn's benchncnn: minimum, maximum and mean in ms, in steps of 0.01."""

import re
from typing import Final

from ..found import Found, Place
from ..ranges import ranges_in

WHAT: Final = "ncnn's benchncnn"
TOOL: Final = "benchncnn"

_FIELDS: Final = re.compile(
    r"^(?P<name>[^\n=]{0,300}?) {1,40}min = {1,40}(?P<min>\S+) {1,40}max = {1,40}(?P<max>\S+)"
    r" {1,40}avg = {1,40}(?P<mean>\S+)"
    r"|\bloop_count = *(?P<loops>\S+)"
    r"|\bnum_threads = *(?P<threads>\S+)"
    r"|\bgpu_device = *(?P<device>\S+)",
    re.MULTILINE,
)


def recognizes(_: bytes, text: str) -> bool:
    """Return True if the text has a network's times as this tool prints them."""
    return "avg = " in text and any(field["mean"] for field in _FIELDS.finditer(text))


def read(_: bytes, place: Place) -> list[Found]:
    """Return a run for each network."""
    return ranges_in(place, _FIELDS, TOOL, _runs_on)


def _runs_on(device: str) -> tuple[str, str]:
    return "ncnn" if not device or device.startswith("-") else "ncnn-vulkan", ""
