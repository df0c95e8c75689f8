"""A view: the main network of a run, and what the report's pictures take from it."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final, NamedTuple

from ..cost.counts import Dtype, Totals
from ..graph.graph import Graph
from ..record.run import NET, Run
from ..record.target import Target, labels, shared_settings
from ..record.timing import Timing
from .compare import Change, compare
from .grid import Grid, Rates, grid_of, part_costs, rates, timings_of

EAGER: Final = "cpu"
"""The backend that the others' outputs, and their times, are held against."""


class View(NamedTuple):
    """What a panel shows. letter: "A", "B", ... where there are several, else "".

    dtype, batch: for which its bytes are given. by_dtype: costs of each block and of the whole network,
    by dtype and part. names: the targets', always with their backend.
    """

    letter: str
    run: Run
    graph: Graph
    dtype: Dtype
    batch: int
    grid: Grid
    by_dtype: dict[Dtype, dict[str, Totals]]
    names: dict[Target, str]

    @property
    def costs(self) -> dict[str, Totals]:
        """What each part costs at the view's dtype."""
        return self.by_dtype[self.dtype]

    @property
    def name(self) -> str:
        """The network and its input."""
        return f"{self.graph.name} at {self.graph.size}"

    @property
    def label(self) -> str:
        """How the view is told from others: letter, network, settings, processor; "" if it is alone."""
        if not self.letter:
            return ""
        how = (self.name, shared_settings(self.grid.targets), self.run.processors)
        return f"{self.letter}: {', '.join(filter(None, how))}"

    @property
    def sizes(self) -> list[tuple[Dtype, int]]:
        """Each dtype and batch that it was measured with."""
        return list(self.run.sizes)

    @property
    def kind(self) -> str:
        """What its columns are told apart by: "backend", or "target" where more than that differs."""
        return (
            "backend" if len({target.place for target in self.grid.targets}) == len(self.names) else "target"
        )

    def called(self, target: Target) -> str:
        """The target's name among the view's, always with its backend."""
        return self.names[target]

    def timing(self, part: str, target: Target) -> Timing | None:
        """The part's timing on the target if its output was right."""
        found = self.grid.at(part, target) if part in self.grid.same else None
        return found if found and found.seconds is not None else None

    def seconds(self, part: str, target: Target) -> float | None:
        """The part's median per call."""
        found = self.timing(part, target)
        return found.seconds if found else None

    def per_image(self, part: str, target: Target) -> float | None:
        """The part's median per image."""
        found = self.timing(part, target)
        return found.per_image if found else None

    def rates(self, part: str, target: Target) -> Rates | None:
        """The part's rates on the target, where it was measured."""
        timing = self.timing(part, target)
        return rates(timing, self.by_dtype[target.dtype][part], self.run) if timing else None

    def is_clear(self, part: str, target: Target) -> bool:
        """True if the part was timed on the target, and noise does not hide the time."""
        timing = self.timing(part, target)
        return bool(timing and timing.summary and not timing.summary.noisy and not timing.contended)

    def change(self, part: str, old: Target, new: Target) -> Change:
        """The change of the part's time from one target to another."""
        before, after = self.timing(part, old), self.timing(part, new)
        if before is None or after is None:
            return Change("not comparable", reason="it was not measured on both")
        return compare(before, after, self.run, self.run)

    def ranking(self) -> list[tuple[Target, float]]:
        """Targets with the whole network's median per image, the fastest first."""
        found = [(target, self.per_image(NET, target)) for target in self.grid.targets]
        return sorted(((t, s) for t, s in found if s is not None), key=lambda pair: pair[1])

    def eager(self, like: Target) -> tuple[Target, float] | None:
        """PyTorch eager's target that is most like another one, with its median per image."""
        known = [(target, s) for target, s in self.ranking() if target.backend == EAGER]
        fields = ("batch", "threads", "dtype")
        return max(
            known, key=lambda one: [getattr(one[0], f) == getattr(like, f) for f in fields], default=None
        )

    def fastest(self) -> Target | None:
        """The target that runs the network fastest; without the whole, the first that ran all blocks."""
        ranking = self.ranking()
        if ranking:
            return ranking[0][0]
        return next((target for target in self.grid.targets if self.time_shares(target)), None)

    def time_shares(self, target: Target) -> dict[str, float]:
        """Each block's share of the sum of the blocks' medians; empty unless all were measured."""
        found = {block: self.seconds(block, target) for block in self.graph.block_names}
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
    """A view for each run."""
    letters = [_letter(n) for n in range(len(runs))] if len(runs) > 1 else [""]
    return [_view(letter, run) for letter, run in zip(letters, runs, strict=True)]


def _letter(number: int) -> str:
    return ascii_uppercase[number] if number < len(ascii_uppercase) else str(number + 1)


def _view(letter: str, run: Run) -> View:
    graph, timings = run.subject.graph, timings_of(run, "")
    dtype, batch = run.measured_as
    grid = grid_of(graph, timings)
    dtypes = dict.fromkeys([dtype, *(target.dtype for target in grid.targets)])
    costs = {each: part_costs(graph, each, timings) for each in dtypes}
    names = labels(grid.targets, with_backend=True)
    return View(letter, run, graph, dtype, batch, grid, costs, names)


def activation_bytes(costs: Totals) -> int:
    """Bytes of activations read and written for one image."""
    return costs.read_bytes + costs.write_bytes - costs.weight_bytes
