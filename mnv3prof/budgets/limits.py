"""Budgets as a project writes them down: macs = "220M", latency.litert = "+5%", ..."""

from collections.abc import Callable, Collection, Iterable, Mapping
from fractions import Fraction
from typing import Any, Final, Literal, get_args

import msgspec

from ..cost.counts import DTYPE_BYTES, Dtype
from ..graph.errors import InputError, shown, suggestion
from .figures import LATENCY, NAMES, unit_of
from .units import parse_bytes, parse_change, parse_count, parse_seconds

Level = Literal["error", "warn"]

_NAMES: Final = (*NAMES, f"{LATENCY}BACKEND")
_KEYS: Final = ("limit", "level", "dtype")
_PARSERS: Final = {"count": parse_count, "bytes": parse_bytes, "seconds": parse_seconds}


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A limit for one figure.

    written: as the project wrote the limit. limit: it, in the figure's unit; None where `change`
    is what a baseline's figure may change by, as a share of it. level: what a breach is. dtype:
    for which type it holds; None for the type that was measured.
    """

    name: str
    written: str
    limit: int | float | None = None
    change: Fraction | None = None
    level: Level = "error"
    dtype: Dtype | None = None


def budgets_from(
    document: Mapping[str, Any], where: str, backend_of: Callable[[str], str]
) -> tuple[Budget, ...]:  # fmt: skip
    """The budgets in a decoded TOML table. Raises InputError about `where`.

    Each is a limit, a table { limit, level, dtype }, or a list of those. backend_of: the name of the
    backend called so; raises InputError for one that is not known.
    """
    found: list[Budget] = []
    for name, value in _flat(document):
        known = _known(name, where, backend_of)
        for item in value if isinstance(value, list) else [value]:
            found.append(_budget(known, item, f"{where}, budget {name}"))
    if not found:
        raise InputError(f"{where}: holds no budget; expected {', '.join(_NAMES)}")
    return tuple(found)


def _flat(document: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Names with dots, as TOML reads `peak.folded` and `latency.litert`."""
    for name, value in document.items():
        if f"{name}." in {"peak.", LATENCY} and isinstance(value, Mapping):
            yield from ((f"{name}.{rest}", each) for rest, each in value.items())
        else:
            yield name, value


def _known(name: str, where: str, backend_of: Callable[[str], str]) -> str:
    """The budget's name, with the backend's own in that of a latency."""
    if name in NAMES:
        return name
    if not name.startswith(LATENCY):
        raise InputError(f"{where}: the budget {shown(name)} is unknown; {suggestion(name, _NAMES)}")
    try:
        return LATENCY + backend_of(name.removeprefix(LATENCY))
    except InputError as error:
        raise InputError(f"{where}, budget {shown(name)}: {error}") from None


def _budget(name: str, value: Any, where: str) -> Budget:
    table = value if isinstance(value, Mapping) else {"limit": value}
    for key in table:
        if key not in _KEYS:
            raise InputError(f"{where}: the key {shown(key)} is unknown; allowed are {', '.join(_KEYS)}")
    if "limit" not in table:
        raise InputError(f"{where}: the key limit is missing; allowed is a limit, or a table with one")
    level, dtype = table.get("level", "error"), table.get("dtype")
    _one_of(level, get_args(Level), f"{where}: level")
    if dtype is not None:
        _one_of(dtype, DTYPE_BYTES, f"{where}: dtype")
    return _limited(Budget(name=name, written=_text(table["limit"]), level=level, dtype=dtype), where)


def _limited(budget: Budget, where: str) -> Budget:
    unit = unit_of(budget.name)
    if not budget.written.startswith(("+", "-")):
        return msgspec.structs.replace(budget, limit=_PARSERS[unit](budget.written, where))
    change = parse_change(budget.written, where)
    if unit == "seconds" and change < 0:
        raise InputError(f"{where}: {budget.written} is not allowed; allowed for a time is +0% or more")
    return msgspec.structs.replace(budget, change=change)


def _one_of(value: Any, allowed: Collection[str], what: str) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{what}: {shown(value)} is not allowed; allowed are {', '.join(allowed)}")


def _text(value: Any) -> str:
    """The limit as text; an integer of TOML is one too."""
    return value.strip() if isinstance(value, str) else shown(value)
