"""What each command found, as the JSON document that it writes."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import asdict

from ..arch.layers import Graph, Layer
from ..arch.table import Table, in_widths
from ..cost.counts import Cost, Totals, subtotals, total

SCHEMA: Final = 1
"""Raised when a field changes its name or meaning; new fields do not raise it."""


def table_document(graph: Graph) -> dict[str, Any]:
    """The table, which can be read again as one, and what follows from it."""
    sizes = {layer.block: layer.out_shape[1:] for layer in graph.layers}
    rows = [
        {"block": str(n), "in": width, "ratio": row.expand / width, "out_size": sizes[str(n)],
         "identity": row.stride == 1 and width == row.out}
        for n, (row, width) in enumerate(zip(graph.table.rows, in_widths(graph.table), strict=True), 1)
    ]  # fmt: skip
    return {**_head(graph), "rows": rows}


def cost_document(graph: Graph, costs: Sequence[Cost]) -> dict[str, Any]:
    """Totals, blocks and layers with their costs."""
    return {
        **_head(graph),
        "totals": _figures(total(costs)),
        "blocks": [{"block": group.name, **_figures(group)} for group in subtotals(graph, costs, "block")],
        "layers": [_layer(layer, cost) for layer, cost in zip(graph.layers, costs, strict=True)],
    }


def _head(graph: Graph) -> dict[str, Any]:
    return {"schema": SCHEMA, "table": _table(graph.table), "input": graph.input}


def _table(table: Table) -> dict[str, Any]:
    kept = {key: value for key, value in asdict(table).items() if value is not None}
    return {**kept, "rows": [asdict(row) for row in table.rows]}


def _figures(group: Totals) -> dict[str, Any]:
    return {**{k: v for k, v in asdict(group).items() if k != "name"}, "intensity": group.intensity}


def _layer(layer: Layer, cost: Cost) -> dict[str, Any]:
    return {**asdict(layer), **{k: v for k, v in asdict(cost).items() if k != "layer"}}
