"""The text of MNN's benchmark.out: maximum, minimum and mean in ms."""

import re
from typing import Final

from ..found import MS, Found, Place, few, name_in, reported

WHAT: Final = "MNN's benchmark.out"
TOOL: Final = "MNN's benchmark.out"

_FIELDS: Final = re.compile(
    r"^\[ - \] (?P<name>[^\n]{0,300}?) {1,60}max = {0,40}(?P<max>[^\sm]+) ?ms"
    r" {1,40}min = {0,40}(?P<min>[^\sm]+) ?ms"
    r" {1,40}avg = {0,40}(?P<mean>[^\sm]+) ?ms"
    r"|\bloop = *(?P<loops>\d+)"
    r"|\bthread *= *(?P<threads>\d+)",
    re.MULTILINE,
)


def recognises(_: bytes, text: str) -> bool:
    """Return True if the text has a network's times as this tool prints them."""
    return "[ - ] " in text and any(field["mean"] for field in _FIELDS.finditer(text))


def read(_: bytes, place: Place) -> list[Found]:
    """Return a run for each network."""
    loops, threads = None, None
    found = []
    for field in _FIELDS.finditer(place.text):
        at = field.start()
        if field["loops"]:
            loops = place.count(field["loops"], "loops", at)
        elif field["threads"]:
            threads = place.count(field["threads"], "threads", at)
        else:
            times = {name: place.time_or_zero(field[name], MS, at) for name in ("min", "max")}
            times["mean"] = place.time(field["mean"], MS, at)
            told = reported(place.line(at), TOOL, loops, times)
            label = name_in(field["name"])
            found.append(Found(backend="mnn", tool=TOOL, label=label, threads=threads, reported=told))
    return few(found, place.where)
