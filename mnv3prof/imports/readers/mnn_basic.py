"""The text of MNN's MNNV2Basic.out: operators, and times that include its callbacks per operator."""

import re
from collections.abc import Sequence
from typing import Final

from ...device.protocol import RuntimeOp
from ...graph.errors import InputError
from ..found import MOST_OPERATORS, MS, Found, Place, few, name_in, reported

WHAT: Final = "MNN's MNNV2Basic.out"
TOOL: Final = "MNNV2Basic.out (with its callbacks per operator)"

_FIELDS: Final = re.compile(
    r"^ *(?P<name>\S[^\n\[]{0,300}?)\s+(?:\[(?P<kind>[^\]\n]{1,100})\] )?run (?P<runs>\d{1,15}) average cost "
    r"(?P<cost>\S+) ms,"
    r"|\bAvg= *(?P<mean>\S+) *ms,(?: *OpSum *= *(?P<sum>\S+) *ms,?)?"
    r" *min= *(?P<min>\S+) *ms, *max= *(?P<max>\S+) *ms",
    re.MULTILINE,
)
_LEAST_SHARE: Final = 0.9
"""Of the sum of the operators, whose times are rounded."""


def recognizes(_: bytes, text: str) -> bool:
    """Return True if the text has times as this tool prints them."""
    return "Avg= " in text and any(field["mean"] for field in _FIELDS.finditer(text))


def read(_: bytes, place: Place) -> list[Found]:
    """Return a run for each line of averages, with the operators before it."""
    found: list[Found] = []
    operators: list[RuntimeOp] = []
    calls = None
    for field in _FIELDS.finditer(place.text):
        at = field.start()
        if field["cost"]:
            calls = place.count(field["runs"], "calls", at)
            seconds = place.time_or_zero(field["cost"], MS, at)
            name = name_in(field["name"])
            operators.append(RuntimeOp(name, name_in(field["kind"] or name), seconds))
            if len(operators) > MOST_OPERATORS:
                raise InputError(f"{place.line(at)}: has more than {MOST_OPERATORS:,} operators")
            continue
        times = {name: place.time_or_zero(field[name], MS, at) for name in ("min", "max")}
        times["mean"] = place.time(field["mean"], MS, at)
        told = reported(place.line(at), TOOL, calls, times)
        _require_all(place, at, field["sum"], operators)
        found.append(
            Found(backend="mnn", tool=TOOL, reported=told, operators=tuple(operators), profiled=True)
        )
        operators, calls = [], None
    return few(found, place.where)


def _require_all(place: Place, at: int, said: str | None, operators: Sequence[RuntimeOp]) -> None:
    """Raise InputError if operators are missing: the tool prints their sum."""
    if said is None or not operators:
        return
    expected, found = place.time_or_zero(said, MS, at), sum(each.seconds for each in operators)
    if found < _LEAST_SHARE * expected:
        raise InputError(
            f"{place.line(at)}: the operators before it take {found * 1e3:.3f} of {expected * 1e3:.3f} ms; "
            "expected the whole text"
        )
