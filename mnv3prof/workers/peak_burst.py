"""A burst of a device's peak rates: of a matrix product and of a copy."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from time import perf_counter
from typing import Any, Final, NamedTuple

import msgspec

from ..cost.counts import Dtype
from ..device import clock
from ..record.timing import Burst

_SIDES: Final = (256, 512, 1024, 2048, 4096)
_COPIES: Final = tuple(2**n for n in (20, 22, 24, 26))
_MOST_CALL_S: Final = 0.05
"""Larger products and copies are not tried if a call would take longer."""
PRODUCT_S: Final = 0.12
COPY_S: Final = 0.04
"""Lengths of the two bursts, in seconds."""


class Device(NamedTuple):
    """What has peak rates: PyTorch's name of a device ("cpu", "cuda", ...), a dtype, a number of threads."""

    name: str
    dtype: Dtype
    threads: int


class PeakBurst(msgspec.Struct, frozen=True):
    """A burst of a product of `macs` MACs, and one of a copy that reads and writes `bytes` together."""

    macs: int
    product: Burst
    bytes: int
    copy: Burst


def measure_peak(device: Device) -> PeakBurst:
    """Time one burst of the device's fastest product and one of its fastest copy."""
    import torch

    torch.set_num_threads(device.threads)
    with torch.inference_mode():
        (multiply, macs), (copy, size) = _fastest_calls(device)
        return PeakBurst(macs, _burst(multiply, PRODUCT_S), size, _burst(copy, COPY_S))


def _burst(call: Callable[[], object], seconds: float) -> Burst:
    return msgspec.convert(msgspec.to_builtins(clock.burst(call, seconds)), Burst)


_Call = tuple[Callable[[], object], int]


@cache
def _fastest_calls(device: Device) -> tuple[_Call, _Call]:
    """Return the fastest product, with its MACs, and the fastest copy, with its bytes.

    A product may be computed in fp32 whatever the dtype: a processor that is slow at fp16 converts. In fp32
    it may be oneDNN's: MKL, PyTorch's BLAS, does not use AVX-512 on processors that are not Intel's.
    """
    import torch

    kinds = {torch.float32: None, getattr(torch, _TORCH_NAMES[device.dtype]): None}
    makers: list[Callable[[int], Callable[[], object]]] = [
        partial(_product, device=device.name, kind=kind) for kind in kinds
    ]
    if device.name == "cpu" and _has_onednn():
        makers.append(_onednn_product)
    products = (((n**3, make(n)) for n in _SIDES) for make in makers)
    copies = ((2 * size, _copy(size, device.name)) for size in _COPIES)
    return max(map(_best, products), key=lambda rated: rated[0])[1], _best(copies)[1]


_TORCH_NAMES: Final = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def _best(calls: Iterable[tuple[int, Callable[[], object]]]) -> tuple[float, _Call]:
    """Return the highest rate among calls of growing amounts, and that call with its amount."""
    found: tuple[float, _Call] | None = None
    for amount, call in calls:
        if found and amount / found[0] > _MOST_CALL_S:
            break
        rate = amount / min(_timed(call) for _ in range(3))
        if found is None or rate > found[0]:
            found = rate, (call, amount)
    assert found
    return found


def _timed(call: Callable[[], object]) -> float:
    begin = perf_counter()
    call()
    return perf_counter() - begin


def _product(side: int, device: str, kind: Any) -> Callable[[], object]:
    import torch

    a, b = (torch.rand(side, side, device=device).to(kind) for _ in range(2))
    return lambda: _finished(device, torch.mm(a, b))


def _has_onednn() -> bool:
    try:
        _onednn_product(8)()
    except RuntimeError:  # PyTorch is built without it
        return False
    return True


def _onednn_product(side: int) -> Callable[[], object]:
    import torch

    a, b = (torch.rand(side, side).to_mkldnn() for _ in range(2))
    return lambda: torch.ops.aten.mkldnn_linear(a, b)


def _copy(size: int, device: str) -> Callable[[], object]:
    import torch

    source = torch.ones(size // 4, device=device)
    target = torch.zeros_like(source)
    return lambda: _finished(device, target.copy_(source))


def _finished(device: str, result: object) -> object:
    import torch

    if device != "cpu":
        getattr(torch, device).synchronize()
    return result
