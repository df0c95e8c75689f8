"""Peak rates of a device: of a matrix product and of a copy, measured in bursts between those of parts."""

from collections.abc import Callable, Iterable, Sequence
from threading import Event
from typing import Final, Self

from ..record.run import PeakRates
from ..record.timing import Burst
from ..workers.peak_burst import COPY_S, PRODUCT_S, Device, PeakBurst
from ..workers.requests import MeasurePeak
from ..workers.worker import Worker, pytorch_worker

_LEAST_BURSTS: Final = 3
_SHARE: Final = 0.1
"""Beyond _LEAST_BURSTS, bursts of peaks take at most this share of the sampling time, evenly over ..."""
_ROUNDS: Final = 20
"""... this number of rounds."""
_TIMEOUT_S: Final = 60.0


_Rater = Callable[[Device], "tuple[Worker, object]"]
"""Returns the worker that rates a device, and the request for a burst of it."""


class PeakMeter:
    """Measures the peak rates of devices of a machine, one burst of each at a time.

    rater: returns the worker of a device and the request to it; by default one process with PyTorch.
    """

    def __init__(self, devices: Iterable[Device], sampling_s: float, rater: _Rater | None = None) -> None:
        self._bursts: dict[Device, list[PeakBurst]] = {device: [] for device in devices}
        self._failed: dict[Device, str] = {}
        self._round_s, self._left_s = _SHARE * sampling_s / _ROUNDS, 0.0
        rate: _Rater = rater or _pytorch_rater(starts=1 + len(self._bursts))
        self._raters: dict[Device, tuple[Worker, object]] = {device: rate(device) for device in self._bursts}

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        for worker, _request in self._raters.values():
            worker.end()

    @property
    def is_needed(self) -> bool:
        """True if there is a device."""
        return bool(self._bursts)

    def burst(self, stop: Event | None = None) -> None:
        """Measure each device once if it is due. One that fails is not tried again, and has no rates.

        stop: when it is set, nothing is waited for.
        """
        self._left_s += self._round_s
        for device, bursts in self._bursts.items():
            if device in self._failed or (len(bursts) >= _LEAST_BURSTS and self._left_s <= 0):
                continue
            worker, request = self._raters[device]
            answer = worker.ask(request, PeakBurst, _TIMEOUT_S, stop)
            if isinstance(answer, PeakBurst):
                bursts.append(answer)
                self._left_s -= PRODUCT_S + COPY_S
            elif not (stop and stop.is_set()):
                self._failed[device] = answer.reason or answer.status

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

    def failures(self) -> dict[Device, str]:
        """Return why devices have no rates, by device."""
        return {
            device: why for device, why in self._failed.items() if len(self._bursts[device]) < _LEAST_BURSTS
        }

    def complete(self) -> None:
        """Measure until every device that works has enough bursts."""
        while any(len(b) < _LEAST_BURSTS for device, b in self._bursts.items() if device not in self._failed):
            self.burst()


def _pytorch_rater(starts: float) -> _Rater:
    worker = pytorch_worker(starts=starts)
    return lambda device: (worker, MeasurePeak(*device))


def _fastest(bursts: Sequence[Burst], threads: int) -> float:
    clear = [burst for burst in bursts if not burst.is_contended(threads)]
    return min(burst.median for burst in clear or bursts)
