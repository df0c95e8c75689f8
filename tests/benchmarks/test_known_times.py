"""Known times, measured to a percent: `pytest --benchmark-only -n0 tests/benchmarks/test_known_times.py`.

On a machine with nothing else to do.
"""

from typing import Any

import pytest
from measured import SMALL, measure


def _timed(benchmark: Any, budget_s: float) -> Any:
    (timing,) = benchmark.pedantic(lambda: measure(SMALL, ["stem"], ["null"], budget_s=budget_s), rounds=1)
    benchmark.extra_info |= {"median_s": timing.summary.median, "outliers": timing.outliers}
    assert timing.status == "ok"
    return timing


@pytest.mark.parametrize("seconds", [20e-6, 200e-6, 2e-3, 20e-3])
def test_a_known_time_is_measured(seconds: float, benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULL_SECONDS", str(seconds))
    timing = _timed(benchmark, 1.5)
    # The call itself takes up to a microsecond on a slow machine.
    assert timing.summary.median == pytest.approx(seconds, rel=0.01, abs=2e-6)


@pytest.mark.parametrize("noise", ["outliers", "drift", "first"])
def test_disturbances_do_not_move_the_median_and_are_reported(
    noise: str, benchmark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULL_SECONDS", "0.0005")
    monkeypatch.setenv("NULL_NOISE", noise)
    timing = _timed(benchmark, 2)
    assert timing.summary.median == pytest.approx(0.0005, rel=0.01)
    if noise == "first":
        assert timing.first_s == pytest.approx(1, rel=0.01)
        assert timing.summary.p90 < 0.00055
    else:
        assert timing.outliers > 0.02 * timing.calls
