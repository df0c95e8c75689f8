"""Peak rates of a device: of the best burst, by hand."""

from typing import Any

import pytest
from msgspec.structs import replace
from runs import burst

from mnv3prof.bench.peaks import PeakMeter
from mnv3prof.device.clock import OTHERS
from mnv3prof.workers.links.fake import Fake
from mnv3prof.workers.peak_burst import Device, PeakBurst, measure_peak
from mnv3prof.workers.requests import MeasurePeak
from mnv3prof.workers.worker import Worker

CPU = Device("cpu", "fp32", 1)
HALF = Device("cpu", "bf16", 2)


def meter(script: Any, devices: Any = (CPU,), sampling_s: float = 1000.0) -> Any:
    worker = Worker(lambda: Fake(script), starts=1)
    return PeakMeter(devices, sampling_s, lambda device: (worker, MeasurePeak(*device)))


def test_the_rate_is_that_of_the_best_burst_by_hand() -> None:
    """A product of 1,000 MACs in 2 s, then in 1 s, then in half a second beside other processes."""
    product = [burst([2.0] * 3), burst([1.0] * 3), replace(burst([0.5] * 3), state={OTHERS: 0.5})]
    answers = iter([PeakBurst(1000, each, 300, burst([3.0])) for each in product])
    with meter(lambda _: next(answers)) as found:
        found.burst()
        assert found.rates() == ()  # one burst is too few
        found.complete()
    (rates,) = found.rates()
    assert (rates.name, rates.dtype, rates.threads) == CPU
    assert (rates.macs_per_s, rates.bytes_per_s) == (1000.0, 100.0)


def test_each_device_is_measured_in_turn_three_times_at_least_and_for_a_tenth_of_the_time() -> None:
    asked = []

    def script(request: Any) -> Any:
        asked.append((request["dtype"], request["threads"]))
        return PeakBurst(1, burst([1.0]), 1, burst([1.0]))

    with meter(script, (CPU, HALF), sampling_s=0.0) as found:
        for _ in range(9):
            found.burst()
    assert asked == [("fp32", 1), ("bf16", 2)] * 3
    asked.clear()
    with meter(script, (CPU, HALF), sampling_s=16.0) as found:  # a tenth of it is ten bursts of 0.16 s
        for _ in range(20):
            found.burst()
    assert 10 <= len(asked) <= 12


def test_a_device_that_fails_has_no_rates() -> None:
    asked = []
    with meter(lambda request: asked.append(request) or {"failed": "no such device"}) as found:  # type: ignore[func-returns-value]
        found.burst()
        found.burst()
        found.complete()
    assert found.rates() == ()
    assert len(asked) == 1


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_burst_has_a_product_and_a_copy(dtype: Any) -> None:
    found = measure_peak(Device("cpu", dtype, 1))
    assert found.macs > 0
    assert found.product.median > 0
    assert found.copy.median > 0
