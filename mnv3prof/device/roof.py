"""Peak rates of a device, by NumPy: of an fp32 matrix product and of a copy."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable

from .clock import burst
from .protocol import Roof

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .protocol import MeasureRoof

_SIDES = (128, 256, 512, 1024)
_COPIES = (2**20, 2**22, 2**24, 2**26)
_MOST_CALL_S = 0.05
_PRODUCT_S = 0.12
_COPY_S = 0.04

_calls: list[Any] = []


def measure_roof(_: MeasureRoof) -> Roof:
    """Time a burst of the fastest product and one of the fastest copy."""
    import numpy as np

    if not _calls:
        _calls.extend((_best(_products(np)), _best(_copies(np))))
    (macs, multiply), (size, copy) = _calls
    return Roof(macs, asdict(burst(multiply, _PRODUCT_S)), size, asdict(burst(copy, _COPY_S)))


def _products(np: Any) -> Iterable[tuple[int, Callable[[], object]]]:
    for side in _SIDES:
        a, b = (np.random.RandomState(n).rand(side, side).astype(np.float32) for n in range(2))
        target = np.empty_like(a)
        yield side**3, partial(np.matmul, a, b, out=target)


def _copies(np: Any) -> Iterable[tuple[int, Callable[[], object]]]:
    for size in _COPIES:
        source = np.ones(size // 4, np.float32)
        target = np.zeros_like(source)
        yield 2 * size, partial(np.copyto, target, source)


def _best(calls: Iterable[tuple[int, Callable[[], object]]]) -> tuple[int, Callable[[], object]]:
    """Return the amount and the call of the highest rate; larger ones of too long calls are not tried."""
    found: list[tuple[float, int, Callable[[], object]]] = []
    for amount, call in calls:
        fastest = min(_timed(call) for _ in range(3))
        found.append((amount / fastest, amount, call))
        if fastest > _MOST_CALL_S:
            break
    _, amount, call = max(found, key=lambda each: each[0])
    return amount, call


def _timed(call: Callable[[], object]) -> float:
    begin = perf_counter()
    call()
    return perf_counter() - begin
