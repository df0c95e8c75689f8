"""mnv3prof: what every row of a MobileNetV3 layer table must cost, exactly.

    import mnv3prof

    table = mnv3prof.vary(mnv3prof.read_table("large"), width=0.75)
    graph = mnv3prof.expand(table, 224)
    costs = mnv3prof.count(graph)
    print(mnv3prof.total(costs).macs)              # 154560624
    print(mnv3prof.frame(mnv3prof.subtotals(graph, costs)))

Names are loaded when first used: only `build` and `parts` load torch, only `frame` loads pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .arch.files import read_table
    from .arch.layers import expand
    from .arch.table import InputError, Row, Table
    from .arch.variants import vary
    from .cost.counts import count, subtotals, total
    from .cost.memory import arena, peaks
    from .model.network import build, parts
    from .show.frames import frame

__all__ = [
    "InputError", "Row", "Table", "arena", "build", "count", "expand", "frame", "parts", "peaks",
    "read_table", "subtotals", "total", "vary",
]  # fmt: skip

_HOMES: Final = {
    "InputError": ".arch.table",
    "Row": ".arch.table",
    "Table": ".arch.table",
    "arena": ".cost.memory",
    "build": ".model.network",
    "count": ".cost.counts",
    "expand": ".arch.layers",
    "frame": ".show.frames",
    "parts": ".model.network",
    "peaks": ".cost.memory",
    "read_table": ".arch.files",
    "subtotals": ".cost.counts",
    "total": ".cost.counts",
    "vary": ".arch.variants",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
