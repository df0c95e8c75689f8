"""Order and number of a table's rows."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from ..analysis.grid import Grid, part_costs, reference_target
from ..cost.counts import Dtype
from ..cost.memory import peaks
from ..graph.graph import Graph, Layer
from ..graph.parts import BACKBONE, NET, part_layers
from ..record.target import labels

_Row = TypeVar("_Row")


_METRICS: Final = {
    "macs": "MACs",
    "params": "parameters",
    "time": "latency",
    "share": "share",
    "memory": "live bytes",
}


class Order(NamedTuple):
    """by: the metric that rows are sorted by, highest first; "" for the network's order. top: number of rows
    that are shown; None for all.
    """

    by: str = ""
    top: int | None = None

    def of(
        self, rows: Sequence[_Row], value: Callable[[_Row], float | None], what: str
    ) -> tuple[list[_Row], tuple[str, ...]]:
        """Return the rows to show, and notes on their order and number. what: noun for the rows, plural.

        Rows without a value are last.
        """
        ordered = list(rows)
        if self.by:
            ordered.sort(key=lambda row: -(value(row) or 0))
        shown = ordered[: self.top]
        left = len(ordered) - len(shown)
        notes = [f"Sorted by {_METRICS[self.by]}, highest first."] if self.by else []
        notes += [f"Not shown: {left} of {len(ordered)} {what}."] if left else []
        return shown, tuple(notes)


UNSORTED: Final = Order()


def live_bytes(graph: Graph, layers: Sequence[Layer], dtype: Dtype = "fp32", batch: int = 1) -> int:
    """Return the most live bytes while some of the layers run, with batch norm and activations fused."""
    by_layer = dict(zip([x.name for x in graph.layers], peaks(graph, dtype, batch).fused.layers, strict=True))
    return max(by_layer[layer.name] for layer in layers)


def sorted_parts(graph: Graph, grid: Grid, order: Order) -> tuple[list[str], tuple[str, ...]]:
    """Return the parts in an order, the whole network and the backbone last, and a note if some are left out.

    Their time is that on the reference target.
    """
    whole = [part for part in grid.parts if part in (NET, BACKBONE)]
    rest = [part for part in grid.parts if part not in whole]
    target = reference_target(grid)
    timings = {part: grid.at(part, target) for part in rest} if target else {}

    def value(part: str) -> float | None:
        if order.by in ("time", "share"):
            timing = timings.get(part)
            return timing.per_image if timing else None
        if order.by == "memory":
            sizes = (target.dtype, target.batch) if target else ()
            return live_bytes(graph, part_layers(graph, part), *sizes)
        return float(getattr(part_costs(graph, timings=grid.cells.values())[part], order.by))

    shown, left = order.of(rest, value, "parts")
    if order.by in ("time", "share") and target:
        left = (*left, f"The latency is that on {labels(grid.targets, with_backend=True)[target]}.")
    return [*shown, *whole], left
