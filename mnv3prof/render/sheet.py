"""A sheet: titled columns and rows of plain values, which every output format renders."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from ..graph.errors import printable

Kind = Literal[
    "text", "prose", "bar", "count", "bytes", "share", "percent", "ratio", "number", "shape", "figure"
]

NUMERIC: Final = frozenset({"count", "bytes", "share", "percent", "ratio", "number", "figure"})
BAR_CELLS: Final = 10
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a formula begins with; the wide forms are read as the others."""


class Column(msgspec.Struct, frozen=True):
    """One column.

    key: its name in CSV and data frames. title: its header elsewhere. kind: how a value is written;
    "prose" is sentences, which are wrapped, "bar" a share of 1 that is drawn only.
    importance: 0 is always shown; the highest leaves a narrow terminal first.
    """

    key: str
    title: str
    kind: Kind = "count"
    importance: int = 0


class Sheet(msgspec.Struct, frozen=True):
    """Rows of values under columns; `totals` rows are set off below, `notes` are sentences under all.

    stacked: a narrow terminal shows all columns in tables one under another, each led by the first.
    alarms: indices, over rows and then totals, of those that tell of a failed check.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    totals: tuple[tuple[Any, ...], ...] = ()
    notes: tuple[str, ...] = ()
    alarms: frozenset[int] = frozenset()
    stacked: bool = False


class AtLeast(int):
    """A count of which only a lower bound is known; it is written with ≥."""


def written(value: Any, kind: Kind, *, ascii_only: bool = False) -> str:
    """`value` as people read it; integers in full, bytes in KiB or MiB, an absent value as a dash."""
    if value is None:
        return "-" if ascii_only else "–"
    if isinstance(value, AtLeast):
        return f"{'>=' if ascii_only else '≥'} {int(value):,}"
    match kind:
        case "count":
            return f"{value:,}"
        case "bytes":
            return _bytes(value)
        case "share":
            return f"{value:7.1%}"
        case "bar":
            return bar(value, ascii_only=ascii_only)
        case "percent":
            return f"{value:.1%}"
        case "ratio":
            return f"{'x' if ascii_only else '×'}{_significant(value)}"
        case "number":
            return f"{value:,.2f}"
        case "shape":
            return ("x" if ascii_only else "×").join(map(str, value))
    return plain_text(str(value), ascii_only=ascii_only)


def plain(value: Any) -> Any:
    """`value` for CSV: exact numbers, shapes as 3x224x224, nothing for an absent value.

    Text is printable and never a formula: an apostrophe precedes what a spreadsheet would compute.
    """
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, AtLeast):
        return f"≥{int(value)}"
    if isinstance(value, str):
        text = printable(value)
        return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
    return "" if value is None else value


def bar(share: float, *, ascii_only: bool = False) -> str:
    """`share` of 1 as a bar of at most BAR_CELLS cells, eighths of a cell drawn where they can be."""
    eighths = max(0, min(8 * BAR_CELLS, round(share * 8 * BAR_CELLS)))
    if ascii_only:
        return "#" * round(eighths / 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def plain_text(text: str, *, ascii_only: bool = False) -> str:
    """`text` without what a terminal would obey, and in ASCII where it knows nothing else."""
    return _ascii(printable(text)) if ascii_only else printable(text)


def words(items: Sequence[str]) -> str:
    """Items as a sentence lists them: a, b and c."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" and {items[-1]}"


def _bytes(value: int) -> str:
    if abs(value) < 1024:
        return f"{value} B"
    if abs(value) < 1024 * 1024:
        return f"{value / 1024:,.1f} KiB"
    return f"{value / 1024 / 1024:,.2f} MiB"


def _significant(value: float) -> str:
    return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _ascii(text: str) -> str:
    for symbol, plain_form in (
        ("×", "x"),
        ("–", "-"),
        ("→", "->"),
        ("·", "*"),
        ("−", "-"),
        ("²", "^2"),
        ("≥", ">="),
        ("≤", "<="),
    ):
        text = text.replace(symbol, plain_form)
    return text.encode("ascii", "replace").decode()
