"""Parse tables in TOML, CSV and JSON; errors name file, row and column."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from ..graph.errors import InputError, quote
from .cells import COLUMNS, REQUIRED, check_columns, check_row_count, table_from
from .table import Table

PRESETS: Final = (
    "large",
    "small",
    "large-minimal",
    "small-minimal",
    "mobilenetv2",
    "mnasnet-a1",
    "mnasnet-b1",
    "mnasnet-small",
    "efficientnet-lite0",
    "mobilenet-edgetpu",
    "lcnet",
    "tinynet-e",
    "fbnetv3-b",
)
PRESET_ALIASES: Final = {
    "mobilenet_v3_large": "large",
    "mobilenet_v3_small": "small",
    "mobilenet_v2": "mobilenetv2",
    "semnasnet_100": "mnasnet-a1",
    "mnasnet_100": "mnasnet-b1",
    "mnasnet_small": "mnasnet-small",
    "tf_efficientnet_lite0": "efficientnet-lite0",
    "mobilenet_edgetpu_100": "mobilenet-edgetpu",
    "lcnet_100": "lcnet",
    "tinynet_e": "tinynet-e",
    "fbnetv3_b": "fbnetv3-b",
}
"""torchvision's and timm's names."""

MAX_TABLE_BYTES: Final = 2**19
"""Size limit of a file of a table or budgets; 1,000 rows with every option take about 420,000 bytes."""
_BARE, _SPACE = "[A-Za-z0-9_-]", "[ \\t]*"
_KEY: Final = f"(?:{_BARE}+|\"[^\"\\n]*\"|'[^'\\n]*')"
_LONG_KEY: Final = re.compile(rf"(?<!{_BARE}){_KEY}(?:{_SPACE}\.{_SPACE}{_KEY}){{32}}")
"""More than 32 parts; tables and budgets need 4. tomllib's time and memory grow with their square."""

_ALWAYS: Final = len(REQUIRED) + 2
"""Columns whose cells cannot be empty; an empty cell of another column is the table's own value."""
_BOOLEANS: Final = ("se", "identity", "expand_conv", "conv_bias", "se_bias")
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
    require_unique_keys(text, where)
    if isinstance(document, dict) and isinstance(document.get("table"), dict):
        document = document["table"]
    if not isinstance(document, dict):
        raise InputError(f"{where}: holds no table; expected an object with the key rows")
    return document


def require_unique_keys(text: str | bytes, where: str) -> None:
    """Raise InputError about `where` for a key that an object of a JSON document has twice."""
    import json

    def unique(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InputError(f"{where}: the key {quote(key)} is there twice; expected once")
            seen.add(key)

    try:
        json.loads(text, object_pairs_hook=unique, parse_int=str)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is not valid JSON: {error}") from None


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
        header = ",".join(REQUIRED)
        raise InputError(f"{where}: is empty; expected the header {header}")
    used = max(n for record in records for n, cell in enumerate(record, 1) if cell)
    check_row_count(records[1:], where)
    columns = [name.lower() for name in records[0][:used]]
    check_columns(columns, f"{where}, header")
    rows = []
    for number, record in enumerate(records[1:], 1):
        cells = record[:used]  # spreadsheets append empty cells
        if len(cells) != len(columns):
            counts = f"has {len(cells)} cells; expected {len(columns)}, as in the header"
            raise InputError(f"{where}, row {number}: {counts}")
        named = zip(columns, cells, strict=True)
        rows.append({name: _cell(name, cell) for name, cell in named if cell or name in COLUMNS[:_ALWAYS]})
    return {**parse_toml(settings, where), "rows": rows}


def _setting(line: str) -> str:
    """Return the `key = value` of a comment, without quotes and delimiters of a spreadsheet.

    "" for a comment of another form, which is for people.
    """
    text = line.rstrip(",;\t ")
    if text.startswith('"'):
        text = text[1:].removesuffix('"').replace('""', '"')
    return text.lstrip("# ") if _SETTING.match(text) else ""


_SETTING: Final = re.compile(r"#\s*[A-Za-z_-]+\s*=")

_PARSERS = {".toml": parse_toml, ".csv": _from_csv, ".json": _from_json}


def _cell(column: str, text: str) -> object:
    if column == "stride" and (pair := re.fullmatch(r"([0-9]{1,9})\s*[x×]\s*([0-9]{1,9})", text)):
        return [int(side) for side in pair.groups()]
    integer = re.fullmatch(r"([+-]?[0-9]{1,30})(\.0+)?", text)  # spreadsheets may write 16 as 16.0
    if column in _BOOLEANS:
        number = column == "se" and integer and integer[1] not in ("0", "1")
        known = True if text.lower() in _YES else False if text.lower() in _NO else text
        return int(integer[1]) if number and integer else known
    return int(integer[1]) if integer and "activation" not in column else text
