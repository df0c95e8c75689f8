"""Other devices, over SSH to this machine: what a start costs, and how far times agree with those of here.

pytest --benchmark-only tests/benchmarks/test_device_benchmarks.py -s -n0
"""

import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from some import some
from subjects import subject

from mnv3prof.bench.convert import convert, file_kind, loading
from mnv3prof.device.protocol import Cached, Kept, PartKey, Prepared, Sample
from mnv3prof.record.target import Target
from mnv3prof.record.timing import Burst
from mnv3prof.workers.cache import default_folder
from mnv3prof.workers.devices import device_of
from mnv3prof.workers.remote import RemoteWorker, remote_worker
from mnv3prof.workers.worker import runtime_worker

SMALL = subject("small", 224)
BACKENDS = ("ncnn", "mnn", "onnxruntime", "litert")
VISITS = 18
PAIRS = 9
STARTS = 12


@pytest.mark.usefixtures("pi")
@pytest.mark.parametrize("backend", BACKENDS)
def test_times_over_ssh_agree_with_those_of_here(benchmark: Any, backend: str) -> None:
    """Visits in turns to pairs of processes: a process keeps its memory layout, which a time depends on."""
    here, there = Target(backend=backend), Target(backend=backend, device="pi")
    part, subjects = PartKey("", "4"), {"": SMALL}
    convert({some(file_kind(here)): (part,)}, subjects, default_folder())
    request = loading(part, here, subjects, default_folder())

    def visited() -> float:
        """Return the ratio of the medians of the least disturbed thirds of the visits to a pair."""
        times: list[list[float]] = [[], []]
        with runtime_worker(here, subjects) as ours, remote_worker(device_of("pi"), there) as theirs:
            for worker in (ours, theirs):
                assert isinstance(worker.ask(request, Prepared, 60), Prepared)
            for n in range(VISITS):
                for which in (0, 1) if n % 2 else (1, 0):
                    answer = (ours, theirs)[which].ask(Sample(part, 0.05), Burst, 60)
                    assert isinstance(answer, Burst)
                    times[which].append(answer.median)
        ours_s, theirs_s = (median(sorted(each)[: VISITS // 3]) for each in times)
        return theirs_s / ours_s

    def compare() -> list[float]:
        return sorted(visited() for _ in range(PAIRS))

    ratios = benchmark.pedantic(compare, rounds=1)
    ratio = median(ratios)
    print(f"\n{backend}: pairs {ratios[0]:.3f} to {ratios[-1]:.3f}")
    print(f"\n{backend}: over SSH / here = {ratio:.4f}")
    assert 0.985 < ratio < 1.015


@pytest.mark.usefixtures("pi")
def test_a_start_is_little_more_than_that_of_ssh(benchmark: Any, tmp_path: Path) -> None:
    """Pairs: `ssh pi true`, and a worker up to its first answer."""

    def compare() -> tuple[float, float]:
        bare, started = [], []
        for _ in range(STARTS):
            begin = time.perf_counter()
            subprocess.run(device_of("pi").command("true"), check=True)
            bare.append(time.perf_counter() - begin)
            with RemoteWorker(device_of("pi").link) as worker:
                begin = time.perf_counter()
                assert isinstance(worker.ask(Cached(), Kept, 60), Kept)
                started.append(time.perf_counter() - begin)
        return median(bare), median(started)

    bare, started = benchmark.pedantic(compare, rounds=1)
    print(f"\nssh pi true: {bare:.3f} s; a worker: {started:.3f} s")
    assert started <= 1.5 * bare + 0.2
