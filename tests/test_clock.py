"""The timing loop on a clock of its own, where every time is known."""

import pytest

from mnv3prof.bench.clock import visit


class Machine:
    """A clock that only a call moves on: by the next of `times`, then by the last one again."""

    def __init__(self, *times):
        self.times, self.now, self.calls = list(times), 0.0, 0

    def call(self):
        self.now += self.times[min(self.calls, len(self.times) - 1)]
        self.calls += 1

    def visit(self, seconds):
        return visit(self.call, seconds, clock=lambda: self.now, cpu_clock=lambda: 2 * self.now)


def test_a_steady_call_is_warmed_for_two_windows_and_then_timed():
    machine = Machine(0.01)
    found = machine.visit(1.0)
    assert found.samples == pytest.approx([0.01] * len(found.samples))
    assert len(found.samples) == pytest.approx(94, abs=1)
    assert machine.calls == len(found.samples) + 6


def test_slow_first_calls_are_not_timed():
    found = Machine(0.3, 0.1, 0.05, 0.02, 0.01).visit(2.0)
    assert max(found.samples) == pytest.approx(0.01)


def test_warming_takes_at_most_half_of_the_visit():
    falling = [0.01 * 0.9**n for n in range(1000)]
    machine = Machine(*falling)
    found = machine.visit(0.05)
    assert sum(found.samples) >= 0.02
    assert len(found.samples) < machine.calls


@pytest.mark.parametrize("seconds", [0.0, 0.001, 5.0])
def test_one_call_is_timed_whatever_it_takes(seconds):
    assert Machine(10.0).visit(seconds).samples == (10.0,)


def test_processor_time_by_time():
    assert Machine(0.01).visit(1.0).cpu_per_wall == pytest.approx(2.0)


def test_an_outlier_does_not_move_the_median():
    from mnv3prof.record.stats import summarize

    times = [0.01] * 200
    times[20::20] = [1.0] * 9
    assert summarize(Machine(*times).visit(10.0).samples).median == pytest.approx(0.01)
