"""The differences between the arena that a runtime planned and ours."""

from collections import Counter, defaultdict

import msgspec

from ..cost.memory import Arena
from ..record.plan import RuntimePlan


class Difference(msgspec.Struct, frozen=True):
    """Tensors of `bytes` each: their number in the runtime's arena and in ours."""

    bytes: int
    shape: tuple[int, ...]
    theirs: int
    ours: int
    example: str


def differences(plan: RuntimePlan, ours: Arena) -> list[Difference]:
    """Return the sizes of which one arena has more tensors, largest bytes first.

    A tensor that is reused in place, e.g. by an activation, counts once.
    """
    theirs = Counter(tensor.bytes for tensor in plan.tensors if tensor.bytes)
    counted = Counter(placement.bytes for placement in ours.placements)
    shapes = {tensor.bytes: tensor.shape for tensor in plan.tensors}
    names: dict[int, list[str]] = defaultdict(list)
    for placement in ours.placements:
        names[placement.bytes].append(placement.tensor)
    different = [
        Difference(size, shapes.get(size, ()), theirs[size], counted[size], next(iter(names[size]), ""))
        for size in theirs | counted
        if theirs[size] != counted[size]
    ]
    return sorted(different, key=lambda one: abs(one.theirs - one.ours) * one.bytes, reverse=True)
