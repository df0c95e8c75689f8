"""Parse budgets: macs = "220M", latency.litert = "+5%", ..."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec.structs import replace

from ..cost.counts import DTYPE_BYTES, Dtype
from ..graph.errors import InputError, about, one_of, quote, quote_as_written, suggestion
from ..graph.parts import NET
from .figures import LATENCY, NAMES, split_name, unit_of
from .units import parse_bytes, parse_change, parse_count, parse_seconds

Level = Literal["error", "warn"]

_GROUPS: Final = ("peak.", LATENCY)
"""Names of several limits, and of none by themselves."""
KNOWN_NAMES: Final = (*NAMES, f"{LATENCY}BACKEND", "METRIC.PART")
_KEYS: Final = ("limit", "level", "dtype")
_PARSERS: Final = {"count": parse_count, "bytes": parse_bytes, "seconds": parse_seconds}


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A limit for one metric of the network or a part.

    name: the metric, then the part unless it is the whole network: "macs", "macs.head", "latency.litert.12".
    written: the limit as text. limit: its value in the metric's unit; None for a relative limit. change:
    relative limit, as a fraction of the baseline's value. level: severity if it is exceeded. dtype: the
    dtype that it is for; None for all measured ones.
    """

    name: str
    written: str
    limit: int | float | None = None
    change: Fraction | None = None
    level: Level = "error"
    dtype: Dtype | None = None

    @property
    def metric(self) -> str:
        """The metric: one of NAMES, or "latency.BACKEND"."""
        return split_name(self.name)[0]

    @property
    def part(self) -> str:
        """The part of the network."""
        return split_name(self.name)[1]


def budgets_from(
    document: Mapping[str, Any],
    where: str,
    backend_of: Callable[[str], str],
    names: Sequence[str] = KNOWN_NAMES,
) -> tuple[Budget, ...]:
    """Return the budgets in a decoded TOML table. Raises InputError about `where`.

    Each is a limit, a table { limit, level, dtype }, or a list of these. backend_of: returns the name of
    a backend for its name or alias; raises InputError for an unknown one. names: what a message about an
    unknown budget names.
    """
    budgets: list[Budget] = []
    for name, value in _flat(document):
        known = _known(name, where, backend_of, names)
        for item in value if isinstance(value, list) else [value]:
            budgets.append(_budget(known, item, f"{where}, budget {name}"))
    if not budgets:
        raise InputError(f"{where}: holds no budget; expected {', '.join(names)}")
    return tuple(budgets)


def _flat(document: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield dotted names such as peak.fused and macs.head, which TOML nests, with their values."""
    pending = list(document.items())[::-1]
    while pending:
        name, value = pending.pop()
        group = isinstance(value, Mapping) and not value.keys() & {*_KEYS}
        if group and (value or f"{name}." in _GROUPS):
            pending += [(f"{name}.{rest}", each) for rest, each in value.items()][::-1]
        else:
            yield name, value


def _known(name: str, where: str, backend_of: Callable[[str], str], names: Sequence[str]) -> str:
    """Return the budget's name, with the backend's alias resolved. Raises InputError."""
    metric, part = split_name(name)
    if metric == "arena" and part != NET:
        raise InputError(f"{where}: {quote(name)} is not allowed; the arena is of the whole network")
    if metric in NAMES:
        return name
    if not name.startswith(LATENCY):
        raise InputError(f"{where}: the budget {quote(name)} is unknown; {suggestion(name, names)}")
    with about(f"{where}, budget {quote(name)}"):
        metric = LATENCY + backend_of(metric.removeprefix(LATENCY))
    return metric if part == NET else f"{metric}.{part}"


def _budget(name: str, value: Any, where: str) -> Budget:
    table = value if isinstance(value, Mapping) else {"limit": value}
    for key in table:
        if key not in _KEYS:
            raise InputError(f"{where}: the key {quote(key)} is unknown; {suggestion(key, _KEYS)}")
    if "limit" not in table:
        raise InputError(f"{where}: the key limit is missing; expected a limit, or a table with one")
    level, dtype = table.get("level", "error"), table.get("dtype")
    one_of(level, get_args(Level), f"{where}: level")
    if dtype is not None:
        one_of(dtype, DTYPE_BYTES, f"{where}: dtype")
    return _limited(Budget(name=name, written=_text(table["limit"]), level=level, dtype=dtype), where)


def _limited(budget: Budget, where: str) -> Budget:
    unit = unit_of(budget.metric)
    if not budget.written.startswith(("+", "-")):
        return replace(budget, limit=_PARSERS[unit](budget.written, where))
    if not budget.written.endswith("%"):
        raise InputError(
            f"{where}: {quote(budget.written)} is not allowed; expected a limit without a sign, or a change "
            "such as +5%"
        )
    change = parse_change(budget.written, where)
    if unit == "seconds" and change < 0:
        raise InputError(f"{where}: {budget.written} is not allowed; expected +0% or more for a latency")
    return replace(budget, change=change)


def _text(value: Any) -> str:
    """Return the limit as text; TOML may have an integer."""
    return value.strip() if isinstance(value, str) else quote_as_written(value)
