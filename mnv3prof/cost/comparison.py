"""Costs and memory of a network, for comparisons."""

import msgspec

from ..graph.graph import Graph
from ..graph.once import once
from .counts import Dtype, Totals, count, subtotals, total
from .memory import Arena, Peaks, arena, peaks


class NetworkCosts(msgspec.Struct, frozen=True):
    """A graph with its costs and memory at a dtype and batch. blocks: totals by name."""

    graph: Graph
    dtype: Dtype
    batch: int
    totals: Totals
    blocks: dict[str, Totals]
    peaks: Peaks
    arena: Arena


@once
def network_costs(graph: Graph, dtype: Dtype = "fp32", batch: int = 1) -> NetworkCosts:
    """Count `graph` and plan its memory at a dtype, for `batch` images. Raises InputError."""
    costs = count(graph, dtype, batch=batch)
    blocks = {block.name: block for block in subtotals(graph, costs)}
    memory = peaks(graph, dtype, batch), arena(graph, dtype, batch)
    return NetworkCosts(graph, dtype, batch, total(costs), blocks, *memory)
