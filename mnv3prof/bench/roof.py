"""Peak rates, to hold a part's rate against: of a matrix product and of a copy."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from ..cost.counts import Dtype
from ..record.run import Roof

_SIDES: Final = (256, 512, 1024, 2048)
_COPIES: Final = tuple(2**n for n in (20, 22, 24, 26))
_SECONDS: Final = 0.1
_LEAST_CALLS: Final = 3


def measure_roof(name: str, dtype: Dtype, threads: int) -> Roof:
    """The rates of the best call, over square products and copies of several sizes. name: "cpu", "cuda", ...

    int8 is held against fp32's product: PyTorch has no 8-bit product that is as fast everywhere.
    """
    import torch

    torch.set_num_threads(threads)
    kind = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(dtype, torch.float32)
    wait = getattr(torch, name).synchronize if name != "cpu" else lambda: None
    products = (_rate(_product(torch, n, name, kind), wait, n**3) for n in _SIDES)
    copies = (_rate(_copy(torch, size, name), wait, 2 * size) for size in _COPIES)
    with torch.inference_mode():
        return Roof(name, dtype, threads, max(products), max(copies))


def _product(torch: Any, side: int, device: str, kind: Any) -> Callable[[], object]:
    a, b = (torch.rand(side, side, device=device).to(kind) for _ in range(2))
    return lambda: torch.mm(a, b)


def _copy(torch: Any, size: int, device: str) -> Callable[[], object]:
    source = torch.ones(size // 4, device=device)
    target = torch.zeros_like(source)
    return lambda: target.copy_(source)


def _rate(call: Callable[[], object], wait: Callable[[], object], amount: int) -> float:
    """`amount` a second, in the fastest call."""
    best = float("inf")
    start = perf_counter()
    calls = 0
    while calls < _LEAST_CALLS or perf_counter() - start < _SECONDS:
        begin = perf_counter()
        call()
        wait()
        best = min(best, perf_counter() - begin)
        calls += 1
    return amount / best
