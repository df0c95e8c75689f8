"""Sheets: titled columns and rows of values, which every output format renders."""

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
_IN_ASCII: Final = str.maketrans(
    {"×": "x", "–": "-", "→": "->", "·": "*", "−": "-", "²": "^2", "≥": ">=", "≤": "<=", "÷": "/"}
)
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""First characters of formulas; spreadsheets also accept the wide forms."""


class Column(msgspec.Struct, frozen=True):
    """One column.

    key: name in CSV and data frames. title: header elsewhere. kind: format of the values; "prose" is
    wrapped sentences, "bar" a share of 1 that is only drawn. importance: 0 is always shown; the highest
    is dropped first in a narrow terminal.
    """

    key: str
    title: str
    kind: Kind = "count"
    importance: int = 0


class Sheet(msgspec.Struct, frozen=True):
    """Rows of values under columns, then `totals` rows, then `notes`, which are sentences.

    stacked: a narrow terminal shows all columns in several tables, each starting with the first column.
    highlighted: indices of highlighted rows, counted over rows and then totals. heading: False if Markdown
    has the title in bold instead, in one line with the notes of a sheet without columns. folded: summary
    under which Markdown folds the sheet, together with those before and after it of the same summary; "" if
    it is not folded.

    >>> (sheet,) = mnv3prof.tables(mnv3prof.load("small"))
    >>> [column.title for column in sheet.columns][:2], len(sheet.rows)
    (['Block', 'Operator'], 14)
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    totals: tuple[tuple[Any, ...], ...] = ()
    notes: tuple[str, ...] = ()
    highlighted: frozenset[int] = frozenset()
    stacked: bool = False
    heading: bool = True
    folded: str = ""

    def __repr__(self) -> str:
        return f"Sheet({self.title!r}, {len(self.rows)} rows, {len(self.columns)} columns)"

    def __str__(self) -> str:
        """Return the sheet in Markdown."""
        from .markdown import to_markdown

        return to_markdown([self])

    def _repr_html_(self) -> str:
        """Return the sheet as a notebook shows it."""
        from .html import for_notebook

        return for_notebook(self)


class Sheets(tuple[Sheet, ...]):
    """Sheets in the order in which they are shown.

    >>> [len(sheet.rows) for sheet in mnv3prof.tables(mnv3prof.load("small"))]
    [14]
    """

    __slots__ = ()

    def __str__(self) -> str:
        """Return the sheets in Markdown."""
        from .markdown import to_markdown

        return to_markdown(self)

    def _repr_html_(self) -> str:
        """Return the sheets as a notebook shows them."""
        return "".join(sheet._repr_html_() for sheet in self)


class AtLeast(int):
    """A lower bound of a count, written with ≥."""


def format_value(value: Any, kind: Kind, *, ascii_only: bool = False) -> str:
    """Format a value: integers in full, bytes in KiB, MiB or GiB, None as a dash."""
    if value is None:
        return "-" if ascii_only else "–"
    if isinstance(value, AtLeast):
        return f"{'>=' if ascii_only else '≥'} {int(value):,}"
    match kind:
        case "count" if not isinstance(value, str):
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


def csv_value(value: Any) -> Any:
    """Convert a value for CSV: unrounded numbers, shapes as 3x224x224, "" for None.

    Text is printable, and an apostrophe precedes text that a spreadsheet would take for a formula.
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
    """Draw a share of 1 as a bar of at most BAR_CELLS cells, in eighths of a cell unless in ASCII."""
    eighths = max(0, min(8 * BAR_CELLS, round(share * 8 * BAR_CELLS)))
    if ascii_only:
        return "#" * round(eighths / 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def plain_text(text: str, *, ascii_only: bool = False) -> str:
    """Remove control characters from `text`, and convert it to ASCII if asked."""
    return _ascii(printable(text)) if ascii_only else printable(text)


def join_words(items: Sequence[str]) -> str:
    """Join items for a sentence: "a, b and c"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" and {items[-1]}"


def _bytes(value: int) -> str:
    if abs(value) < 1024:
        return f"{value} B"
    if abs(value) < 1024 * 1024:
        return f"{value / 1024:,.1f} KiB"
    if abs(value) < 1024**3:
        return f"{value / 1024**2:,.2f} MiB"
    return f"{value / 1024**3:,.2f} GiB"


def _significant(value: float) -> str:
    return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _ascii(text: str) -> str:
    return text.translate(_IN_ASCII).encode("ascii", "replace").decode()
