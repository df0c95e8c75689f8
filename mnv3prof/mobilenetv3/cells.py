"""Tables from decoded documents: their keys, rows and short forms."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from ..graph.errors import InputError, any_of, quote, quote_as_written, suggestion
from ..graph.ops import OPS, Op
from .fields import ACTIVATIONS, CHANNELS, HEAD_RULES, LAST_RULES, MAX_ROWS, NONE, ROW_RULES, SeGate
from .table import TABLE_RULES, HeadConv, LastLayer, Row, Table, row_count_problem

COLUMNS: Final = tuple(ROW_RULES)
REQUIRED: Final = COLUMNS[:6]
_LISTED: Final = COLUMNS[:8]
"""Columns of a row that is a list."""
_KEYS = (*TABLE_RULES, "rows")
_LAYERS: Final = {"head": (HeadConv, HEAD_RULES), "last": (LastLayer, LAST_RULES)}


def _normalized(name: str) -> str:
    """Make hard_swish, nn.Hardswish and hard-swish equal."""
    return name.strip().lower().replace("_", "").replace("-", "").rpartition(".")[2]


def _names(*ops: Op) -> dict[str, Op]:
    return {_normalized(name): op for op in ops for name in (op.code or op.name, op.name, *op.aliases)}


_CODED: Final = _names(*(op for op in OPS.values() if op.code))
_GATES: Final = _names(*(OPS[name] for name in get_args(SeGate)))
_NOTHING: Final = (NONE, "identity", "linear")


def activation_code(name: str, what: str = "activation", *, optional: bool = False) -> str:
    """Return the code ("RE", "HS", ...) of an activation. Raises InputError about `what`.

    name: a code, an operation or an alias, e.g. "HS", "hardswish", "h_swish". optional: it may be "none".
    """
    known = _normalized(name) if isinstance(name, str) else ""
    if optional and known in _NOTHING:
        return NONE
    if known not in _CODED:
        codes = [f"{code} ({op})" for code, op in ACTIVATIONS.items()]
        expected = any_of([*codes, NONE] if optional else codes)
        raise InputError(f"{what}: {quote(name)} is not allowed; expected {expected}")
    return _CODED[known].code


def table_from(document: Mapping[str, Any], where: str) -> Table:
    """Return the table in `document`, a decoded file. Raises InputError about `where`."""
    for key in document:
        if key not in _KEYS:
            raise InputError(f"{where}: the key {quote(key)} is unknown; {suggestion(key, _KEYS)}")
    rows = document.get("rows")
    if not isinstance(rows, list):
        problem = f"is {quote_as_written(rows)}" if "rows" in document else "is missing"
        raise InputError(f"{where}: the key rows {problem}; expected a list of rows")
    check_row_count(rows, where)
    values = {**document, "rows": tuple(_row(row, f"{where}, row {n}") for n, row in enumerate(rows, 1))}
    try:
        return Table(**{key: cell_value(key, value) for key, value in values.items()})
    except InputError as error:
        raise InputError(f"{where}, key {error}") from None


def check_row_count(rows: Sequence[object], where: str) -> None:
    """Raise InputError for too many rows, before they are parsed."""
    if len(rows) > MAX_ROWS:
        raise InputError(f"{where}, key {row_count_problem(len(rows))}")


def _row(row: object, where: str) -> Row:
    if isinstance(row, list):
        if not len(REQUIRED) <= len(row) <= len(_LISTED):
            expected = (
                f"[{', '.join(REQUIRED)}], optionally with dilation and identity, or a table of columns"
            )
            raise InputError(f"{where}: has {len(row)} values; expected {expected}")
        cells: dict[str, Any] = dict(zip(_LISTED, row, strict=False))
    elif isinstance(row, dict):
        check_columns([name.lower() for name in row], where)
        cells = {name.lower(): value for name, value in row.items()}
    else:
        raise InputError(f"{where}: {quote_as_written(row)} is not a row; expected a list of values")
    try:
        return Row(**{column: cell_value(column, cell) for column, cell in cells.items()})
    except InputError as error:
        raise InputError(f"{where}, column {error}") from None


def check_columns(columns: Sequence[str], where: str) -> None:
    """Raise InputError for unknown, duplicate or missing columns."""
    for name in columns:
        if name not in COLUMNS:
            raise InputError(f"{where}: the column {quote(name)} is unknown; {suggestion(name, COLUMNS)}")
        if columns.count(name) > 1:
            raise InputError(f"{where}: the column {name} is there twice; expected once")
    for name in REQUIRED:
        if name not in columns:
            raise InputError(f"{where}: the column {name} is missing; expected {', '.join(REQUIRED)}")


def cell_value(key: str, value: object) -> Any:
    """Return the value of a key or column in the form in which a Table holds it. Raises InputError."""
    if isinstance(value, str):
        if key in ("activation", "stem_activation", "head_activation"):
            return activation_code(value, key)
        if key == "project_activation":
            return activation_code(value, key, optional=True)
        if key in ("se_activation", "se_gate"):
            known = (_CODED if key == "se_activation" else _GATES).get(_normalized(value))
            return known.name if known else value
    if key in ("stride", "stem_stride") and isinstance(value, list):
        return value[0] if len(value) == 2 and _equal(*value) else tuple(value)
    if key in _LAYERS and isinstance(value, list):
        return tuple(_layer(each, key, f"{key}, layer {n}") for n, each in enumerate(value, 1))
    return tuple(value) if key == "stages" and isinstance(value, list) else value


def _equal(height: object, width: object) -> bool:
    return type(height) is type(width) is int and height == width


def _layer(given: object, key: str, where: str) -> object:
    """Return an entry of `head` or `last`: a width, or its layer. Raises InputError."""
    layer, rules = _LAYERS[key]
    if CHANNELS.accepts(given):
        return given
    if not isinstance(given, dict):
        expected = f"{CHANNELS.expected}, or a table of {', '.join(rules)}"
        raise InputError(f"{where}: {quote_as_written(given)} is not allowed; expected {expected}")
    for name in given:
        if name not in rules:
            raise InputError(f"{where}: the key {quote(name)} is unknown; {suggestion(name, tuple(rules))}")
    if "out" not in given:
        raise InputError(f"{where}: the key out is missing; expected {', '.join(rules)}")
    activation = given.get("activation")
    if isinstance(activation, str):
        activation = activation_code(activation, f"{where}: activation", optional=True)
    try:
        return layer(**{**given, "activation": activation})
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
