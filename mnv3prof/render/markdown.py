"""Sheets as Markdown and as CSV."""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from itertools import groupby
from typing import Final

from ..graph.errors import printable
from .html import escape
from .sheet import NUMERIC, Sheet, bar, csv_value, format_value

_REFERENCE: Final = re.compile(r"(?<![A-Za-z0-9_])@(?=[A-Za-z0-9])|#(?=[0-9])")
"""First character of what GitHub takes for a user (@name) or an issue (#1), also if it is escaped."""
_NETWORK: Final = re.compile(r"[A-Za-z0-9_./-]+#[0-9]+")
_NO_SPACE: Final = "&#8203;"
"""A space of no width."""


def to_markdown(sheets: Iterable[Sheet]) -> str:
    """Return pipe tables with all columns, a heading per sheet; folded sheets in <details>."""
    groups = groupby(sheets, lambda sheet: sheet.folded)
    return "\n".join(_folded(summary, "\n".join(map(_markdown, group))) for summary, group in groups)


def to_csv(sheet: Sheet) -> str:
    """Return the rows of a sheet, unrounded, under a header of keys; totals are omitted."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_value(column.key) for column in sheet.columns])
    writer.writerows([csv_value(value) for value in row] for row in sheet.rows)
    return out.getvalue()


def _folded(summary: str, text: str) -> str:
    if not summary:
        return text
    return f"<details><summary>{_unlinked(escape(summary))}</summary>\n\n{text}\n</details>\n"


def _markdown(sheet: Sheet) -> str:
    title = _escaped(sheet.title)
    lines = [f"### {title}" if sheet.heading else f"**{title}**"]
    if not sheet.heading and not sheet.columns:
        return " ".join([*lines, *map(_escaped, sheet.notes)]) + "\n"
    if sheet.rows or sheet.totals:
        lines.append("")
        lines.append(_line([_escaped(column.title) for column in sheet.columns]))
        lines.append(_line(["---:" if column.kind in NUMERIC else "---" for column in sheet.columns]))
        for row in sheet.rows:
            lines.append(_line([_value(v, c.kind) for v, c in zip(row, sheet.columns, strict=True)]))
        for row in sheet.totals:
            cells = [_value(v, c.kind) for v, c in zip(row, sheet.columns, strict=True)]
            lines.append(_line([cell and f"**{cell}**" for cell in cells]))
    for note in sheet.notes:
        lines += ["", _escaped(note)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _value(value: object, kind: str) -> str:
    if isinstance(value, str) and _NETWORK.fullmatch(value):
        return f"`{value}`"  # to be copied, as it is
    text = _escaped(format_value(value, kind).strip())  # type: ignore[arg-type]
    return f"{bar(value)} {text}" if kind == "share" and isinstance(value, float) else text


def _escaped(text: str) -> str:
    return _unlinked(re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", " ".join(printable(text).split())))


def _unlinked(text: str) -> str:
    """Put a space of no width into what GitHub would take for a user or an issue."""
    return _REFERENCE.sub(lambda found: found[0] + _NO_SPACE, text)
