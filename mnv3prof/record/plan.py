"""The arena that a runtime planned, beside ours: which tensors make the difference."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Annotated

import msgspec

from ..cost.counts import Dtype
from ..cost.memory import Arena

Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""In bytes."""


class Held(msgspec.Struct, frozen=True):
    """A tensor in a runtime's arena, with the runtime's own order of axes."""

    shape: tuple[Size, ...]
    offset: Size
    bytes: Size


class RuntimePlan(msgspec.Struct, frozen=True):
    """What a backend planned for the whole network. bytes: the arena's, 0 where there is none and
    `reason` says why.
    """

    backend: str
    bytes: Size = 0
    tensors: tuple[Held, ...] = ()
    reason: str = ""
    dtype: Dtype = "fp32"
    batch: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1


class Difference(msgspec.Struct, frozen=True):
    """Tensors of `bytes` each: how many the runtime holds during a run, and how many we do."""

    bytes: int
    shape: tuple[int, ...]
    theirs: int
    ours: int
    example: str


def differences(plan: RuntimePlan, ours: Arena) -> list[Difference]:
    """Sizes of which one side has more tensors than the other, those that weigh most first.

    A tensor that is reused in place, as an activation's output in its input, counts once.
    """
    theirs = Counter(held.bytes for held in plan.tensors if held.bytes)
    counted = Counter(placement.bytes for placement in ours.placements)
    shapes = {held.bytes: held.shape for held in plan.tensors}
    names: dict[int, list[str]] = defaultdict(list)
    for placement in ours.placements:
        names[placement.bytes].append(placement.tensor)
    found = [
        Difference(size, shapes.get(size, ()), theirs[size], counted[size], next(iter(names[size]), ""))
        for size in theirs | counted
        if theirs[size] != counted[size]
    ]
    return sorted(found, key=lambda one: abs(one.theirs - one.ours) * one.bytes, reverse=True)


def biggest_moment(tensors: Sequence[Held]) -> int:
    """The end of the tensor that reaches furthest: what the arena must be at least."""
    return max((held.offset + held.bytes for held in tensors), default=0)
