"""Estimate networks of a space on a target, from the timings of a table, with held-out errors."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..graph.errors import InputError
from ..graph.parts import NET, part_layers
from ..record.rows import BlockEstimate, Estimate, HeldOut, RowTable
from ..record.run import Subject
from ..record.target import Target
from ..record.timing import Timing
from ..space.space import Space
from .composition import Composition, fit_composition, terms
from .features import Features, features_of
from .predictor import Predictor, fit_predictor, has_trees

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_BLOCKS: Final = 10
LEAST_NETWORKS: Final = 5
"""Fewer times have no error that means anything."""
_FOLDS_OF_BLOCKS: Final = 5
_FOLDS_OF_NETWORKS: Final = 10
_MOST_CONTENDED: Final = 0.1
"""Above this share of contended timings all times are CPU times of the quickest bursts: other processes slow
the others down too, by the caches that they share. On a machine with a load of 3 to 4 processes a core the
median error of networks held out was 4 to 5 % with them, and 5 to 12 % with the medians of all bursts."""


class Structure(NamedTuple):
    """What a time depends on. key: equal for blocks of the same structure."""

    key: str
    features: Features


class Model(NamedTuple):
    """How the latencies of a target are estimated. known: seconds of measured blocks, by key."""

    target: Target
    known: Mapping[str, float]
    predictor: Predictor
    composition: Composition
    blocks_held_out: HeldOut
    networks_held_out: HeldOut
    clock: str

    def alone(self, blocks: Sequence[Structure]) -> "NDArray[Any]":
        """Return the seconds of blocks by themselves: measured, else predicted."""
        return _alone(self.known, self.predictor, blocks)

    def added(self, blocks: Sequence[Structure], first: Sequence[bool]) -> "NDArray[Any]":
        """Return the nanoseconds that blocks add to their networks, integers. first: as of Composition."""
        import numpy as np

        return self.composition.added(self.alone(blocks), _matrix(blocks), np.array(first, bool))

    def estimate(self, subject: Subject) -> Estimate:
        """Return the latency of a network of the space: the sum over its blocks."""
        blocks = blocks_of(subject)
        alone = self.alone(blocks)
        added = self.added(blocks, [n == 0 for n in range(len(blocks))])
        found = tuple(
            BlockEstimate(name, float(added[n]) / 1e9, float(alone[n]), block.key in self.known)
            for n, (name, block) in enumerate(zip(subject.graph.block_names, blocks, strict=True))
        )
        return Estimate(
            self.target,
            float(added.sum()) / 1e9,
            found,
            self.networks_held_out,
            self.blocks_held_out,
            self.clock,
            self.predictor.trees is not None,
        )


def blocks_of(subject: Subject) -> list[Structure]:
    """Return the blocks of a network, the first one first."""
    graph = subject.graph
    return [Structure(graph.keys[name], features_of(graph, name)) for name in graph.block_names]


def fitted(space: Space, table: RowTable, target: Target, *, trees: bool | None = None) -> Model:
    """Fit a model to the timings of a target. Raises InputError for too few of them.

    trees: None for them if scikit-learn is installed.
    """
    known = known_times(table, target)
    subjects = {number: space.network(int(number)) for number in dict.fromkeys(n for n, _ in known)}
    blocks: dict[Structure, float] = {}
    networks: dict[str, float] = {}
    for (number, part), seconds in known.items():
        if part == NET:
            networks[number] = seconds
        else:
            graph = subjects[number].graph
            key = graph.key_of(part_layers(graph, part))
            blocks[Structure(key, features_of(graph, part))] = seconds
    _require_enough(target, len(blocks), len(networks))
    return _fitted(
        target,
        blocks,
        [(blocks_of(subjects[name]), seconds) for name, seconds in networks.items()],
        _clock(_timed(table, target)),
        has_trees() if trees is None else trees,
    )


def known_times(table: RowTable, target: Target) -> dict[tuple[str, str], float]:
    """Return the seconds that models of a target are fitted to, by number of the network and part."""
    timings = _timed(table, target)
    clock = _clock(timings)
    return {(timing.variant, timing.part): _seconds(timing, clock) for timing in timings}


def _timed(table: RowTable, target: Target) -> list[Timing]:
    return [timing for timing in table.timings if timing.target == target and timing.seconds is not None]


def _fitted(
    target: Target,
    blocks: Mapping[Structure, float],
    networks: Sequence[tuple[list[Structure], float]],
    clock: str,
    trees: bool,
) -> Model:
    import numpy as np

    features, seconds = _matrix(list(blocks)), np.array(list(blocks.values()))

    def predicted(train: "NDArray[Any]", test: "NDArray[Any]") -> "NDArray[Any]":
        return fit_predictor(features[train], seconds[train], trees=trees).seconds(features[test])

    predictor = fit_predictor(features, seconds, trees=trees)
    known = {block.key: float(value) for block, value in blocks.items()}
    of_all = _alone(known, predictor, [block for each, _ in networks for block in each])
    alone = np.split(of_all, np.cumsum([len(each) for each, _ in networks])[:-1])
    matrices = [_matrix(each) for each, _ in networks]
    sums = np.array([terms(*pair) for pair in zip(alone, matrices, strict=True)])
    measured = np.array([value for _, value in networks])

    def composed(train: "NDArray[Any]", test: "NDArray[Any]") -> "NDArray[Any]":
        fit = fit_composition(sums[train], measured[train], seconds, features)
        return np.array(
            [fit.added(alone[n], matrices[n], np.arange(len(alone[n])) == 0).sum() / 1e9 for n in test]
        )

    return Model(
        target,
        known,
        predictor,
        fit_composition(sums, measured, seconds, features),
        held_out(seconds, predicted, _FOLDS_OF_BLOCKS),
        held_out(measured, composed, _FOLDS_OF_NETWORKS),
        clock,
    )


def _require_enough(target: Target, blocks: int, networks: int) -> None:
    if blocks < LEAST_BLOCKS or networks < LEAST_NETWORKS:
        raise InputError(
            f"has times of {blocks} blocks and {networks} networks on {target.place}; expected at least "
            f"{LEAST_BLOCKS} and {LEAST_NETWORKS}"
        )


def held_out(
    seconds: "NDArray[Any]", predict: Callable[["NDArray[Any]", "NDArray[Any]"], "NDArray[Any]"], folds: int
) -> HeldOut:
    """Return the errors of predictions of each time by a model that is fitted without it.

    predict: returns times of the second numbers by a model that is fitted to the first ones. folds: parts
    of the times, of which each is predicted from the others.
    """
    import numpy as np

    order = np.array(random.Random(0).sample(range(len(seconds)), len(seconds)))
    found = np.empty(len(seconds))
    for fold in np.array_split(order, min(folds, len(order))):
        found[fold] = predict(np.setdiff1d(order, fold), fold)
    return errors(found, seconds)


def errors(found: "NDArray[Any]", seconds: "NDArray[Any]") -> HeldOut:
    """Return the statistics of relative errors."""
    import numpy as np

    error = np.abs(found / seconds - 1)
    median, p90, p95 = np.quantile(error, [0.5, 0.9, 0.95])
    return HeldOut(
        len(error),
        float(median),
        float(p90),
        float(p95),
        float((error <= 0.05).mean()),
        float((error <= 0.10).mean()),
    )


def _clock(timings: Sequence[Timing]) -> str:
    """Return "CPU" if other processes disturbed many timings, and all have CPU times of one thread."""
    contended = sum(timing.contended for timing in timings)
    if contended <= _MOST_CONTENDED * len(timings):
        return "wall"
    has_cpu = all(timing.target.threads == 1 and timing.cpu_median for timing in timings)
    return "CPU" if has_cpu else "wall"


def _seconds(timing: Timing, clock: str) -> float:
    if clock == "CPU":
        return min(burst.cpu_median_s for burst in timing.bursts if burst.cpu_median_s)
    assert timing.seconds is not None  # fitted() takes timings with times
    return timing.seconds


def _alone(known: Mapping[str, float], predictor: Predictor, blocks: Sequence[Structure]) -> "NDArray[Any]":
    import numpy as np

    missing = [n for n, block in enumerate(blocks) if block.key not in known]
    found = np.array([known.get(block.key, 0.0) for block in blocks])
    if missing:
        found[missing] = predictor.seconds(_matrix([blocks[n] for n in missing]))
    return found


def _matrix(blocks: Sequence[Structure]) -> "NDArray[Any]":
    import numpy as np

    return np.array([block.features for block in blocks], float)
