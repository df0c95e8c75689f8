"""What `compare` sets side by side of each network, and the saving of depthwise-separable convolution."""

import msgspec

from ..arch.layers import Graph
from ..arch.table import Row
from .counts import Totals, count, subtotals, total
from .memory import Arena, Peaks, arena, peaks


class Network(msgspec.Struct, frozen=True):
    """A graph with everything that is compared about it."""

    graph: Graph
    totals: Totals
    blocks: dict[str, Totals]
    peaks: Peaks
    arena: Arena


def network(graph: Graph) -> Network:
    """`graph`, counted and planned at fp32, batch 1."""
    costs = count(graph)
    blocks = {group.name: group for group in subtotals(graph, costs)}
    return Network(graph, total(costs), blocks, peaks(graph), arena(graph))


def saving(row: Row) -> float:
    """How often a separable pair's MACs a standard k×k convolution needs: 1 / (1/N + 1/k²), N the
    output channels (Howard et al., MobileNets, arXiv 1704.04861, section 3.1).
    """
    return 1 / (1 / row.out + 1 / row.kernel**2)
