"""Tables in TOML, CSV and JSON, and the presets; every error with its file, row and column."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from ..graph.errors import InputError, shown, suggestion
from ..graph.ops import OPS
from .table import ACTIVATIONS, MAX_ROWS, ROW_RULES, TABLE_RULES, Row, Table, row_count_problem

PRESETS: Final = ("large", "small", "large-minimal", "small-minimal")
PRESET_ALIASES: Final = {"mobilenet_v3_large": "large", "mobilenet_v3_small": "small"}
"""torchvision's names."""

MAX_TABLE_BYTES: Final = 2**18
"""Of a table, or of budgets; 1,000 rows take about 100,000."""
_BARE, _SPACE = "[A-Za-z0-9_-]", "[ \\t]*"
_KEY: Final = f"(?:{_BARE}+|\"[^\"\\n]*\"|'[^'\\n]*')"
_LONG_KEY: Final = re.compile(rf"(?<!{_BARE}){_KEY}(?:{_SPACE}\.{_SPACE}{_KEY}){{32}}")
"""Tables and budgets need 4 parts. tomllib takes time and memory by the square of their number."""

_CELL: Final = re.compile(r"[,;](?=\s*[=+@＝＋－＠-])")
"""Where a comment would begin another cell of a spreadsheet, with a formula in it."""

_COLUMNS = tuple(ROW_RULES)
_REQUIRED = _COLUMNS[:6]
_KEYS = (*TABLE_RULES, "rows")


def _plain(name: str) -> str:
    """An activation's name without what people write differently: hard_swish, Hardswish, hard-swish."""
    return name.strip().lower().replace("_", "").replace("-", "")


_ALIASES: Final = {
    _plain(name): op.code for op in OPS.values() if op.code for name in (op.code, op.name, *op.aliases)
}
_YES = {"true", "yes", "1", "✓"}
_NO = {"false", "no", "0", "-"}


@cache
def preset(name: str) -> Table:
    """The table of the preset called `name`, one of PRESETS."""
    path = Path(__file__).parent / "presets" / f"{name}.toml"
    return parse_table(path.read_bytes(), ".toml", path.name, name)


def parse_table(data: bytes, suffix: str, where: str, name: str) -> Table:
    """The table in the bytes of a file. Raises InputError, with the row and the column, about `where`.

    suffix: ".toml", ".csv" or ".json", which may be a document that holds a table. name: the table's,
    where it gives none.
    """
    if len(data) > MAX_TABLE_BYTES:
        raise InputError(f"{where}: is too large for a table; at most {MAX_TABLE_BYTES:,} bytes are read")
    try:
        document = _PARSERS[suffix](data.decode("utf-8-sig"), where)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{where}, line {line}: the bytes are not UTF-8; save the file as UTF-8") from None
    except RecursionError:
        raise InputError(f"{where}: is nested too deeply to be a table") from None
    return table_from({"name": name, **document}, where)


def to_csv(table: Table) -> str:
    """`table` as CSV that parse_table reads: settings as comments, then its rows under a header."""
    import csv
    from io import StringIO

    out = StringIO()
    for field in msgspec.structs.fields(table):
        value = getattr(table, field.name)
        if field.name != "rows" and value is not None and value != field.default:
            text = msgspec.json.encode(value).decode()
            text = _CELL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
            out.write(f"# {field.name} = {text}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in table.rows:
        cells = (getattr(row, column) for column in _COLUMNS)
        writer.writerow("yes" if cell is True else "no" if cell is False else cell for cell in cells)
    return out.getvalue()


def activation_code(name: str, what: str = "activation") -> str:
    """The table's code ("RE", "HS", ...) of an activation named by code or by operation.

    Raises InputError about `what`.
    """
    code = _ALIASES.get(_plain(name)) if isinstance(name, str) else None
    if code is None:
        allowed = ", ".join(f"{code} ({op})" for code, op in ACTIVATIONS.items())
        raise InputError(f"{what}: {shown(name)} is not allowed; allowed are {allowed}")
    return code


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The document in a text of at most MAX_TABLE_BYTES. Raises InputError about `where`."""
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
    """Rows under a header; lines `# key = value` above it set the table's other keys, as TOML."""
    import csv

    lines = text.splitlines()
    above = ("#", '"#')  # and lines that a spreadsheet left empty
    rest = (n for n, line in enumerate(lines) if line.strip(",;\t ") and not line.startswith(above))
    start = next(rest, len(lines))
    settings = "\n".join(map(_setting, lines[:start]))
    body = lines[start:]
    delimiter = max(",;\t", key=body[0].count) if body else ","
    try:
        reader = csv.reader(body, delimiter=delimiter, skipinitialspace=True, strict=True)
        cells = [[cell.strip() for cell in record] for record in reader]
    except csv.Error as error:
        raise InputError(f"{where}: is not valid CSV: {error}") from None
    records = [record for record in cells if any(record)]
    if not records:
        header = ",".join(_REQUIRED)
        raise InputError(f"{where}: is empty; a table in CSV begins with the header {header}")
    used = max(n for record in records for n, cell in enumerate(record, 1) if cell)
    _few(records[1:], where)
    columns = [name.lower() for name in records[0][:used]]
    _complete(columns, f"{where}, header")
    rows = []
    for number, whole in enumerate(records[1:], 1):
        record = whole[:used]  # a spreadsheet fills up with empty cells
        if len(record) != len(columns):
            counts = f"has {len(record)} cells where the header has {len(columns)}"
            raise InputError(f"{where}, row {number}: {counts}")
        rows.append({name: _cell(name, cell) for name, cell in zip(columns, record, strict=True)})
    return {**parse_toml(settings, where), "rows": rows}


def _setting(line: str) -> str:
    """The `key = value` of a comment, also after a spreadsheet has quoted it and filled it up."""
    text = line.rstrip(",;\t ")
    if text.startswith('"'):
        text = text[1:].removesuffix('"').replace('""', '"')
    return text.lstrip("# ") if "=" in text else ""


_PARSERS = {".toml": parse_toml, ".csv": _from_csv, ".json": _from_json}


def _cell(column: str, text: str) -> object:
    if column in ("se", "identity"):
        return True if text.lower() in _YES else False if text.lower() in _NO else text
    whole = re.fullmatch(r"([+-]?[0-9]{1,30})(\.0+)?", text)  # a spreadsheet writes 16 as 16.0
    return int(whole[1]) if whole and column != "activation" else text


def table_from(document: Mapping[str, Any], where: str) -> Table:
    """The table that `document`, a decoded file, holds. Raises InputError about `where`."""
    for key in document:
        if key not in _KEYS:
            raise InputError(f"{where}: the key {shown(key)} is unknown; {suggestion(key, _KEYS)}")
    rows = document.get("rows")
    if not isinstance(rows, list):
        found = f"is {shown(rows)}" if "rows" in document else "is missing"
        raise InputError(f"{where}: the key rows {found}; allowed is a list of rows")
    _few(rows, where)
    values = {**document, "rows": tuple(_row(row, f"{where}, row {n}") for n, row in enumerate(rows, 1))}
    try:
        for key in ("stem_activation", "head_activation"):
            if isinstance(values.get(key), str):
                values[key] = activation_code(values[key], key)
        return Table(**values)
    except InputError as error:
        raise InputError(f"{where}, key {error}") from None


def _few(rows: Sequence[object], where: str) -> None:
    """Raises InputError for more rows than a table has, before time is spent on each."""
    if len(rows) > MAX_ROWS:
        raise InputError(f"{where}, key {row_count_problem(len(rows))}")


def _row(row: object, where: str) -> Row:
    if isinstance(row, list):
        if not len(_REQUIRED) <= len(row) <= len(_COLUMNS):
            form = f"[{', '.join(_REQUIRED)}] and, where wanted, dilation and identity"
            raise InputError(f"{where}: has {len(row)} values; a row is {form}")
        cells: dict[str, Any] = dict(zip(_COLUMNS, row, strict=False))
    elif isinstance(row, dict):
        _complete([name.lower() for name in row], where)
        cells = {name.lower(): value for name, value in row.items()}
    else:
        raise InputError(f"{where}: {shown(row)} is no row; allowed is a list of values")
    try:
        if isinstance(cells["activation"], str):
            cells["activation"] = activation_code(cells["activation"])
        return Row(**cells)
    except InputError as error:
        raise InputError(f"{where}, column {error}") from None


def _complete(columns: Sequence[str], where: str) -> None:
    """Raises InputError unless every column is known, there once, and none is missing."""
    for name in columns:
        if name not in _COLUMNS:
            raise InputError(f"{where}: the column {shown(name)} is unknown; {suggestion(name, _COLUMNS)}")
        if columns.count(name) > 1:
            raise InputError(f"{where}: the column {name} is there twice; allowed is once")
    for name in _REQUIRED:
        if name not in columns:
            raise InputError(f"{where}: the column {name} is missing; needed are {', '.join(_REQUIRED)}")
