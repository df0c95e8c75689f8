"""Order and number of a table's rows."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from ..cost.counts import Dtype
from ..cost.memory import peaks
from ..graph.graph import Graph, Layer

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
