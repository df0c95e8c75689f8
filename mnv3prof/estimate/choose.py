"""Choose the blocks of a space to measure, so that they cover it, and random networks."""

import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..graph.parts import NET
from ..space.space import Space
from .blocks import Blocks, Place, SpaceBlock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_ENDS_SHARE: Final = 4
"""At most one in so many blocks is a stem, head or classifier: a network has few, but always the same."""


class Chosen(NamedTuple):
    """What is measured of a space: blocks, and networks."""

    blocks: tuple[Place, ...]
    networks: tuple[Place, ...]

    @property
    def every(self) -> tuple[Place, ...]:
        """The places of all."""
        return (*self.blocks, *self.networks)


def choose_blocks(space: Space, count: int, networks: int, seed: int) -> Chosen:
    """Return `count` distinct blocks and so many distinct random networks; fewer where there are no more.

    Stems, heads and classifiers are at most a quarter. Half of the rest are each as far as can be from all
    blocks before it, in the logarithms of the features, so that models need not extrapolate. The others are
    random, as are those of the networks to predict.
    """
    blocks = Blocks(space)
    for _ in blocks.contexts():
        pass
    chance = random.Random(seed)
    ends = [known for known in blocks.known if known.is_end]
    rows = [known for known in blocks.known if not known.is_end]
    taken = _farthest(ends, max(1, count // _ENDS_SHARE), chance)
    far = _farthest(rows, (count - len(taken)) // 2, chance)
    taken_rows = set(far)
    others = [known for known in rows if known not in taken_rows]
    taken += far
    taken += chance.sample(others, min(len(others), count - len(taken)))
    numbers = _numbers(space, networks, chance)
    return Chosen(tuple(known.place for known in taken), tuple(Place(number, NET) for number in numbers))


def _numbers(space: Space, count: int, chance: random.Random) -> list[int]:
    """Return distinct networks; sample() cannot draw from more than 2^63."""
    if space.size <= 2 * count:
        return chance.sample(range(space.size), min(space.size, count))
    found: dict[int, None] = {}
    while len(found) < count:
        found[chance.randrange(space.size)] = None
    return list(found)


def _farthest(known: "Sequence[SpaceBlock]", count: int, chance: random.Random) -> list[SpaceBlock]:
    """Return a random block, and then again and again the one farthest from all before it."""
    import numpy as np

    if count >= len(known):
        return list(known)
    if count < 1:
        return []
    places = _scaled(np.array([each.features for each in known]))
    taken = [chance.randrange(len(known))]
    distance = _distance(places, taken[0])
    while len(taken) < count:
        taken.append(int(distance.argmax()))
        distance = np.minimum(distance, _distance(places, taken[-1]))
    return [known[number] for number in taken]


def _scaled(features: "NDArray[Any]") -> "NDArray[Any]":
    import numpy as np

    logs = np.log1p(features)
    spread = logs.std(axis=0)
    return np.asarray(logs[:, spread > 0] / spread[spread > 0])


def _distance(places: "NDArray[Any]", number: int) -> "NDArray[Any]":
    import numpy as np

    return np.asarray(((places - places[number]) ** 2).sum(axis=1))
