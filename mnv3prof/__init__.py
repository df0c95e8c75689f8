"""Cost, memory and latency of every block of a network, from its MobileNetV3 layer table.

    import mnv3prof

    net = mnv3prof.load("large", 224)
    costs = mnv3prof.count(net.graph)
    print(mnv3prof.total(costs).macs)              # 216589760
    print(mnv3prof.frame(mnv3prof.subtotals(net.graph, costs)))

Names are imported at first use: only `build`, `parts` and `measure` need torch, only `frame` imports pandas.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing takes milliseconds to import, and an interrupt meanwhile prints a traceback
if TYPE_CHECKING:
    from typing import Any, Final

    from .analysis.compare import Change
    from .bench.progress import Progress
    from .budgets.diff import Diff
    from .budgets.judge import Judgment
    from .cost.counts import Cost, Totals, count, subtotals, total
    from .cost.memory import Arena, Peak, Peaks, Placement, arena, peaks
    from .graph.errors import InputError
    from .graph.graph import Block, Geometry, Graph, Layer, Tensor
    from .interface.measuring import measure
    from .interface.networks import load, read_run, save
    from .interface.points import pareto, sweep
    from .interface.results import Check, Comparison, check, compare, diff, frame, report, tables
    from .mobilenetv3.expand import expand
    from .mobilenetv3.network import MobileNetV3, build, parts
    from .mobilenetv3.table import HeadConv, LastLayer, Row, Table
    from .mobilenetv3.variants import vary
    from .record.run import Host, Run, Subject
    from .record.target import Target
    from .record.timing import Timing
    from .render.sheet import Sheet, Sheets
    from .source import read_table

    __version__: str

__all__ = [
    "Arena",
    "Block",
    "Change",
    "Check",
    "Comparison",
    "Cost",
    "Diff",
    "Fit",
    "Found",
    "Geometry",
    "Graph",
    "HeadConv",
    "Host",
    "InputError",
    "Judgment",
    "LastLayer",
    "Layer",
    "MobileNetV3",
    "Peak",
    "Peaks",
    "Placement",
    "Progress",
    "Row",
    "Run",
    "Sheet",
    "Sheets",
    "Subject",
    "Table",
    "Target",
    "Tensor",
    "Timing",
    "Totals",
    "__version__",
    "arena",
    "build",
    "check",
    "compare",
    "count",
    "diff",
    "expand",
    "fit",
    "frame",
    "load",
    "measure",
    "pareto",
    "parts",
    "peaks",
    "read_run",
    "read_table",
    "report",
    "save",
    "subtotals",
    "sweep",
    "tables",
    "total",
    "vary",
]

_HOMES: Final = {
    ".analysis.compare": ("Change",),
    ".bench.progress": ("Progress",),
    ".budgets.choosing": ("Fit", "Found"),
    ".budgets.diff": ("Diff",),
    ".budgets.judge": ("Judgment",),
    ".cost.counts": ("Cost", "Totals", "count", "subtotals", "total"),
    ".cost.memory": ("Arena", "Peak", "Peaks", "Placement", "arena", "peaks"),
    ".graph.errors": ("InputError",),
    ".graph.graph": ("Block", "Geometry", "Graph", "Layer", "Tensor"),
    ".interface.choosing": ("fit",),
    ".interface.measuring": ("measure",),
    ".interface.networks": ("load", "read_run", "save"),
    ".interface.points": ("pareto", "sweep"),
    ".interface.results": ("Check", "Comparison", "check", "compare", "diff", "frame", "report", "tables"),
    ".mobilenetv3.expand": ("expand",),
    ".mobilenetv3.network": ("MobileNetV3", "build", "parts"),
    ".mobilenetv3.table": ("HeadConv", "LastLayer", "Row", "Table"),
    ".mobilenetv3.variants": ("vary",),
    ".record.run": ("Host", "Run", "Subject"),
    ".record.target": ("Target",),
    ".record.timing": ("Timing",),
    ".render.sheet": ("Sheet", "Sheets"),
    ".source": ("read_table",),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
