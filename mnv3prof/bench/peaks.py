"""Peak rates of a device: of a matrix product and of a copy, measured in bursts between those of parts."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from time import perf_counter
from typing import Any, Final, NamedTuple, Self

import msgspec

from ..cost.counts import Dtype
from ..device import clock
from ..record.run import PeakRates
from ..record.timing import Burst
from .requests import MeasurePeak
from .workers import Worker, pytorch_worker

_SIDES: Final = (256, 512, 1024, 2048, 4096)
_COPIES: Final = tuple(2**n for n in (20, 22, 24, 26))
_MOST_CALL_S: Final = 0.05
"""Larger products and copies are not tried if a call would take longer."""
_PRODUCT_S: Final = 0.12
_COPY_S: Final = 0.04
_LEAST_BURSTS: Final = 3
_SHARE: Final = 0.1
"""Beyond _LEAST_BURSTS, bursts of peaks take at most this share of the sampling time, evenly over ..."""
_ROUNDS: Final = 20
"""... this number of rounds."""
_TIMEOUT_S: Final = 60.0


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


class PeakMeter:
    """Measures the peak rates of devices in a process of its own, one burst of each at a time."""

    def __init__(self, devices: Iterable[Device], sampling_s: float, worker: Worker | None = None) -> None:
        self._bursts: dict[Device, list[PeakBurst]] = {device: [] for device in devices}
        self._failed: set[Device] = set()
        self._round_s, self._left_s = _SHARE * sampling_s / _ROUNDS, 0.0
        self._worker = worker or pytorch_worker(starts=1 + len(self._bursts))

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._worker.end()

    def burst(self) -> None:
        """Measure each device once if it is due. One that fails is not tried again, and has no rates."""
        self._left_s += self._round_s
        for device, bursts in self._bursts.items():
            if device in self._failed or (len(bursts) >= _LEAST_BURSTS and self._left_s <= 0):
                continue
            answer = self._worker.ask(MeasurePeak(*device), PeakBurst, _TIMEOUT_S)
            if isinstance(answer, PeakBurst):
                bursts.append(answer)
                self._left_s -= _PRODUCT_S + _COPY_S
            else:
                self._failed.add(device)

    def rates(self) -> tuple[PeakRates, ...]:
        """Return the rates of the best bursts, by the median call of each, of devices with enough bursts."""
        return tuple(
            PeakRates(
                *device,
                bursts[0].macs / _fastest([each.product for each in bursts], device.threads),
                bursts[0].bytes / _fastest([each.copy for each in bursts], device.threads),
            )
            for device, bursts in self._bursts.items()
            if len(bursts) >= _LEAST_BURSTS
        )

    def complete(self) -> None:
        """Measure until every device that works has enough bursts."""
        while any(len(b) < _LEAST_BURSTS for device, b in self._bursts.items() if device not in self._failed):
            self.burst()


def _fastest(bursts: Sequence[Burst], threads: int) -> float:
    clear = [burst for burst in bursts if not burst.is_contended(threads)]
    return min(burst.median for burst in clear or bursts)


def measure_peak(device: Device) -> PeakBurst:
    """Time one burst of the device's fastest product and one of its fastest copy."""
    import torch

    torch.set_num_threads(device.threads)
    with torch.inference_mode():
        (multiply, macs), (copy, size) = _fastest_calls(device)
        return PeakBurst(macs, _burst(multiply, _PRODUCT_S), size, _burst(copy, _COPY_S))


def _burst(call: Callable[[], object], seconds: float) -> Burst:
    return msgspec.convert(msgspec.to_builtins(clock.burst(call, seconds)), Burst)


_Call = tuple[Callable[[], object], int]


@cache
def _fastest_calls(device: Device) -> tuple[_Call, _Call]:
    """Return the fastest product, with its MACs, and the fastest copy, with its bytes.

    A product may be computed in fp32 whatever the dtype: a processor that is slow at fp16 converts.
    """
    import torch

    kinds = {torch.float32: None, getattr(torch, _TORCH_NAMES[device.dtype]): None}
    products = (((n**3, _product(n, device.name, kind)) for n in _SIDES) for kind in kinds)
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
