"""Order and number of a table's rows."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from ..analysis.grid import Grid, part_costs
from ..cost.counts import Dtype
from ..cost.memory import peaks
from ..graph.graph import Graph, Layer
from ..graph.parts import BACKBONE, NET, part_layers
from ..record.target import Target, labels

_Row = TypeVar("_Row")


class Order(NamedTuple):
    """by: the metric that rows are sorted by, highest first; "" for the network's order. top: number of rows
    that are shown; None for all.
    """

    by: str = ""
    top: int | None = None

    def of(
        self, rows: Sequence[_Row], value: Callable[[_Row], float | None], what: str
    ) -> tuple[list[_Row], tuple[str, ...]]:
        """Return the rows to show, and a note on those that are not. what: noun for the rows, plural.

        Rows without a value are last.
        """
        ordered = list(rows)
        if self.by:
            ordered.sort(key=lambda row: -(value(row) or 0))
        shown = ordered[: self.top]
        left = len(ordered) - len(shown)
        return shown, (f"Not shown: {left} of {len(ordered)} {what}.",) if left else ()


UNSORTED: Final = Order()


def live_bytes(graph: Graph, layers: Sequence[Layer], dtype: Dtype = "fp32", batch: int = 1) -> int:
    """Return the most live bytes while some of the layers run, with batch norm and activations fused."""
    by_layer = dict(zip([x.name for x in graph.layers], peaks(graph, dtype, batch).fused.layers, strict=True))
    return max(by_layer[layer.name] for layer in layers)


def sorted_parts(graph: Graph, grid: Grid, order: Order) -> tuple[list[str], tuple[str, ...]]:
    """Return the parts in an order, the whole network and the backbone last, and a note if some are left out.

    Their time is that on the target that runs the whole network, or else most parts, in the least time.
    """
    whole = [part for part in grid.parts if part in (NET, BACKBONE)]
    rest = [part for part in grid.parts if part not in whole]
    target = _fastest(grid)
    timings = {part: grid.at(part, target) for part in rest} if target else {}

    def value(part: str) -> float | None:
        if order.by in ("time", "share"):
            timing = timings.get(part)
            return timing.per_image if timing else None
        if order.by == "memory":
            return live_bytes(graph, part_layers(graph, part))
        return float(getattr(part_costs(graph, timings=grid.cells.values())[part], order.by))

    shown, left = order.of(rest, value, "parts")
    if order.by in ("time", "share") and target:
        left = (f"Sorted by latency on {labels(grid.targets, with_backend=True)[target]}.", *left)
    return [*shown, *whole], left


def _fastest(grid: Grid) -> Target | None:
    """Return the target with the most timed parts and, among those, the least time of their last one."""
    timed = {
        target: [t for part in grid.parts if (t := grid.at(part, target)) and t.per_image]
        for target in grid.targets
    }
    most = max(map(len, timed.values()), default=0)
    return min(
        (target for target, timings in timed.items() if timings and len(timings) == most),
        key=lambda target: sum(t.per_image or 0.0 for t in timed[target]),
        default=None,
    )
