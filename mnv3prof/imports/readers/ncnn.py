"""The text of ncnn's benchncnn: minimum, maximum and mean in ms, in steps of 0.01."""

import re
from typing import Final

from ..found import MS, Found, Place, few, name_in, reported

WHAT: Final = "ncnn's benchncnn"
TOOL: Final = "benchncnn"

_FIELDS: Final = re.compile(
    r"^(?P<name>[^\n=]{0,300}?) {1,40}min = {1,40}(?P<min>\S+) {1,40}max = {1,40}(?P<max>\S+)"
    r" {1,40}avg = {1,40}(?P<mean>\S+)"
    r"|\bloop_count = *(?P<loops>\S+)"
    r"|\bnum_threads = *(?P<threads>\S+)"
    r"|\bgpu_device = *(?P<gpu>\S+)",
    re.MULTILINE,
)


def recognises(_: bytes, text: str) -> bool:
    """Return True if the text has a network's times as this tool prints them."""
    return "avg = " in text and any(field["mean"] for field in _FIELDS.finditer(text))


def read(_: bytes, place: Place) -> list[Found]:
    """Return a run for each network."""
    loops, threads, backend = None, None, "ncnn"
    found = []
    for field in _FIELDS.finditer(place.text):
        at = field.start()
        if field["loops"]:
            loops = place.count(field["loops"], "loops", at)
        elif field["threads"]:
            threads = place.count(field["threads"], "threads", at)
        elif field["gpu"]:
            backend = "ncnn" if field["gpu"].startswith("-") else "ncnn-vulkan"
        else:
            times = {name: place.time_or_zero(field[name], MS, at) for name in ("min", "max")}
            times["mean"] = place.time(field["mean"], MS, at)
            told = reported(place.line(at), TOOL, loops, times)
            label = name_in(field["name"])
            found.append(Found(backend=backend, tool=TOOL, label=label, threads=threads, reported=told))
    return few(found, place.where)
