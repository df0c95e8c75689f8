"""Table of the layers of a block, with the time of their operators where a runtime told it."""

from typing import Final

from ..analysis.view import View
from ..cost.counts import count
from ..graph.parts import NET, part_layers
from ..render.sheet import Column, Sheet

MOST_LAYERS: Final = 2_000
"""Maximum number of layers of a network whose layers a page lists."""


def layers_sheet(view: View, block: str) -> Sheet:
    """Return the layers of a block: operation, shapes, costs, and time on the fastest target."""
    costs = {cost.layer: cost for cost in count(view.graph, view.dtype)}
    times = _times(view, block)
    columns = [
        Column("layer", "Layer", "text"),
        Column("operation", "Operation", "text"),
        Column("shapes", "Input → output", "text"),
        Column("macs", "MACs"),
        Column("params", "Parameters"),
        Column("moved", "Activation bytes"),
    ]
    target = view.fastest()
    if times and target:
        columns.append(Column("ms", f"{view.label_of(target)}, ms", "number"))
    rows = []
    for layer in part_layers(view.graph, block):
        cost = costs[layer.name]
        shapes = " → ".join("×".join(map(str, s)) for s in (view.graph.in_shape(layer), layer.out_shape))
        moved = cost.read_bytes + cost.write_bytes - cost.weight_bytes
        row = [layer.name, layer.operation.title, shapes, cost.macs, cost.params, moved]
        rows.append((*row, times.get(layer.name)) if times else tuple(row))
    named = view.graph.block(block)
    title = f"Layers of {named.title if named else block}"
    return Sheet(f"{view.called}: {title}" if view.called else title, tuple(columns), tuple(rows))


def _times(view: View, block: str) -> dict[str, float]:
    """Return milliseconds by layer: from a profile of the network, or else of the block."""
    target = view.fastest()
    for part in (NET, view.grid.same.get(block, block)):
        found: dict[str, float] = {}
        for operator in view.run.operators:
            if (operator.variant, operator.part, operator.target) == ("", part, target) and operator.layer:
                found[operator.layer] = found.get(operator.layer, 0.0) + operator.seconds * 1e3
        if found:
            return found
    return {}
