"""What a file says of one run of a tool, and how numbers in it are read."""

import re
from collections import deque
from pathlib import PurePosixPath
from typing import Final, NoReturn

import msgspec

from ..device.protocol import RuntimeOp
from ..graph.errors import InputError, printable, quote
from ..record.timing import Reported

MOST_BYTES: Final = 50_000_000
"""Limit of a file."""
MOST_RUNS: Final = 1_000
"""Limit of the runs of tools in one file ..."""
MOST_OPERATORS: Final = 20_000
"""... and of the operators."""
LEAST_S: Final = 1e-9
MOST_S: Final = 1e6
"""Range of a valid time in seconds."""
S: Final = 1.0
MS: Final = 1e-3
US: Final = 1e-6
NS: Final = 1e-9

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_ZERO: Final = re.compile(r"0*\.?0*(?<=0)(e[+-]?\d{1,4})?", re.IGNORECASE | re.ASCII)
_DIGITS: Final = 12
_MOST_DIGITS: Final = 40
_MOST_NAME: Final = 200


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a tool: its times, as samples or as statistics, or its operators.

    backend: the runtime. label: the model's name, "" if it is not known. threads, batch: None if not said.
    shape: of the only input, with the batch, () if not said.
    accelerator: what ran the model instead of the runtime's own CPU kernels, "" for these, None if not said.
    samples: seconds of each call. profiled: the times were taken with a profiler, which slows calls. note: on
    what of it was not read, and why.
    """

    backend: str
    tool: str
    label: str = ""
    threads: int | None = None
    batch: int | None = None
    shape: tuple[int, ...] = ()
    accelerator: str | None = None
    samples: tuple[float, ...] = ()
    reported: Reported | None = None
    load_s: float | None = None
    first_s: float | None = None
    operators: tuple[RuntimeOp, ...] = ()
    profiled: bool = False
    note: str = ""

    @property
    def model(self) -> str:
        """The model's name without folder and suffix, "" if it is not known."""
        return PurePosixPath(self.label.replace("\\", "/")).stem


class Place(msgspec.Struct, frozen=True):
    """A text, and the name of its file for messages."""

    text: str
    where: str

    def line(self, at: int) -> str:
        """Return the file and the line of a position."""
        return f"{self.where}, line {self.text.count(chr(10), 0, at) + 1}"

    def time(self, number: str, unit: float, at: int) -> float:
        """Return a time above 0 in seconds. unit: in seconds. Raises InputError."""
        found = _parsed(number, unit)
        return _refuse(self.line(at), number) if found is None else found

    def time_or_zero(self, number: str, unit: float, at: int) -> float:
        """Return a time in seconds, which a tool may have rounded to 0. Raises InputError."""
        return 0.0 if _ZERO.fullmatch(number) else self.time(number, unit, at)

    def count(self, number: str, what: str, at: int, most: int = 2**40) -> int:
        """Return a count of at least 1. Raises InputError."""
        if not (number.isascii() and number.isdecimal() and len(number) < 16 and 1 <= int(number) <= most):
            raise InputError(
                f"{self.line(at)}: the number of {what} is {quote(number)}; expected an integer from 1"
            )
        return int(number)


def seconds(value: float, unit: float, where: str) -> float:
    """Return a time above 0 in seconds. Raises InputError about `where`."""
    found = _parsed(str(value), unit)
    return _refuse(where, str(value)) if found is None else found


def seconds_or_zero(value: float, unit: float, where: str) -> float:
    """Return a time in seconds that may be 0. Raises InputError about `where`."""
    return 0.0 if value == 0 else seconds(value, unit, where)


def _parsed(number: str, unit: float) -> float | None:
    """Return a time in seconds; None if it is no time."""
    if len(number) > _MOST_DIGITS or not _NUMBER.fullmatch(number):
        return None
    value = round(float(number) * unit, _DIGITS)
    return value if LEAST_S <= value <= MOST_S else None


def _refuse(where: str, number: str) -> NoReturn:
    raise InputError(
        f"{where}: the time {quote(number)} is not allowed; expected a number above 0, at most 11 days"
    )


def reported(where: str, tool: str, calls: int | None, times: dict[str, float]) -> Reported:
    """Return statistics of one run. times: seconds by "mean", "min", "max", "sd" or percentile.

    Raises InputError about `where` if they are impossible.
    """
    percentiles = {name: value for name, value in times.items() if name[0].isdigit()}
    try:
        found = Reported(
            tool=tool,
            calls=calls,
            mean_s=times.get("mean"),
            min_s=times.get("min"),
            max_s=times.get("max"),
            sd_s=times.get("sd"),
            percentiles=percentiles,
        )
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    return found


def last_match(pattern: "re.Pattern[str]", text: str, start: int, end: int) -> "re.Match[str] | None":
    """Return the last match between two positions."""
    return next(iter(deque(pattern.finditer(text, start, end), maxlen=1)), None)


def name_in(text: str) -> str:
    """Return a name from a file as printable text of limited length."""
    return printable(text.strip())[:_MOST_NAME]


def few(found: list[Found], where: str) -> list[Found]:
    """Return the runs of a file. Raises InputError if they are too many."""
    if len(found) > MOST_RUNS:
        raise InputError(f"{where}: has {len(found):,} runs; expected at most {MOST_RUNS:,}")
    return found
