"""Sheets as HTML tables."""

import re
from collections.abc import Mapping, Sequence
from html import escape as escape_html
from typing import Any, Final

from ..graph.errors import printable
from .sheet import NUMERIC, Column, Sheet, format_value

_LONG: Final = 60
"""Longer texts are wrapped in their cells."""
_COPIES: Final = (("text", "the values of the table", "Copy"), ("markdown", "as Markdown", "Markdown"))
_LINKED: Final = ("block", "part")
"""Columns whose cells name blocks."""
_NOTEBOOK: Final = (
    ".sheet table{border-collapse:collapse;margin:.3em 0} .sheet .n{text-align:right}"
    " .sheet th,.sheet td{padding:.1em .7em;white-space:nowrap} .sheet .wrap{white-space:normal}"
    " .sheet tbody th,.sheet tfoot th{text-align:left} .sheet .title{font-weight:bold}"
    " .sheet .note{max-width:60em} .sheet .scroll{overflow-x:auto}"
)


def escape(text: str, *, quote: bool = True) -> str:
    """Escape `text` for HTML. quote: escape quotes too, for attributes."""
    return escape_html(printable(text), quote)


def to_html(
    sheet: Sheet, *, sortable: bool = True, interactive: bool = True, anchors: Mapping[str, str] | None = None
) -> str:
    """Return a table with notes. sortable: by its columns; interactive: also with copy buttons, which need
    the report's script. anchors: to which the first cells of rows lead, by the cell's text.
    """
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in sheet.notes)
    title = escape(sheet.title)
    if not sheet.columns:
        return f'<div class="sheet"><p class="title">{title}</p>{notes}</div>'
    head = "".join(_head(column, sortable=sortable and interactive) for column in sheet.columns)
    body = "".join(
        _row(row, sheet.columns, number in sheet.highlighted, anchors or {})
        for number, row in enumerate(sheet.rows)
    )
    foot = "".join(
        _row(row, sheet.columns, number in sheet.highlighted)
        for number, row in enumerate(sheet.totals, len(sheet.rows))
    )
    foot = f"<tfoot>{foot}</tfoot>" if foot else ""
    copy = "".join(
        f'<button type="button" class="copy tool" data-as="{form}" aria-label="Copy {what}: {title}">{label}'
        "</button>"
        for form, what, label in _COPIES
    )
    copy = f"<span>{copy}</span>" if interactive else ""
    return (
        f'<div class="sheet"><div class="bar"><p class="title">{title}</p>{copy}</div>'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{title}, scrollable"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table></div>{notes}</div>"
    )


def for_notebook(sheet: Sheet) -> str:
    """Return a table with notes and its own style, without anything that needs the report's script."""
    return f"<style>{_NOTEBOOK}</style>{to_html(sheet, interactive=False)}"


def _head(column: Column, *, sortable: bool) -> str:
    kind = ' class="n"' if column.kind in NUMERIC else ""
    if not column.title:
        return f"<td{kind}></td>"
    title = escape(column.title)
    return f'<th scope="col"{kind}>{f"<button type=button>{title}</button>" if sortable else title}</th>'


def _row(
    row: Sequence[object], columns: Sequence[Column], alarm: bool, anchors: Mapping[str, str] | None = None
) -> str:
    first, *rest = zip(row, columns, strict=True)
    anchor = (anchors or {}).get(str(first[0]), "") if first[1].key in _LINKED else ""
    cells = _first(*first, anchor) + "".join(_cell(value, column) for value, column in rest)
    marked = f' data-block="{anchor}"' if anchor else ""
    return f'<tr class="alarm"{marked}>{cells}</tr>' if alarm else f"<tr{marked}>{cells}</tr>"


def _first(value: Any, column: Column, anchor: str) -> str:
    text = escape(format_value(value, column.kind).strip())
    text = f'<a href="#{anchor}">{text}</a>' if anchor else text
    return f'<th scope="row">{text}</th>'


def _cell(value: Any, column: Column) -> str:
    text = escape(format_value(value, column.kind).strip())
    if value is None:
        kind = ' class="n"' if column.kind in NUMERIC else ""
        return f'<td{kind} data-v="">{text}</td>'
    if column.kind not in NUMERIC and column.kind != "bar":
        wraps = column.kind == "prose" or len(text) > _LONG
        return f'<td class="wrap">{text}</td>' if wraps else f"<td>{text}</td>"
    sort = _sortable(value)
    if column.kind == "bar":
        text = ""
    if column.kind in ("share", "bar") and isinstance(value, float):
        return f'<td class="n share" data-v="{sort}" style="--part:{min(max(value, 0), 1):.1%}">{text}</td>'
    return f'<td class="n" data-v="{sort}">{text}</td>'


def _sortable(value: Any) -> str:
    """Return the number by which a cell is sorted, or ""."""
    if isinstance(value, (int, float)):
        return repr(value)
    found = re.match(r"[+×]?(-?[\d,]+(?:\.\d+)?(?:e[+-]\d+)?)", str(value)) if value is not None else None
    return found[1].replace(",", "") if found else ""
