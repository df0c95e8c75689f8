"""Options that sort a table and shorten it."""

from collections.abc import Collection
from typing import Annotated, Final, Literal

import msgspec

from ..graph.errors import InputError
from ..show.order import Order
from .options import in_range, output_option

METRICS: Final = ("macs", "params", "time", "share", "memory")
"""What rows can be sorted by."""

_MOST_ROWS: Final = 1_000_000


class Ordering(msgspec.Struct, frozen=True):
    """Which rows a table shows, in which order."""

    sort: Annotated[
        Literal["macs", "params", "time", "share", "memory"] | None,
        output_option(
            "--sort",
            help="Sort rows, highest first; memory: most live bytes.",
            show_default="as in the network",
        ),
    ] = None
    top: Annotated[
        int | None,
        output_option("--top", metavar="N", help="Show only the first N rows, sorted.", show_default="all"),
    ] = None

    def order(self, command: str, default: str, allowed: Collection[str]) -> Order:
        """Return the order of a table. Raises InputError for a metric that it does not have.

        default: sorts the rows of --top without --sort.
        """
        if self.top is not None:
            in_range(self.top, "--top", 1, _MOST_ROWS)
        if self.sort is not None and self.sort not in allowed:
            raise InputError(f"--sort: {command} has no {self.sort}; expected {', '.join(allowed)}")
        return Order(self.sort or (default if self.top else ""), self.top)
