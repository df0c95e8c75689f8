"""MACs of the networks of torchvision and timm, against PyTorch's own counter on tensors without data.

pytest --benchmark-only tests/benchmarks/test_zoo_benchmarks.py -s -n0
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision_oracle import models

import mnv3prof
from mnv3prof.capture.reference import build, parse
from mnv3prof.graph.errors import InputError
from mnv3prof.source import open_source

TIMM_EVERY = 5
"""Every fifth of timm's networks is tried."""


def _names() -> Iterator[str]:
    import timm  # it imports torchvision, whose operators must be declared

    for module in (models, models.segmentation, models.video):
        yield from (f"torchvision:{name}" for name in models.list_models(module))
    yield from (f"timm:{name}" for name in timm.list_models()[::TIMM_EVERY])


def _counted(name: str, shapes: list[tuple[int, ...]]) -> int:
    module = build(parse(name), meta=True).module.eval().requires_grad_(False)
    inputs = [torch.empty((1, *shape), device="meta") for shape in shapes]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return int(counter.get_total_flops()) // 2


def _compared(name: str) -> tuple[str, bool]:
    """Return a line about a network, and whether the counts are equal."""
    try:
        graph = open_source(name).subject.graph
    except InputError as error:
        return f"{name}: not captured: {error}", False
    whole = mnv3prof.total(mnv3prof.count(graph))
    constant = sum(layer.macs for layer in graph.constants)
    theirs = _counted(name, [tensor.shape for tensor in graph.inputs])
    blocks = [block.name for block in graph.blocks]
    assert len({*blocks}) == len(blocks)
    figures = f"{whole.macs:,} MACs, {whole.params:,} parameters, {len(blocks)} blocks"
    if whole.macs + constant == theirs:
        return f"{name}: {figures}{f', {constant:,} MACs of constants' if constant else ''}", True
    return f"{name}: {figures}; PyTorch counts {theirs:,}; {', '.join(whole.unpriced[:3])}", False


@pytest.mark.filterwarnings("ignore")
def test_macs_of_the_zoo(benchmark: Any) -> None:
    """All of torchvision's classifiers, segmentation and video networks; at least 150 of timm."""

    def compare() -> list[tuple[str, bool]]:
        found = []
        for name in _names():
            found.append(_compared(name))
            if not found[-1][1]:
                print(found[-1][0], flush=True)
        return found

    found = benchmark.pedantic(compare, rounds=1)
    equal = [line for line, same in found if same]
    print(*equal, f"{len(equal)} of {len(found)} equal", sep="\n")
    torchvisions = [same for line, same in found if line.startswith("torchvision")]
    assert all(torchvisions)
    assert sum(same for line, same in found if line.startswith("timm")) >= 150
