"""Sheets as text for a terminal or a pipe."""

from collections.abc import Sequence
from io import StringIO

from rich.box import Box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from .sheet import BAR_CELLS, NUMERIC, Column, Sheet, bar, plain_text, words, written

_RULE = "    \n    \n -- \n    \n -- \n -- \n    \n    \n"
_ASCII_BOX = Box(_RULE, ascii=True)
_BOX = Box(_RULE.replace("-", "─"))
_GAP = 2
_NOTE_WIDTH = 100


def to_terminal(
    sheets: Sequence[Sheet], width: int | None = None, *, color: bool = False, ascii_only: bool = False
) -> str:
    """The sheets one under another.

    width: cells in a line; columns leave by importance until the rest fits, and a note names them.
        None shows every column. A figure is never cut or wrapped.
    """
    out = StringIO()
    for n, sheet in enumerate(sheets):
        if n:
            out.write("\n")
        _draw(sheet, out, width, color, ascii_only)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _draw(sheet: Sheet, out: StringIO, width: int | None, color: bool, ascii_only: bool) -> None:
    body = [[_cell(v, c, ascii_only) for v, c in zip(row, sheet.columns, strict=True)] for row in sheet.rows]
    feet = [
        [written(v, c.kind, ascii_only=ascii_only) for v, c in zip(row, sheet.columns, strict=True)]
        for row in sheet.totals
    ]
    heads = [plain_text(column.title, ascii_only=ascii_only) for column in sheet.columns]
    cells = [
        max(map(len, [head, *(row[n] for row in body), *(row[n] for row in feet)]))
        for n, head in enumerate(heads)
    ]
    kept = _that_fit(sheet.columns, cells, width)
    table = RichTable(
        box=_ASCII_BOX if ascii_only else _BOX, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0),
        header_style="bold",
    )  # fmt: skip
    for n in kept:
        table.add_column(
            heads[n], justify="right" if sheet.columns[n].kind in NUMERIC else "left", no_wrap=True
        )
    for number, row in enumerate(body):
        style = "bold red" if number in sheet.alarms else None
        last = number == len(body) - 1 and bool(feet)
        table.add_row(*(Text(row[n]) for n in kept), style=style, end_section=last)
    for row in feet:
        table.add_row(*(Text(row[n]) for n in kept), style="bold")
    total = _span(cells, kept)
    console = Console(
        file=out, width=max(total, width or 0, 20), force_terminal=color, highlight=False,
        color_system="auto" if color else None, legacy_windows=False,
    )  # fmt: skip
    console.print(Text(plain_text(sheet.title, ascii_only=ascii_only), style="bold"), soft_wrap=width is None)
    if sheet.columns:
        console.print(table)
    lines = min(width, _NOTE_WIDTH) if width else None
    for note in (*sheet.notes, *_dropped(sheet.columns, kept)):
        console.print(
            Text(plain_text(note, ascii_only=ascii_only), style="dim"), soft_wrap=lines is None, width=lines
        )


def _cell(value: object, column: Column, ascii_only: bool) -> str:
    text = written(value, column.kind, ascii_only=ascii_only)
    if column.kind == "share" and isinstance(value, float):
        return f"{bar(value, ascii_only=ascii_only):<{BAR_CELLS}}{text}"
    return text


def _that_fit(columns: Sequence[Column], cells: Sequence[int], width: int | None) -> list[int]:
    """Indices of the columns to show; those of importance 0 stay whatever the width."""
    kept = list(range(len(columns)))
    while width is not None and _span(cells, kept) > width:
        candidates = [n for n in kept if columns[n].importance]
        if not candidates:
            break
        kept.remove(max(candidates, key=lambda n: (columns[n].importance, n)))
    return kept


def _span(cells: Sequence[int], kept: Sequence[int]) -> int:
    return sum(cells[n] for n in kept) + _GAP * (len(kept) - 1)


def _dropped(columns: Sequence[Column], kept: Sequence[int]) -> list[str]:
    gone = [column.title for n, column in enumerate(columns) if n not in kept]
    if not gone:
        return []
    return [f"Not shown at this width: {words(gone)}. Widen the terminal, or use --format csv."]
