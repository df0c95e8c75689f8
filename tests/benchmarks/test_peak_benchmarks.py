"""Peak rates of the CPU against PyTorch's own timer."""

from typing import Any

import pytest
import torch
from torch.utils.benchmark import Timer

from mnv3prof.workers.peak_burst import Device, measure_peak


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_product_is_as_fast_as_pytorchs_timer_finds_the_best_of_them(benchmark: Any, dtype: Any) -> None:
    """Within a factor of two, since the machine may be busy."""
    found = benchmark.pedantic(measure_peak, (Device("cpu", dtype, 1),), rounds=1)
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}
    best = 0.0
    for side in (256, 512, 1024):
        for one in {torch.float32, kind[dtype]}:
            a = torch.rand(side, side).to(one)
            timer = Timer("torch.mm(a, a)", globals={"torch": torch, "a": a}, num_threads=1)
            best = max(best, side**3 / min(timer.timeit(1).median for _ in range(5)))
    assert 0.5 < found.macs / found.product.median / best < 2
    assert found.copy.median > 0
