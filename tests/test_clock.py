"""The timing loop on a fake clock, with known times."""

import os
import sys
from typing import Any

import pytest

from mnv3prof.device import clock
from mnv3prof.device.clock import CANARY, OTHERS, WAITS, burst


class Machine:
    """A clock that a call advances by the next of `times`, then always by the last one."""

    def __init__(self, *times: Any) -> None:
        self.times, self.now, self.calls = list(times), 0.0, 0

    def call(self) -> None:
        self.now += self.times[min(self.calls, len(self.times) - 1)]
        self.calls += 1

    def burst(self, seconds: float) -> Any:
        return burst(self.call, seconds, clock=lambda: self.now, cpu_clock=lambda: 2 * self.now)


def test_a_steady_call_is_warmed_for_two_windows_and_then_timed() -> None:
    machine = Machine(0.01)
    found = machine.burst(1.0)
    assert found.wall_s == pytest.approx([0.01] * 9)
    assert (found.mean_s, found.max_s) == pytest.approx((0.01, 0.01))
    assert found.calls == pytest.approx(94, abs=1)
    assert machine.calls == found.calls + 6


def test_slow_first_calls_are_not_timed() -> None:
    found = Machine(0.3, 0.1, 0.05, 0.02, 0.01).burst(2.0)
    assert found.max_s == pytest.approx(0.01)


def test_warming_takes_at_most_half_of_the_burst() -> None:
    falling = [0.01 * 0.9**n for n in range(1000)]
    machine = Machine(*falling)
    found = machine.burst(0.05)
    assert found.calls * found.mean_s >= 0.02
    assert found.calls < machine.calls


@pytest.mark.parametrize("seconds", [0.0, 0.001, 5.0])
def test_one_call_is_timed_whatever_it_takes(seconds: float) -> None:
    found = Machine(10.0).burst(seconds)
    assert (found.calls, found.wall_s, found.max_s) == (1, (10.0,), 10.0)


def test_processor_time_by_time() -> None:
    assert Machine(0.01).burst(1.0).cpu_s == pytest.approx(0.02)


def test_an_outlier_does_not_move_the_median_and_is_counted() -> None:
    times = [0.01] * 200
    times[20::20] = [1.0] * 9
    found = Machine(*times).burst(10.0)
    assert found.wall_s[4] == pytest.approx(0.01)
    assert (found.outliers, found.max_s) == (9, 1.0)
    assert found.mean_s > 0.02


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count them")
def test_a_process_that_has_its_processor_taken_counts_how_often(monkeypatch: pytest.MonkeyPatch) -> None:
    from mnv3prof.device import clock

    counts = iter([(1, 3), (6, 10)])
    monkeypatch.setattr(clock, "_switches", lambda: next(counts))
    found = Machine(0.01).burst(0.1)
    assert (found.switches, found.state[WAITS]) == (7, 5)
    monkeypatch.setattr(clock, "_switches", lambda: (None, None))
    found = Machine(0.01).burst(0.1)
    assert found.switches is None
    assert WAITS not in found.state
    monkeypatch.undo()
    assert min(clock._switches()) >= 0  # type: ignore[operator, type-var]


@pytest.mark.parametrize(
    ("machine_s", "share"),
    [
        (4.015, 1.0 / 2),  # 2 s of the burst's own CPU time, 2 s of others, and the clock's step
        (2.015, 0.0),
        (1.0, 0.0),  # the count lags behind
    ],
)
def test_what_other_processes_used_is_all_that_the_burst_did_not(
    machine_s: float, share: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst of 1 s by the wall clock, whose process works on two CPUs; by hand."""
    counted = iter([100.0, 100.0 + machine_s])
    monkeypatch.setattr(clock, "_machine_cpu_s", lambda: next(counted))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    found = Machine(0.01).burst(0.995)
    assert found.state[OTHERS] == pytest.approx(share, abs=0.001)


def test_a_system_that_counts_no_cpu_time_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_STAT", "/nowhere")
    assert OTHERS not in Machine(0.01).burst(0.1).state


@pytest.mark.skipif(sys.platform != "linux", reason="the count is Linux's")
def test_the_cpu_time_of_the_machine_is_psutils() -> None:
    import psutil

    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    assert clock._machine_cpu_s() == pytest.approx(busy, abs=2)


def test_the_slower_of_two_canaries_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.002, 0.001, 0.003, 0.004])
    monkeypatch.setattr(clock, "canary_s", lambda: next(times))
    assert [Machine(0.01).burst(0.1).state[CANARY] for _ in range(2)] == [0.002, 0.004]
