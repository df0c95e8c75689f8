"""Write tables in CSV and TOML."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import structs

from .cells import COLUMNS, REQUIRED
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


def to_toml(table: Table) -> str:
    """Format `table` as TOML: settings, then rows as in the paper. parse_table reads it."""
    lines = [f"{key} = {value}" for key, value in _settings(table)]
    columns = _columns(table)
    short = not set(columns) & set(ROW_OPTIONS)  # a row as a list has no others
    if short:
        while len(columns) > len(REQUIRED) and all(_is_default(row, columns[-1]) for row in table.rows):
            columns = columns[:-1]
    lines += ["rows = [", *([f"#  {', '.join(columns)}"] if short else [])]
    for row in table.rows:
        cells = [(column, getattr(row, column)) for column in columns]
        if short:
            lines.append(f"  [{', '.join(_toml(value) for _, value in cells)}],")
        else:
            kept = (f"{name} = {_toml(v)}" for name, v in cells if not _is_default(row, name))
            lines.append(f"  {{ {', '.join(kept)} }},")
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
