"""How often verdicts on times are wrong, and how often right ones are found: measured, not simulated.

`pytest --benchmark-only tests/benchmarks/test_verdict_benchmarks.py -s -n0`, about 25 minutes on a machine with
nothing else to do.
"""

import os
import subprocess
import sys
from itertools import combinations
from math import log, sqrt
from pathlib import Path
from statistics import fmean, median, variance
from typing import Any

import pytest
from some import some
from terminal import SCRIPT

from mnv3prof.analysis.compare import Change, compare
from mnv3prof.analysis.load import clock_of, load_of, summary_by
from mnv3prof.record.run import HERE
from mnv3prof.source import open_source

BACKENDS = "cpu,onnxruntime,ncnn,litert"
REPEATS = 10
NETS = 20
VARIANT = ("--width", "0.85")
"""MobileNetV3-Large takes 10 to 20 % less time at this width."""


def _run(path: Path, *arguments: Any, command: str = "profile", **environment: Any) -> Any:
    command = [SCRIPT, command, *arguments, "-o", str(path)]  # type: ignore[assignment]
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    return open_source(str(path)).run


def _timings(run: Any) -> Any:
    return {(t.target.backend, t.part): t for t in run.timings}


def _verdicts(old: Any, new: Any) -> Any:
    before, after = _timings(old), _timings(new)
    return {key: compare(before[key], after[key], old, new) for key in before}


def _launch_and_run_variance(timings: Any) -> Any:
    """Variances of the logarithm of the median between launches of a run, and between runs beyond it."""
    launches = [[log(median(each)) for each in timing.medians()] for timing in timings]
    within = [variance(each) for each in launches if len(each) > 1]
    between = variance([fmean(each) for each in launches])
    launch = fmean(within) if within else 0.0
    return launch, max(0.0, between - launch / fmean(map(len, launches)))


def test_repeated_runs_are_told_to_be_the_same(benchmark: Any, tmp_path: Path) -> None:
    runs: list[Any] = []
    arguments = ("large", "--on", BACKENDS, "--time-budget", "45")
    benchmark.pedantic(lambda: runs.append(_run(tmp_path / f"{len(runs)}.json", *arguments)), rounds=REPEATS)
    report = repeated(runs)
    benchmark.extra_info |= report
    assert report["wrong"] <= 0.01
    assert report["diffs_with_a_wrong_verdict"] <= 0.05
    assert report["within_5_percent"] >= 0.98


def repeated(runs: Any) -> Any:
    """What runs of one thing say of each other, printed."""
    pairs = list(combinations(runs, 2))
    changes = [_verdicts(*pair) for pair in pairs]
    flat = [change for each in changes for change in each.values()]
    wrong = [[c for c in each.values() if c.verdict in ("faster", "slower")] for each in changes]
    fresh = [c for each in map(_verdicts, runs[::2], runs[1::2]) for c in each.values()]
    variances: dict[Any, Any] = {}
    for key in _timings(runs[0]):
        found = _launch_and_run_variance([_timings(run)[key] for run in runs])
        variances.setdefault(key[0], []).append(found)
    report = {
        "comparisons": len(flat),
        "wrong": sum(map(len, wrong)) / len(flat),
        "fresh_comparisons": len(fresh),
        "wrong_of_fresh": sum(c.verdict in ("faster", "slower") for c in fresh) / len(fresh),
        "diffs_with_a_wrong_verdict": sum(map(bool, wrong)) / len(wrong),
        "same": sum(c.verdict == "same" for c in flat) / len(flat),
        "within_5_percent": sum(c.ratio is not None and abs(c.ratio - 1) <= 0.05 for c in flat) / len(flat),
        "other_cpus": [load_of(run, HERE).other_cpus for run in runs],
        "noisy": [sum(t.summary.noisy for t in run.timings) / len(run.timings) for run in runs],
        "launch_sd": {name: sqrt(median(v for v, _ in each)) for name, each in variances.items()},
        "run_sd": {name: sqrt(median(v for _, v in each)) for name, each in variances.items()},
    }
    print(*(f"\n{name}: {value}" for name, value in report.items()))
    return report


def test_an_injected_change_of_ten_percent_is_found_between_runs(benchmark: Any, tmp_path: Path) -> None:
    """The null backend waits 10 % longer in the second run."""
    arguments = ("small", "--on", "null", "--parts", "net", "--time-budget", "4")
    sides = (arguments, {"NULL_SECONDS": "0.005"}), (arguments, {"NULL_SECONDS": "0.0055"})
    changes = []

    def pair() -> None:
        old, new = (
            _run(tmp_path / f"{n}.json", *given, **environment)
            for n, (given, environment) in enumerate(sides)
        )
        changes.extend(_verdicts(old, new).values())

    benchmark.pedantic(pair, rounds=NETS)
    report = found(changes, "slower")
    benchmark.extra_info |= report
    assert report["found"] >= 0.95


def test_a_real_change_of_ten_percent_is_found_within_a_run(benchmark: Any, tmp_path: Path) -> None:
    """A variant of the network, whose bursts take turns with those of the network itself."""
    arguments = ("large", *VARIANT, "--latency", "--on", BACKENDS, "--parts", "net", "--time-budget", "45")
    changes: list[Change] = []
    bursts: list[int] = []

    def both() -> None:
        run = _run(tmp_path / "both.json", *arguments, command="compare")
        networks: dict[Any, Any] = {}
        for timed in run.timings:
            networks.setdefault(timed.target, []).append(timed)
            bursts.append(len(timed.kept))
        changes.extend(compare(*pair, run, run) for pair in networks.values())  # type: ignore[call-arg]

    benchmark.pedantic(both, rounds=NETS)
    report = {**found(changes, "faster"), "bursts": (min(bursts), median(bursts))}
    benchmark.extra_info |= report
    assert report["found"] >= 0.95


def found(changes: Any, right: Any) -> Any:
    """The share of comparisons with the right verdict, printed with the ratios."""
    ratios = sorted(c.ratio for c in changes if c.ratio is not None)
    report = {
        "comparisons": len(changes),
        "found": sum(c.verdict == right for c in changes) / len(changes),
        "ratio": (ratios[0], median(ratios), ratios[-1]) if ratios else None,
    }
    print(*(f"\n{name}: {value}" for name, value in report.items()))
    print(*(f"\nnot found: {c.described} {c.reason}" for c in changes if c.verdict != right))
    return report


LOADS = {
    "arithmetic": "while True: pass",
    "matrices": "import numpy\na = numpy.ones((700, 700))\nwhile True: a @ a",
}


@pytest.mark.parametrize("load", LOADS)
def test_times_on_a_machine_that_is_busy_on_every_cpu(load: Any, benchmark: Any, tmp_path: Path) -> None:
    """Against those of the quiet machine. Matrix products also take caches: those are printed, not judged."""
    arguments = ("large", "--on", BACKENDS, "--time-budget", "60")
    quiet = _run(tmp_path / "quiet.json", *arguments)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    others, runs = [], []
    try:
        for _ in range(os.cpu_count() or 1):
            others.append(subprocess.Popen([sys.executable, "-c", LOADS[load]], env=environment))
        benchmark.pedantic(lambda: runs.append(_run(tmp_path / "busy.json", *arguments)), rounds=1)
    finally:
        for other in others:
            other.kill()
            other.wait()
    report = on_a_busy_machine(quiet, runs[0])
    benchmark.extra_info |= report
    assert report["load"].busy
    if load == "arithmetic":
        assert report["within_10_percent"] >= 0.90
        assert report["marked"] <= 0.30


def on_a_busy_machine(quiet: Any, busy: Any) -> Any:
    """How far the times that are shown are from the quiet ones, printed."""
    known = _timings(quiet)
    found = {key: summary_by(clock_of(timing, busy), timing) for key, timing in _timings(busy).items()}
    clear = {
        key: some(summary).median / known[key].seconds
        for key, summary in found.items()
        if not some(summary).noisy
    }
    ratios = sorted(some(summary).median / known[key].seconds for key, summary in found.items())
    wall = sorted(timing.seconds / known[key].seconds for key, timing in _timings(busy).items())
    report = {
        "marked": 1 - len(clear) / len(found),
        "within_10_percent": sum(abs(ratio - 1) <= 0.10 for ratio in clear.values()) / max(1, len(clear)),
        "shown_by_quiet": (ratios[0], median(ratios), ratios[-1]),
        "wall_by_quiet": (wall[0], median(wall), wall[-1]),
        "load": load_of(busy, HERE),
    }
    print(*(f"\n{name}: {value}" for name, value in report.items()))
    return report
