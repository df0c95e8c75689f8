"""The log of ExecuTorch's executor_runner: a time for each iteration, or in older builds their sum."""

import re
from typing import Final

from ...graph.errors import InputError
from ..found import MS, Found, Place, few, reported

WHAT: Final = "ExecuTorch's executor_runner"
TOOL: Final = "executor_runner"

_FIELDS: Final = re.compile(
    r"Iteration (?P<number>\d{1,15}) of (?P<of>\d{1,15}): *(?P<sample>\S+) *ms"
    r"|Model executed successfully (?P<calls>\S+) time(?:\(s\)|s)? in (?P<total>\S+) *ms"
    r"|Model loaded in (?P<load>\S+) *ms"
)
COLD: Final = "includes the first, cold call"


def recognizes(_: bytes, text: str) -> bool:
    """Return True if the text has times as this tool prints them."""
    return bool(re.search(r"Iteration \d+ of \d+: |Model executed successfully \d+ time", text))


def read(_: bytes, place: Place) -> list[Found]:
    """Return a run for each load of a model; the first iteration, which is cold, is not a sample."""
    runs: list[_Run] = []
    for field in _FIELDS.finditer(place.text):
        at = field.start()
        again = field["number"] and (not runs or (int(field["number"]) == 1 and runs[-1].samples))
        if field["load"] or again or not runs:
            runs.append(_Run())
        run = runs[-1]
        if field["load"]:
            run.load_s = place.time_or_zero(field["load"], MS, at)
        elif field["sample"]:
            run.add(place, field)
        else:
            run.calls = place.count(field["calls"], "calls", at)
            run.total_s, run.at = place.time(field["total"], MS, at), at
    return few([found for run in runs if (found := run.found(place))], place.where)


class _Run:
    """The times of one load of a model."""

    def __init__(self) -> None:
        self.load_s: float | None = None
        self.samples: list[float] = []
        self.calls = self.of = 0
        self.total_s = 0.0
        self.at = 0

    def add(self, place: Place, field: "re.Match[str]") -> None:
        """Add an iteration. Raises InputError if it is not the next one."""
        number, expected = int(field["number"]), len(self.samples) + 1
        if number != expected:
            raise InputError(
                f"{place.line(field.start())}: is iteration {number:,} and not {expected:,}; expected the "
                "whole log"
            )
        self.samples.append(place.time(field["sample"], MS, field.start()))
        self.of = int(field["of"])

    def found(self, place: Place) -> Found | None:
        if not self.samples and not self.calls:
            return None
        if self.samples and len(self.samples) < self.of:
            raise InputError(
                f"{place.where}: ends after iteration {len(self.samples):,} of {self.of:,}; expected the "
                "whole log"
            )
        if len(self.samples) == 1 or self.calls == 1:
            raise InputError(
                f"{place.where}: has one iteration, which is cold; expected more, by --num_executions"
            )
        told = None
        if not self.samples:
            mean = self.total_s / self.calls
            told = reported(place.line(self.at), f"{TOOL} ({COLD})", self.calls, {"mean": mean})
        return Found(
            backend="executorch",
            tool=TOOL,
            load_s=self.load_s,
            first_s=self.samples[0] if self.samples else None,
            samples=tuple(self.samples[1:]),
            reported=told,
        )
