"""Write tables in CSV and TOML."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import structs

from .cells import COLUMNS, REQUIRED
from .expand import DEFAULT_SIZE
from .table import Row, Table

ROW_OPTIONS: Final = COLUMNS[8:]
"""Columns beyond the paper's."""

_ROW_DEFAULTS: Final = {field.name: field.default for field in structs.fields(Row)}

_FORMULA: Final = re.compile(r"[,;](?=\s*[=+@＝＋－＠-])")
"""A delimiter in a comment that a spreadsheet would take for the start of a cell with a formula."""


def to_csv(table: Table) -> str:
    """Format `table` as CSV: settings as comments, a header, rows. parse_table reads it."""
    import csv
    from io import StringIO

    out = StringIO()
    for key, value in _settings(table):
        text = _FORMULA.sub(lambda match: f"\\u{ord(match[0]):04x}", value)
        out.write(f"# {key} = {text}\n")
    writer = csv.writer(out, lineterminator="\n")
    columns = _columns(table)
    writer.writerow(columns)
    for row in table.rows:
        writer.writerow(_cell(getattr(row, column)) for column in columns)
    return out.getvalue()


def to_toml(table: Table, size: tuple[int, int] = DEFAULT_SIZE) -> str:
    """Format `table` as TOML: settings, then rows as in the paper. parse_table reads it.

    size: of the input, which a table does not have: another one than DEFAULT_SIZE is written as a comment.
    """
    kept = len(COLUMNS) - len(ROW_OPTIONS)
    while kept > len(REQUIRED) and all(_is_default(row, COLUMNS[kept - 1]) for row in table.rows):
        kept -= 1
    columns = COLUMNS[:kept]
    cells = [[_toml(getattr(row, column)) for column in columns] for row in table.rows]
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"{key} = {value}" for key, value in _settings(table)]
    if size != DEFAULT_SIZE:
        lines.insert(0, f"# A table has no input: use it with --input {'x'.join(map(str, size))}.")
    named = [any(not _is_default(row, option) for option in ROW_OPTIONS) for row in table.rows]
    lines += ["rows = [", *([] if all(named) else [f"#  {', '.join(columns)}"])]
    for row, texts, by_name in zip(table.rows, cells, named, strict=True):
        if by_name:
            given = (
                f"{name} = {_toml(getattr(row, name))}" for name in COLUMNS if not _is_default(row, name)
            )
            lines.append(f"  {{ {', '.join(given)} }},")
        else:
            aligned = (text.rjust(width) for text, width in zip(texts, wide, strict=True))
            lines.append(f"  [{', '.join(aligned)}],")
    return "\n".join([*lines, "]", ""])


def options(struct: msgspec.Struct, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield name and TOML value of the fields that are not their default."""
    usual = {field.name: field.default for field in structs.fields(struct)}
    for name in names:
        value = getattr(struct, name)
        if value is not None and value != usual[name]:
            yield name, _toml(value)


def _settings(table: Table) -> Iterator[tuple[str, str]]:
    return options(table, (name for name in table.__struct_fields__ if name != "rows"))


def _columns(table: Table) -> tuple[str, ...]:
    """Return the paper's columns, and the others that a row uses."""
    used = (name for name in ROW_OPTIONS if any(not _is_default(row, name) for row in table.rows))
    return (*COLUMNS[:8], *used)


def _is_default(row: Row, column: str) -> bool:
    return column not in REQUIRED and getattr(row, column) == _ROW_DEFAULTS[column]


def _cell(value: object) -> object:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return "" if value is None else "yes" if value is True else "no" if value is False else value


def _toml(value: object) -> str:
    """Format a value of a table as TOML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, msgspec.Struct):
        fields = options(value, value.__struct_fields__)
        return f"{{ {', '.join(f'{name} = {text}' for name, text in fields)} }}"
    return msgspec.json.encode(value).decode()
