"""Sheets as text for a terminal or a pipe."""

import textwrap
from collections.abc import Collection, Sequence
from io import StringIO

from rich.box import Box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from .sheet import BAR_CELLS, NUMERIC, Column, Sheet, bar, format_value, join_words, plain_text

_RULE = "    \n    \n -- \n    \n -- \n -- \n    \n    \n"
_ASCII_BOX = Box(_RULE, ascii=True)
_BOX = Box(_RULE.replace("-", "─"))
_GAP = 2
_NOTE_WIDTH = 100
_PROSE = 20
"""Least width of wrapped sentences ..."""
_ROOMY = 40
"""... and their width in a pipe if several columns have them."""


def to_terminal(
    sheets: Sequence[Sheet], width: int | None = None, *, color: bool = False, ascii_only: bool = False
) -> str:
    """Return the sheets as text.

    width: cells per line; None shows every column side by side. Columns of a sheet that is not stacked are
    dropped by importance until the rest fits, and a note names them. Columns that still do not fit
    continue in further tables. Values are never cut or wrapped, except sentences.
    """
    out = StringIO()
    for n, sheet in enumerate(sheets):
        if n:
            out.write("\n")
        _draw(sheet, out, width, color, ascii_only)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _draw(sheet: Sheet, out: StringIO, width: int | None, color: bool, ascii_only: bool) -> None:
    heads = [Text(plain_text(column.title, ascii_only=ascii_only)) for column in sheet.columns]
    body = [_cells(row, sheet.columns, ascii_only, bars=True) for row in sheet.rows]
    feet = [_cells(row, sheet.columns, ascii_only, bars=False) for row in sheet.totals]
    natural = [max(text.cell_len for text in texts) for texts in zip(heads, *body, *feet, strict=True)]
    spans = [_least(n, column) for n, column in zip(natural, sheet.columns, strict=True)]
    everything = list(range(len(sheet.columns)))
    kept = everything if sheet.stacked else _that_fit(sheet.columns, spans, width)
    parts = _stacked(kept, spans, width)
    prose = sum(column.kind == "prose" for column in sheet.columns)
    room = _ROOMY if prose > 1 else _NOTE_WIDTH
    roomy = [_least(n, column, room) for n, column in zip(natural, sheet.columns, strict=True)]
    widest = max(_span(spans if width else roomy, part) for part in parts)
    console = Console(
        file=out,
        width=max(widest, width or 0, 20),
        force_terminal=color,
        highlight=False,
        emoji=False,
        color_system="auto" if color else None,
        legacy_windows=False,
    )
    console.print(_wrapped(sheet.title, width, ascii_only), style="bold", markup=False, soft_wrap=True)
    for number, part in enumerate(parts if sheet.rows or sheet.totals else []):
        if number:
            console.print()
        console.print(_table(sheet, heads, body, feet, part, spans, ascii_only))
    shown = {n for part in parts for n in part}
    for note in (*sheet.notes, *_dropped(sheet.columns, shown)):
        text = _wrapped(note, width and min(width, _NOTE_WIDTH), ascii_only)
        console.print(text, style="dim", markup=False, soft_wrap=True)


def _least(natural: int, column: Column, prose: int = _PROSE) -> int:
    """Return the least width of a column; only sentences are wrapped."""
    return min(natural, prose) if column.kind == "prose" else natural


def _wrapped(sentence: str, width: int | None, ascii_only: bool) -> str:
    """Wrap `sentence` to `width` cells, without breaking words."""
    text = plain_text(sentence, ascii_only=ascii_only)
    return (
        text if width is None else textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    )


def _table(
    sheet: Sheet,
    heads: list[Text],
    body: list[list[Text]],
    feet: list[list[Text]],
    kept: list[int],
    spans: list[int],
    ascii_only: bool,
) -> RichTable:
    table = RichTable(
        box=_ASCII_BOX if ascii_only else _BOX,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1, 0, 0),
        header_style="bold",
        show_lines=sum(sheet.columns[n].kind == "prose" for n in kept) > 1,
    )
    for n in kept:
        kind = sheet.columns[n].kind
        table.add_column(
            heads[n],
            justify="right" if kind in NUMERIC else "left",
            no_wrap=kind != "prose",
            min_width=spans[n] if kind == "prose" else None,
        )
    for number, row in enumerate(body):
        style = "bold red" if number in sheet.highlighted else None
        table.add_row(*(row[n] for n in kept), style=style, end_section=number == len(body) - 1)
    for number, row in enumerate(feet, len(body)):
        table.add_row(*(row[n] for n in kept), style="bold red" if number in sheet.highlighted else "bold")
    return table


def _cells(row: Sequence[object], columns: Sequence[Column], ascii_only: bool, *, bars: bool) -> list[Text]:
    return [_cell(value, column, ascii_only, bars=bars) for value, column in zip(row, columns, strict=True)]


def _cell(value: object, column: Column, ascii_only: bool, *, bars: bool) -> Text:
    text = Text(format_value(value, column.kind, ascii_only=ascii_only))
    if bars and column.kind == "share" and isinstance(value, float):
        drawn = f"{bar(value, ascii_only=ascii_only):<{BAR_CELLS}}"
        return Text.assemble((drawn, "cyan"), text)
    return text


def _that_fit(columns: Sequence[Column], cells: Sequence[int], width: int | None) -> list[int]:
    """Return the indices of the columns to show; those of importance 0 are always kept."""
    kept = list(range(len(columns)))
    while width is not None and _span(cells, kept) > width:
        candidates = [n for n in kept if columns[n].importance]
        if not candidates:
            break
        kept.remove(max(candidates, key=lambda n: (columns[n].importance, n)))
    return kept


def _stacked(kept: Sequence[int], cells: Sequence[int], width: int | None) -> list[list[int]]:
    """Distribute the columns over tables that fit, each starting with the first column."""
    parts = [list(kept[:1])]
    for n in kept[1:]:
        if width is not None and len(parts[-1]) > 1 and _span(cells, [*parts[-1], n]) > width:
            parts.append(list(kept[:1]))
        parts[-1].append(n)
    return parts


def _span(cells: Sequence[int], kept: Sequence[int]) -> int:
    return sum(cells[n] for n in kept) + _GAP * (len(kept) - 1)


def _dropped(columns: Sequence[Column], kept: Collection[int]) -> list[str]:
    dropped = [column.title for n, column in enumerate(columns) if n not in kept]
    if not dropped:
        return []
    return [f"Not shown at this width: {join_words(dropped)}. A wider terminal or a pipe shows all."]
