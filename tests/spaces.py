"""Random small spaces, and what all their networks cost."""

import random
from itertools import product
from typing import Any

from mnv3prof.cost.counts import Dtype, count, total
from mnv3prof.cost.memory import arena, peaks
from mnv3prof.record.run import Subject
from mnv3prof.space.costs import SUMS, ContextTable, Costs
from mnv3prof.space.files import space_from
from mnv3prof.space.fit import costs_of
from mnv3prof.space.space import Space


def random_space(seed: int, most: int = 3_000, least: int = 1) -> Space:
    """A space of so many networks with every kind of choice."""
    draw = random.Random(seed)
    while True:
        space = space_from(_document(draw), f"space {seed}", f"space{seed}")
        if least <= space.size <= most:
            return space


def _some(draw: random.Random, values: list[Any], most: int) -> Any:
    found = draw.sample(values, draw.randint(1, min(most, len(values))))
    return found[0] if len(found) == 1 and draw.random() < 0.7 else found


def _document(draw: random.Random) -> dict[str, Any]:
    document: dict[str, Any] = {
        "width": _some(draw, [0.35, 0.5, 0.75, 1.0, 1.25, 1.4], 2),
        "input": _some(draw, [32, 48, [64, 32], "40x56", 56], 2),
        "stem": draw.choice([8, 16]),
        "last": _some(draw, [64, 128], 2),
        "classes": _some(draw, [10, 50], 2),
        "stage": [_stage(draw) for _ in range(draw.randint(1, 3))],
    }
    if draw.random() < 0.3:
        document["head"] = draw.choice([[64], [96, 48]])
    if draw.random() < 0.4:
        document["width_rule"] = "torchvision"
    if draw.random() < 0.2:
        document["conv_bias"] = True
    return document


def _stage(draw: random.Random) -> dict[str, Any]:
    stage: dict[str, Any] = {
        "out": _some(draw, [16, 24, 40], 2),
        "kernel": _some(draw, [3, 5, 7], 2),
        "stride": draw.choice([1, 2, 2, [[2, 1]]]),
        "depth": _some(draw, [1, 2], 2),
        draw.choice(["ratio", "ratio", "expand"]): None,
    }
    if "ratio" in stage:
        stage["ratio"] = _some(draw, [1, 2, 3.5, 6], 2)
    else:
        stage["expand"] = _some(draw, [32, 48, 100], 2)
    once = {"se": _some(draw, [False, True, 8], 2), "activation": _some(draw, ["RE", "HS", "swish"], 2)}
    where = draw.choice(["stage", "row", "none"])
    if where == "stage":
        stage["stage"] = once
    elif where == "row":
        stage["se"] = once["se"]
    return stage


def costs(subject: Subject, dtype: Dtype) -> Costs:
    """The columns of a network, by the tool's own functions on its whole graph."""
    whole = total(count(subject.graph, dtype))
    return (*(getattr(whole, field) for field in SUMS.values()), peaks(subject.graph, dtype).fused.bytes)


def arena_of(subject: Subject, dtype: Dtype) -> int:
    """The arena of a network."""
    return arena(subject.graph, dtype).bytes


def enumerated(space: Space, tables: list[ContextTable]) -> dict[int, Costs]:
    """The columns of every network of a space, by its number."""
    digits = product(*(range(radix) for radix in space.radices))
    return {number: costs_of(tables[each[0]], each[1:]) for number, each in enumerate(digits)}
