"""The arena that a runtime planned, beside ours: which tensors make the difference."""

from collections import Counter, defaultdict

import msgspec

from ..cost.memory import Arena
from ..record.plan import RuntimePlan


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
