"""A view: one network of a run under one condition, and what the report's pictures take from it."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final, NamedTuple

from ..cost.counts import Totals
from ..graph.graph import Graph
from ..record.run import NET, Condition, Run, Timing
from .grid import Grid, conditions, grid_of, part_costs, timings_of

EAGER: Final = "cpu"
"""The backend that the others' outputs, and their times, are held against."""


class View(NamedTuple):
    """What a panel shows. letter: "A", "B", ... where there are several, else "".

    costs: of each block and of the whole network, by part.
    """

    letter: str
    run: Run
    graph: Graph
    condition: Condition
    grid: Grid
    costs: dict[str, Totals]

    @property
    def name(self) -> str:
        """The network and its input."""
        return f"{self.graph.name} at {self.graph.size}"

    @property
    def label(self) -> str:
        """How the view is told from others: letter, network, condition, processor; "" if it is alone."""
        if not self.letter:
            return ""
        return f"{self.letter}: {self.name}, {self.condition.words}, {self.run.host.cpu}"

    def timing(self, part: str, backend: str) -> Timing | None:
        """The part's timing on the backend if its output was right."""
        found = self.grid.at(part, backend) if part in self.grid.same else None
        return found if found and found.seconds is not None else None

    def seconds(self, part: str, backend: str) -> float | None:
        """The part's median."""
        found = self.timing(part, backend)
        return found.seconds if found else None

    def ranking(self) -> list[tuple[str, float]]:
        """Backends with the whole network's median, the fastest first."""
        found = [(name, self.seconds(NET, name)) for name in self.grid.backends]
        return sorted(((n, s) for n, s in found if s is not None), key=lambda pair: pair[1])

    def fastest(self) -> str | None:
        """The backend that runs the network fastest; without the whole, the first that ran all blocks."""
        ranking = self.ranking()
        if ranking:
            return ranking[0][0]
        return next((name for name in self.grid.backends if self.time_shares(name)), None)

    def time_shares(self, backend: str) -> dict[str, float]:
        """Each block's share of the sum of the blocks' medians; empty unless all were measured."""
        found = {block: self.seconds(block, backend) for block in self.graph.block_names}
        times = {block: seconds for block, seconds in found.items() if seconds is not None}
        whole = sum(times.values())
        if len(times) < len(found) or not whole:
            return {}
        return {block: seconds / whole for block, seconds in times.items()}

    def mac_shares(self) -> dict[str, float]:
        """Each block's share of the network's MACs."""
        return self._shares("macs")

    def param_shares(self) -> dict[str, float]:
        """Each block's share of the parameters."""
        return self._shares("params")

    def byte_shares(self) -> dict[str, float]:
        """Each block's share of the activation bytes that are read and written."""
        moved = {block: activation_bytes(self.costs[block]) for block in self.graph.block_names}
        whole = sum(moved.values()) or 1
        return {block: value / whole for block, value in moved.items()}

    def _shares(self, figure: str) -> dict[str, float]:
        whole = getattr(self.costs[NET], figure) or 1
        return {block: getattr(self.costs[block], figure) / whole for block in self.graph.block_names}


def views(runs: Sequence[Run]) -> list[View]:
    """A view for each run and each condition that it was measured under."""
    pairs = [(run, condition) for run in runs for condition in conditions(run) or [Condition("fp32", 1, 1)]]
    letters = [_letter(n) for n in range(len(pairs))] if len(pairs) > 1 else [""]
    return [_view(letter, *pair) for letter, pair in zip(letters, pairs, strict=True)]


def _letter(number: int) -> str:
    return ascii_uppercase[number] if number < len(ascii_uppercase) else str(number + 1)


def _view(letter: str, run: Run, condition: Condition) -> View:
    graph = run.subject.graph
    grid = grid_of(graph, timings_of(run, "", condition))
    return View(letter, run, graph, condition, grid, part_costs(graph, condition.dtype, grid.cells.values()))


def activation_bytes(costs: Totals) -> int:
    """Bytes of activations read and written for one image."""
    return costs.read_bytes + costs.write_bytes - costs.weight_bytes


def compact(value: float) -> str:
    """A count as a sentence says it: "216.6 M"."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size * 0.99995:  # what rounds up to 1.0 of it
            return f"{value / size:.1f} {unit}"
    return f"{value:,.0f}"


def milliseconds(seconds: float) -> str:
    """A time with three significant digits: "3.21 ms", "412 µs"."""
    rounded = float(f"{seconds:.3g}")
    scale, unit = (1e3, "ms") if rounded >= 1e-3 else (1e6, "µs")
    digits = 2 if rounded * scale < 10 else 1 if rounded * scale < 100 else 0
    return f"{seconds * scale:,.{digits}f} {unit}"
