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
from ..costs import COLUMNS, SUMS
from ..files import open_space
from ..space import Space
from .pareto import Front

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
        graph = self.checked(network, costs).graph
        assert self._dtype is not None  # it is known of checked networks
        return arena(graph, self._dtype).bytes

    def checked(self, network: str, costs: Sequence[int]) -> Subject:
        """Return a network that has these costs. Raises InputError for one that has others."""
        subject = self.network(network)
        dtype = self._dtype or self._found(subject.graph, costs)
        if dtype is None or costs_of(subject.graph, dtype) != tuple(costs):
            raise InputError(
                f"{self._where}: {printable(network)} has other costs now; expected the space that was swept"
            )
        self._dtype = dtype
        return subject

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
        """Return the dtype at which a network has these bytes of weights."""
        for dtype in DTYPE_BYTES:
            if total(count(graph, dtype)).weight_bytes == costs[_WEIGHTS]:
                return dtype
        return None


def costs_of(graph: Graph, dtype: Dtype) -> tuple[int, ...]:
    """Return the costs of a network by COLUMNS."""
    whole = total(count(graph, dtype))
    return (*(getattr(whole, field) for field in SUMS.values()), peaks(graph, dtype).fused.bytes)


MOST_TABLES: Final = 200_000
"""Letters of the tables of a front that a page carries."""


def tables_in_toml(planner: Planner, front: Front) -> list[str] | None:
    """Return the tables of a front in TOML, None if they are longer than MOST_TABLES together.

    Raises InputError for networks that have other costs now.
    """
    found: list[str] = []
    letters = 0
    for network, costs in zip(front.networks, front.columns.T.tolist(), strict=True):
        subject = planner.checked(network, costs)
        found.append(to_toml(subject.table, subject.input))
        letters += len(found[-1])
        if letters * len(front.networks) > 2 * MOST_TABLES * len(found) or letters > MOST_TABLES:
            return None
    return found
