"""The text of onnxruntime_perf_test: statistics of a run, in s and in ms."""

import re
from typing import Final

from ..found import MS, NS, Found, Place, S, few, reported
from .onnxruntime import TOOL

WHAT: Final = "onnxruntime_perf_test (text)"

_UNITS: Final = {"s": S, "sec": S, "ms": MS, "ns": NS}
_BEGIN: Final = re.compile(r"Session creation time cost: *(\S+) *s\b")
_FIELDS: Final = re.compile(
    r"(?P<mean>Average inference time cost): *(?P<mean_is>\S+) *ms"
    r"|(?P<what>Min|Max|P50|P90|P95|P99|P999) Latency(?: is|:) *(?P<is>[-+.\deE]+|nan|inf) *(?P<unit>[a-z]+)"
    r"|Total inference requests: *(?P<calls>\S+)"
    r"|First inference time cost: *(?P<first>\S+) *ms"
    r"|intra_op_num_threads to (?P<threads>\S+)"
)
_NAMES: Final = {
    "Min": "min",
    "Max": "max",
    "P50": "50",
    "P90": "90",
    "P95": "95",
    "P99": "99",
    "P999": "99.9",
}


def recognizes(_: bytes, text: str) -> bool:
    """Return True if the text has an average or percentiles as this tool prints them."""
    return "Average inference time cost:" in text or re.search(r"P50 Latency(?: is|:)", text) is not None


def read(_: bytes, place: Place) -> list[Found]:
    """Return a run for each creation of a session."""
    begins = list(_BEGIN.finditer(place.text))
    starts = [begin.start() for begin in begins] or [0]
    threads = None
    found = []
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(place.text)
        run = _Run(place)
        for field in _FIELDS.finditer(place.text, 0 if number == 0 else start, end):
            run.take(field)
        threads = run.threads or threads
        load = begins[number] if begins else None
        found.append(
            Found(
                backend="onnxruntime",
                tool=TOOL,
                threads=threads,
                load_s=load and place.time_or_zero(load[1], S, load.start()),
                first_s=run.first_s or None,
                reported=reported(place.line(start), TOOL, run.calls, run.times) if run.times else None,
            )
        )
    return few([each for each in found if each.reported], place.where)


class _Run:
    """The fields of one run."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.times: dict[str, float] = {}
        self.calls: int | None = None
        self.threads: int | None = None
        self.first_s = 0.0

    def take(self, field: "re.Match[str]") -> None:
        place, at = self.place, field.start()
        if field["mean"]:
            self.times["mean"] = place.time(field["mean_is"], MS, at)
        elif field["what"] and field["unit"] in _UNITS:
            self.times[_NAMES[field["what"]]] = place.time(field["is"], _UNITS[field["unit"]], at)
        elif field["calls"]:
            self.calls = place.count(field["calls"], "requests", at)
        elif field["first"]:
            self.first_s = place.time_or_zero(field["first"], MS, at)
        elif field["threads"]:
            self.threads = place.count(field["threads"], "threads", at)
