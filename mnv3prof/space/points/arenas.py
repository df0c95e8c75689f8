"""Arenas of single networks of spaces, by a plan of each."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from ...cost.counts import DTYPE_BYTES, Dtype, count, total
from ...cost.memory import arena, peaks
from ...graph.errors import InputError, printable, quote
from ...graph.graph import Graph
from ...mobilenetv3.writing import to_toml
from ...record.run import Subject
from ..costs import COLUMNS, PEAK
from ..files import open_space
from ..space import Space

_WEIGHTS: Final = COLUMNS.index("weights")


class Planner:
    """Plans networks, and checks that their costs are those of the points.

    dtype: None for that of the points.
    """

    def __init__(self, where: str, dtype: Dtype | None = None) -> None:
        self._where, self._dtype = where, dtype
        self._opened = lru_cache(maxsize=16)(open_space)

    def plan(self, network: str, costs: Sequence[int]) -> int:
        """Return the bytes of the arena of a network, such as "ofa#12". Raises InputError."""
        graph = self.graph(network)
        if self._dtype is None:
            self._dtype = self._found(graph, costs)
        if self._dtype is None or peaks(graph, self._dtype).fused.bytes != costs[PEAK]:
            raise InputError(
                f"{self._where}: {printable(network)} has other costs now; expected the space that was swept"
            )
        return arena(graph, self._dtype).bytes

    def graph(self, network: str) -> Graph:
        """Return the graph of a network. Raises InputError."""
        return self.network(network).graph

    def network(self, network: str) -> Subject:
        """Return a network with its input. Raises InputError."""
        name, _, text = network.rpartition("#")
        if not name:
            raise InputError(f"{self._where}: {quote(network)} is not a network; expected one such as ofa#12")
        space: Space = self._opened(name)
        number = space.parsed(text)
        if number is None:
            raise InputError(f"{self._where}: {space.name} has no network {quote(text)}")
        return space.network(number)

    def _found(self, graph: Graph, costs: Sequence[int]) -> Dtype | None:
        """Return the dtype at which a network has these costs."""
        for dtype in DTYPE_BYTES:
            if total(count(graph, dtype)).weight_bytes == costs[_WEIGHTS]:
                return dtype
        return None


MOST_TABLES: Final = 200_000
"""Letters of the tables of a front that a page carries."""


def tables_in_toml(planner: Planner, networks: Sequence[str]) -> list[str] | None:
    """Return the tables of networks in TOML, None if they are longer than MOST_TABLES together."""
    found: list[str] = []
    for network in networks:
        found.append(to_toml(planner.network(network).table))
        if sum(map(len, found[-1:])) * len(networks) > 2 * MOST_TABLES or sum(map(len, found)) > MOST_TABLES:
            return None
    return found
