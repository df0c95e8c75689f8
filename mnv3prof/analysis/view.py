"""A view: the main network of a run, with the values that the report shows."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ..cost.counts import Dtype, Totals
from ..graph.graph import Graph
from ..graph.parts import NET
from ..record.run import Run
from ..record.target import Target, labels, shared_settings
from ..record.timing import Timing
from .compare import Change, compare
from .grid import Grid, Rates, grid_of, part_costs, rates, timings_of

EAGER: Final = "cpu"
"""The backend that others are compared with."""


class View(NamedTuple):
    """The main network of a run, as a panel of the report shows it.

    called: what the run has and the others have not, "" for a single view. dtype, batch: at which bytes are
    given. by_dtype: costs by dtype and part. names: labels of the targets, which always contain the backend.
    """

    called: str
    run: Run
    graph: Graph
    dtype: Dtype
    batch: int
    grid: Grid
    by_dtype: dict[Dtype, dict[str, Totals]]
    names: dict[Target, str]

    @property
    def costs(self) -> dict[str, Totals]:
        """The costs of each part at the view's dtype."""
        return self.by_dtype[self.dtype]

    @property
    def name(self) -> str:
        """The network and its input size."""
        return f"{self.graph.name} at {self.graph.size}"

    @property
    def label(self) -> str:
        """What the view is called, with its network, settings and CPU; "" for a single view."""
        if not self.called:
            return ""
        how = (self.name, shared_settings(self.grid.targets), self.run.processors)
        return f"{self.called}: {', '.join(filter(None, how))}"

    @property
    def sizes(self) -> list[tuple[Dtype, int]]:
        """Each dtype and batch that was measured."""
        return list(self.run.sizes)

    @property
    def kind(self) -> str:
        """Noun for the columns: "backend", or "target" if a backend has several."""
        return (
            "backend" if len({target.place for target in self.grid.targets}) == len(self.names) else "target"
        )

    def label_of(self, target: Target) -> str:
        """Return the label of a target."""
        return self.names[target]

    def timing(self, part: str, target: Target) -> Timing | None:
        """Return the part's timing on the target if its output was right."""
        timing = self.grid.at(part, target) if part in self.grid.same else None
        return timing if timing and timing.seconds is not None else None

    def seconds(self, part: str, target: Target) -> float | None:
        """Return the part's median latency per call, in seconds."""
        timing = self.timing(part, target)
        return timing.seconds if timing else None

    def per_image(self, part: str, target: Target) -> float | None:
        """Return the part's median latency per image, in seconds."""
        timing = self.timing(part, target)
        return timing.per_image if timing else None

    def rates(self, part: str, target: Target) -> Rates | None:
        """Return the part's rates on the target, if it was measured."""
        timing = self.timing(part, target)
        return rates(timing, self.by_dtype[target.dtype][part], self.run) if timing else None

    def is_clear(self, part: str, target: Target) -> bool:
        """Return True if the part was timed on the target, neither noisy nor contended."""
        timing = self.timing(part, target)
        return bool(timing and timing.summary and not timing.noisy)

    def change(self, part: str, old: Target, new: Target) -> Change:
        """Return the change of the part's latency from one target to another."""
        known = part in self.grid.same
        before, after = (self.grid.at(part, each) if known else None for each in (old, new))
        if before is None or after is None:
            return Change("not comparable", reason="it was not measured on both")
        return compare(before, after, self.run, self.run)

    def ranking(self) -> list[tuple[Target, float]]:
        """Return the targets with the whole network's median per image, the fastest first."""
        times = [(target, self.per_image(NET, target)) for target in self.grid.targets]
        return sorted(((t, s) for t, s in times if s is not None), key=lambda pair: pair[1])

    def eager(self, like: Target) -> tuple[Target, float] | None:
        """Return the PyTorch eager target most like another, and its median per image."""
        known = [(target, s) for target, s in self.ranking() if target.backend == EAGER]
        fields = ("batch", "threads", "dtype")
        return max(
            known, key=lambda one: [getattr(one[0], f) == getattr(like, f) for f in fields], default=None
        )

    def fastest(self) -> Target | None:
        """Return the fastest target, or else the first one that ran all blocks."""
        ranking = self.ranking()
        if ranking:
            return ranking[0][0]
        return next((target for target in self.grid.targets if self.time_shares(target)), None)

    def time_shares(self, target: Target) -> dict[str, float]:
        """Return each block's share of the sum of all medians; empty if one is missing."""
        blocks = self.graph.block_names
        times = {block: s for block in blocks if (s := self.seconds(block, target)) is not None}
        whole = sum(times.values())
        if len(times) < len(blocks) or not whole:
            return {}
        return {block: seconds / whole for block, seconds in times.items()}

    def mac_shares(self) -> dict[str, float]:
        """Return each block's share of the network's MACs."""
        return self._shares("macs")

    def param_shares(self) -> dict[str, float]:
        """Return each block's share of the parameters."""
        return self._shares("params")

    def byte_shares(self) -> dict[str, float]:
        """Return each block's share of the activation bytes that are read and written."""
        moved = {block: activation_bytes(self.costs[block]) for block in self.graph.block_names}
        whole = sum(moved.values()) or 1
        return {block: value / whole for block, value in moved.items()}

    def _shares(self, metric: str) -> dict[str, float]:
        whole = getattr(self.costs[NET], metric) or 1
        return {block: getattr(self.costs[block], metric) / whole for block in self.graph.block_names}


def views(runs: Sequence[Run]) -> list[View]:
    """Return a view of each run."""
    return [_view(called, run) for called, run in zip(differences(runs), runs, strict=True)]


_DIFFERING: Final[tuple[Callable[[Run], str], ...]] = (
    lambda run: run.subject.name,
    lambda run: run.subject.graph.size,
    lambda run: run.subject.weights.file if run.subject.weights else "random weights",
    lambda run: run.processors,
    lambda run: shared_settings(run.targets),
    lambda run: run.commit[:10],
    lambda run: run.created,
)
"""What runs are called by, the most telling first."""


def differences(runs: Sequence[Run]) -> list[str]:
    """Return what each run has and the others have not; "" for a single run. All are different."""
    if len(runs) < 2:
        return ["" for _ in runs]
    parts: list[list[str]] = [[] for _ in runs]
    for tell in _DIFFERING:
        told = [tell(run) for run in runs]
        if len({*map(tuple, parts)}) < len(runs) and len({*told}) > 1:
            parts = [[*known, each] for known, each in zip(parts, told, strict=True)]
    names = [", ".join(filter(None, known)) for known in parts]
    is_unique = len({*names}) == len(runs)
    return [name if name and is_unique else f"{name} ({n})".strip() for n, name in enumerate(names, 1)]


def _view(called: str, run: Run) -> View:
    graph, timings = run.subject.graph, timings_of(run, "")
    dtype, batch = run.measured_as
    grid = grid_of(graph, timings)
    dtypes = dict.fromkeys([dtype, *(target.dtype for target in grid.targets)])
    costs = {each: part_costs(graph, each, timings) for each in dtypes}
    names = labels(grid.targets, with_backend=True)
    return View(called, run, graph, dtype, batch, grid, costs, names)


def activation_bytes(costs: Totals) -> int:
    """Return the bytes of activations that are read and written for one image."""
    return costs.read_bytes + costs.write_bytes - costs.weight_bytes
