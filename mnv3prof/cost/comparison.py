"""What `compare` sets side by side of each network."""

import msgspec

from ..graph.graph import Graph
from ..graph.once import once
from .counts import Totals, count, subtotals, total
from .memory import Arena, Peaks, arena, peaks


class Network(msgspec.Struct, frozen=True):
    """A graph with everything that is compared about it."""

    graph: Graph
    totals: Totals
    blocks: dict[str, Totals]
    peaks: Peaks
    arena: Arena


@once
def network(graph: Graph) -> Network:
    """`graph`, counted and planned at fp32, batch 1."""
    costs = count(graph)
    blocks = {group.name: group for group in subtotals(graph, costs)}
    return Network(graph, total(costs), blocks, peaks(graph), arena(graph))
