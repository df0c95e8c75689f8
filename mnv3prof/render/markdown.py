"""Sheets as Markdown and as CSV."""

import csv
import re
from collections.abc import Sequence
from io import StringIO

from ..graph.errors import printable
from .sheet import NUMERIC, Sheet, bar, csv_value, format_value


def to_markdown(sheets: Sequence[Sheet]) -> str:
    """Return pipe tables with all columns, a heading per sheet."""
    return "\n".join(map(_markdown, sheets))


def to_csv(sheet: Sheet) -> str:
    """Return the rows of a sheet, unrounded, under a header of keys; totals are omitted."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_value(column.key) for column in sheet.columns])
    writer.writerows([csv_value(value) for value in row] for row in sheet.rows)
    return out.getvalue()


def _markdown(sheet: Sheet) -> str:
    lines = [f"### {_escaped(sheet.title)}"]
    if sheet.columns:
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
    text = _escaped(format_value(value, kind).strip())  # type: ignore[arg-type]
    return f"{bar(value)} {text}" if kind == "share" and isinstance(value, float) else text


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", " ".join(printable(text).split()))
