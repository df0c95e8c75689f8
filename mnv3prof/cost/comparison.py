"""Costs and memory of a network, for comparisons."""

import msgspec

from ..graph.graph import Graph
from ..graph.once import once
from .counts import Totals, count, subtotals, total
from .memory import Arena, Peaks, arena, peaks


class NetworkCosts(msgspec.Struct, frozen=True):
    """A graph with its costs and memory at fp32, batch 1. blocks: totals by name."""

    graph: Graph
    totals: Totals
    blocks: dict[str, Totals]
    peaks: Peaks
    arena: Arena


@once
def network_costs(graph: Graph) -> NetworkCosts:
    """Count `graph` and plan its memory, at fp32, batch 1."""
    costs = count(graph)
    blocks = {block.name: block for block in subtotals(graph, costs)}
    return NetworkCosts(graph, total(costs), blocks, peaks(graph), arena(graph))
