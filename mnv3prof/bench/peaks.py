"""Peak rates of a device: of a matrix product and of a copy, measured in bursts between those of parts."""

from collections.abc import Iterable, Sequence
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
                self._left_s -= PRODUCT_S + COPY_S
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
