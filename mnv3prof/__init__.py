"""Cost and memory of every block of a MobileNetV3 layer table, and its PyTorch module.

    import mnv3prof

    table = mnv3prof.vary(mnv3prof.read_table("large"), width=0.75)
    graph = mnv3prof.expand(table, 224)
    costs = mnv3prof.count(graph)
    print(mnv3prof.total(costs).macs)              # 154560624
    print(mnv3prof.frame(mnv3prof.subtotals(graph, costs)))

Names are imported at first use: only `build` and `parts` import torch, only `frame` imports pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .cost.counts import count, subtotals, total
    from .cost.memory import arena, peaks
    from .graph.errors import InputError
    from .mobilenetv3.expand import expand
    from .mobilenetv3.network import build, parts
    from .mobilenetv3.table import Row, Table
    from .mobilenetv3.variants import vary
    from .render.frames import frame
    from .source import read_table

__all__ = [
    "InputError",
    "Row",
    "Table",
    "arena",
    "build",
    "count",
    "expand",
    "frame",
    "parts",
    "peaks",
    "read_table",
    "subtotals",
    "total",
    "vary",
]

_HOMES: Final = {
    "InputError": ".graph.errors",
    "Row": ".mobilenetv3.table",
    "Table": ".mobilenetv3.table",
    "arena": ".cost.memory",
    "build": ".mobilenetv3.network",
    "count": ".cost.counts",
    "expand": ".mobilenetv3.expand",
    "frame": ".render.frames",
    "parts": ".mobilenetv3.network",
    "peaks": ".cost.memory",
    "read_table": ".source",
    "subtotals": ".cost.counts",
    "total": ".cost.counts",
    "vary": ".mobilenetv3.variants",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
