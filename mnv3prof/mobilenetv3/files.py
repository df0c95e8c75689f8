"""Read and write tables in TOML, CSV and JSON; errors name file, row and column."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from ..graph.errors import InputError, quote, suggestion
from ..graph.ops import OPS
from .table import ACTIVATIONS, MAX_ROWS, ROW_RULES, TABLE_RULES, Row, Table, row_count_problem

PRESETS: Final = ("large", "small", "large-minimal", "small-minimal")
PRESET_ALIASES: Final = {"mobilenet_v3_large": "large", "mobilenet_v3_small": "small"}
"""torchvision's names."""

MAX_TABLE_BYTES: Final = 2**18
"""Size limit of a file of a table or budgets; 1,000 rows take about 100,000 bytes."""
_BARE, _SPACE = "[A-Za-z0-9_-]", "[ \\t]*"
_KEY: Final = f"(?:{_BARE}+|\"[^\"\\n]*\"|'[^'\\n]*')"
_LONG_KEY: Final = re.compile(rf"(?<!{_BARE}){_KEY}(?:{_SPACE}\.{_SPACE}{_KEY}){{32}}")
"""More than 32 parts; tables and budgets need 4. tomllib's time and memory grow with their square."""

_FORMULA: Final = re.compile(r"[,;](?=\s*[=+@＝＋－＠-])")
"""A delimiter in a comment that a spreadsheet would take for the start of a cell with a formula."""

_COLUMNS = tuple(ROW_RULES)
_REQUIRED = _COLUMNS[:6]
_KEYS = (*TABLE_RULES, "rows")


def _normalised(name: str) -> str:
    """Make hard_swish, Hardswish and hard-swish equal."""
    return name.strip().lower().replace("_", "").replace("-", "")


_ALIASES: Final = {
    _normalised(name): op.code for op in OPS.values() if op.code for name in (op.code, op.name, *op.aliases)
}
_YES = {"true", "yes", "1", "✓"}
_NO = {"false", "no", "0", "-"}


@cache
def preset(name: str) -> Table:
    """Return the table of a preset. name: one of PRESETS."""
    path = Path(__file__).parent / "presets" / f"{name}.toml"
    return parse_table(path.read_bytes(), ".toml", path.name, name)


def parse_table(data: bytes, suffix: str, where: str, name: str) -> Table:
    """Parse the table in the bytes of a file. Raises InputError about `where`, row and column.

    suffix: ".toml", ".csv" or ".json" (a table, or a document with the key "table"). name: the table's
    name if the file has none.
    """
    if len(data) > MAX_TABLE_BYTES:
        raise InputError(f"{where}: is too large for a table; expected at most {MAX_TABLE_BYTES:,} bytes")
    try:
        document = _PARSERS[suffix](data.decode("utf-8-sig"), where)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{where}, line {line}: the bytes are not UTF-8; save the file as UTF-8") from None
    except RecursionError:
        raise InputError(f"{where}: is nested too deeply for a table") from None
    return table_from({"name": name, **document}, where)


def to_csv(table: Table) -> str:
    """Format `table` as CSV: settings as comments, a header, rows. parse_table reads it."""
    import csv
    from io import StringIO

    out = StringIO()
    for field in msgspec.structs.fields(table):
        value = getattr(table, field.name)
        if field.name != "rows" and value is not None and value != field.default:
            text = msgspec.json.encode(value).decode()
            text = _FORMULA.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
            out.write(f"# {field.name} = {text}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in table.rows:
        cells = (getattr(row, column) for column in _COLUMNS)
        writer.writerow("yes" if cell is True else "no" if cell is False else cell for cell in cells)
    return out.getvalue()


def activation_code(name: str, what: str = "activation") -> str:
    """Return the code ("RE", "HS", ...) of an activation. Raises InputError about `what`.

    name: a code, an operation or an alias, e.g. "HS", "hardswish", "h-swish".
    """
    code = _ALIASES.get(_normalised(name)) if isinstance(name, str) else None
    if code is None:
        expected = ", ".join(f"{code} ({op})" for code, op in ACTIVATIONS.items())
        raise InputError(f"{what}: {quote(name)} is not allowed; expected {expected}")
    return code


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse a TOML document of at most MAX_TABLE_BYTES. Raises InputError about `where`."""
    import tomllib

    if long := _LONG_KEY.search(text):
        line = text.count("\n", 0, long.start()) + 1
        raise InputError(f"{where}, line {line}: a key of more than 32 parts; expected at most 4")
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: is not valid TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{where}: is nested too deeply") from None


def _from_json(text: str, where: str) -> Mapping[str, Any]:
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InputError(f"{where}: is not valid JSON: {error}") from None
    if isinstance(document, dict) and isinstance(document.get("table"), dict):
        document = document["table"]
    if not isinstance(document, dict):
        raise InputError(f"{where}: holds no table; expected an object with the key rows")
    return document


def _from_csv(text: str, where: str) -> Mapping[str, Any]:
    """Parse rows under a header; lines `# key = value` above it are TOML for the other keys."""
    import csv

    lines = text.splitlines()
    # Comments, which a spreadsheet may have quoted, and empty lines come before the header.
    rest = (n for n, line in enumerate(lines) if line.strip(",;\t ") and not line.startswith(("#", '"#')))
    start = next(rest, len(lines))
    settings = "\n".join(map(_setting, lines[:start]))
    body = lines[start:]
    delimiter = max(",;\t", key=body[0].count) if body else ","
    try:
        reader = csv.reader(body, delimiter=delimiter, skipinitialspace=True, strict=True)
        stripped = [[cell.strip() for cell in record] for record in reader]
    except csv.Error as error:
        raise InputError(f"{where}: is not valid CSV: {error}") from None
    records = [record for record in stripped if any(record)]
    if not records:
        header = ",".join(_REQUIRED)
        raise InputError(f"{where}: is empty; expected the header {header}")
    used = max(n for record in records for n, cell in enumerate(record, 1) if cell)
    _check_row_count(records[1:], where)
    columns = [name.lower() for name in records[0][:used]]
    _check_columns(columns, f"{where}, header")
    rows = []
    for number, record in enumerate(records[1:], 1):
        cells = record[:used]  # spreadsheets append empty cells
        if len(cells) != len(columns):
            counts = f"has {len(cells)} cells; expected {len(columns)}, as in the header"
            raise InputError(f"{where}, row {number}: {counts}")
        rows.append({name: _cell(name, cell) for name, cell in zip(columns, cells, strict=True)})
    return {**parse_toml(settings, where), "rows": rows}


def _setting(line: str) -> str:
    """Return the `key = value` of a comment, without quotes and delimiters of a spreadsheet."""
    text = line.rstrip(",;\t ")
    if text.startswith('"'):
        text = text[1:].removesuffix('"').replace('""', '"')
    return text.lstrip("# ") if "=" in text else ""


_PARSERS = {".toml": parse_toml, ".csv": _from_csv, ".json": _from_json}


def _cell(column: str, text: str) -> object:
    if column in ("se", "identity"):
        return True if text.lower() in _YES else False if text.lower() in _NO else text
    integer = re.fullmatch(r"([+-]?[0-9]{1,30})(\.0+)?", text)  # spreadsheets may write 16 as 16.0
    return int(integer[1]) if integer and column != "activation" else text


def table_from(document: Mapping[str, Any], where: str) -> Table:
    """Return the table in `document`, a decoded file. Raises InputError about `where`."""
    for key in document:
        if key not in _KEYS:
            raise InputError(f"{where}: the key {quote(key)} is unknown; {suggestion(key, _KEYS)}")
    rows = document.get("rows")
    if not isinstance(rows, list):
        problem = f"is {quote(rows)}" if "rows" in document else "is missing"
        raise InputError(f"{where}: the key rows {problem}; expected a list of rows")
    _check_row_count(rows, where)
    values = {**document, "rows": tuple(_row(row, f"{where}, row {n}") for n, row in enumerate(rows, 1))}
    try:
        for key in ("stem_activation", "head_activation"):
            if isinstance(values.get(key), str):
                values[key] = activation_code(values[key], key)
        return Table(**values)
    except InputError as error:
        raise InputError(f"{where}, key {error}") from None


def _check_row_count(rows: Sequence[object], where: str) -> None:
    """Raise InputError for too many rows, before they are parsed."""
    if len(rows) > MAX_ROWS:
        raise InputError(f"{where}, key {row_count_problem(len(rows))}")


def _row(row: object, where: str) -> Row:
    if isinstance(row, list):
        if not len(_REQUIRED) <= len(row) <= len(_COLUMNS):
            expected = f"[{', '.join(_REQUIRED)}], optionally with dilation and identity"
            raise InputError(f"{where}: has {len(row)} values; expected {expected}")
        cells: dict[str, Any] = dict(zip(_COLUMNS, row, strict=False))
    elif isinstance(row, dict):
        _check_columns([name.lower() for name in row], where)
        cells = {name.lower(): value for name, value in row.items()}
    else:
        raise InputError(f"{where}: {quote(row)} is not a row; expected a list of values")
    try:
        if isinstance(cells["activation"], str):
            cells["activation"] = activation_code(cells["activation"])
        return Row(**cells)
    except InputError as error:
        raise InputError(f"{where}, column {error}") from None


def _check_columns(columns: Sequence[str], where: str) -> None:
    """Raise InputError for unknown, duplicate or missing columns."""
    for name in columns:
        if name not in _COLUMNS:
            raise InputError(f"{where}: the column {quote(name)} is unknown; {suggestion(name, _COLUMNS)}")
        if columns.count(name) > 1:
            raise InputError(f"{where}: the column {name} is there twice; expected once")
    for name in _REQUIRED:
        if name not in columns:
            raise InputError(f"{where}: the column {name} is missing; expected {', '.join(_REQUIRED)}")
