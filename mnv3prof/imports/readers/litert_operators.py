"""The operators that the profiler of LiteRT and TensorFlow Lite prints, as CSV or as a table."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ...device.protocol import RuntimeOp
from ...graph.errors import InputError
from ..found import MOST_OPERATORS, MS, US, Found, Place, last_match, name_in, reported

WHAT: Final = "benchmark_model (operators)"
TOOL: Final = "benchmark_model (with its operator profiler)"

_REGULAR: Final = "Operator-wise Profiling Info for Regular Benchmark Runs"
_HEADER: Final = re.compile(
    r"^[^\n]{0,200}?\[?node type\]?(?P<by>[\t,]| )(?P<columns>[^\n]{10,400})$", re.MULTILINE | re.IGNORECASE
)
_COLUMN: Final = re.compile(r"\[([^\]\n]+)\]")
_GAP: Final = re.compile(r" {2,}")
_TOTAL: Final = re.compile(
    r"Timings \(microseconds\): count=(?P<calls>\S+) .{0,200}?"
    r"min=(?P<min>\S+) max=(?P<max>\S+) avg=(?P<mean>\S+)"
)
_PREFIX: Final = re.compile(r"^.*?(?:INFO: |tflite *: )")
_SECTION: Final = re.compile(r"={5,} ([A-Z][A-Za-z ]{3,60}) ={5,}")


def recognizes(_: bytes, text: str) -> bool:
    """Return True if the text has a table of operators, but no times of benchmark_model."""
    return "nference timings in us:" not in text and bool(_HEADER.search(text))


def read(_: bytes, place: Place) -> list[Found]:
    """Return the operators, with the time of a call as it was profiled, if the file has it."""
    operators = operators_in(place, 0, len(place.text))
    if not operators:
        return []
    total = last_match(_TOTAL, place.text, 0, len(place.text))
    told = None
    if total:
        at = total.start()
        times = {name: place.time_or_zero(total[name], US, at) for name in ("min", "max")}
        times["mean"] = place.time(total["mean"], US, at)
        told = reported(place.line(at), TOOL, place.count(total["calls"], "calls", at), times)
    return [Found(backend="litert", tool=TOOL, operators=operators, reported=told, profiled=True)]


def operators_in(place: Place, start: int, end: int) -> tuple[RuntimeOp, ...]:
    """Return the operators of one run between two positions, in execution order.

    Events of the initialization are left out, and delegates whose own operators are listed too.
    """
    regular = place.text.rfind(_REGULAR, start, end)
    tables = list(_tables(place, max(start, regular), end))
    if regular < 0:
        tables = tables[-1:]
    inner = any(is_inner for is_inner, _ in tables)
    operators = [
        operator
        for is_inner, table in tables
        for operator in table
        if is_inner or not inner or "delegate" not in operator.kind.lower()
    ]
    return tuple(operators)


def _tables(place: Place, start: int, end: int) -> Iterator[tuple[bool, list[RuntimeOp]]]:
    """Yield each table in run order, and whether it is of the inside of a delegate."""
    for header in _HEADER.finditer(place.text, start, end):
        before = place.text[max(start, header.start() - 300) : header.start()]
        sections = _SECTION.findall(before)
        if not sections or sections[-1] != "Run Order":
            continue
        line = header["columns"]
        found = _COLUMN.findall(line) or line.split(",")
        columns = [column.strip().replace("_", " ").lower() for column in found]
        if "avg ms" in columns and columns[-1] == "name":
            yield "Delegate internal" in before, _per_run(list(_rows(place, header, columns, end)))


def _per_run(rows: list[tuple[RuntimeOp, int]]) -> list[RuntimeOp]:
    """Return the operators with their time in one run: some versions count their calls in all runs."""
    runs = min((calls for _, calls in rows), default=1)
    return [replace(op, seconds=op.seconds * calls / runs) for op, calls in rows]


def _cells(line: str, header: str, columns: int) -> list[str]:
    """Return the cells of a row: of tabs, of commas (those of names are tabs), or of columns of spaces."""
    if "\t" in header:
        return line.rsplit("\t", columns)
    if "[" not in header:
        return line.rsplit(",", columns)
    return _GAP.split(line.strip(), maxsplit=columns)


def _rows(
    place: Place, header: "re.Match[str]", columns: list[str], end: int
) -> Iterator[tuple[RuntimeOp, int]]:
    """Yield the operators below a header, up to an empty line, and how often each was called."""
    at, rows = header.end() + 1, 0
    while at < end:
        line_end = place.text.find("\n", at)
        line_end = end if line_end < 0 else min(line_end, end)
        cells = _cells(_PREFIX.sub("", place.text[at:line_end]), header[0], len(columns))
        if len(cells) <= len(columns):
            return
        row = dict(zip(columns, map(str.strip, cells[1:]), strict=True))
        rows += 1
        if rows > MOST_OPERATORS:
            raise InputError(f"{place.line(at)}: has more than {MOST_OPERATORS:,} operators")
        called = row.get("times called", "1")
        if called != "0":
            seconds = place.time_or_zero(row["avg ms"], MS, at)
            op = RuntimeOp(name_in(row["name"]), name_in(cells[0]), seconds)
            yield op, place.count(called, "calls", at)
        at = line_end + 1
