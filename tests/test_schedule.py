"""Real worker processes: their measurements, and the handling of faulty runtimes."""

import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from measured import SMALL, measure

from mnv3prof.bench.convert import convert
from mnv3prof.bench.pool import STARTS
from mnv3prof.bench.schedule import CONVERGED
from mnv3prof.device.protocol import Begin, PartKey
from mnv3prof.device.runtimes import Unsupported
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.parts import NET
from mnv3prof.record.target import Target
from mnv3prof.workers.backends import backend, name_of, names, usable
from mnv3prof.workers.cache import default_folder
from mnv3prof.workers.links.process import local
from mnv3prof.workers.requests import FileKind
from mnv3prof.workers.worker import Worker, runtime_worker


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[Any]:
    before = set(psutil.Process().children())
    yield
    assert set(psutil.Process().children()) <= before


def _by_part(timings: Any) -> Any:
    return {timing.part: timing for timing in timings}


def test_a_known_time_is_the_least_that_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """How close to it, tests/benchmarks/test_known_times.py shows on a quiet machine."""
    monkeypatch.setenv("NULL_SECONDS", "0.002")
    (timing,) = measure(SMALL, ["stem"], ["null"], budget_s=0.5)
    assert (timing.status, timing.max_abs_err) == ("ok", 0)
    assert timing.summary.median >= 0.002


@pytest.mark.parametrize("noise", ["outliers", "first"])
def test_disturbances_are_reported(noise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULL_SECONDS", "0.0005")
    monkeypatch.setenv("NULL_NOISE", noise)
    (timing,) = measure(SMALL, ["stem"], ["null"], budget_s=0.5)
    assert timing.summary.median >= 0.0005
    assert timing.first_s >= 1 if noise == "first" else timing.outliers > 0


def test_what_is_final_is_not_measured_again_and_the_rest_is() -> None:
    first = measure(SMALL, ["stem", "1"], ["null"], budget_s=0.3)
    kept: list[Any] = []
    again = measure(SMALL, ["stem", "1", "2"], ["null"], budget_s=0.3, known=first, on_update=kept.append)
    assert again[:2] == first
    assert again[2].bursts
    assert kept[-1] == again
    assert all(timings[:2] == first for timings in kept)


@pytest.fixture(scope="module")
def stem_on_pytorch() -> Any:
    (timing,) = measure(SMALL, ["stem"], ["cpu"], budget_s=0.1)
    return timing


@pytest.mark.parametrize("how", [{"threads": 2}, {"dtype": "bf16"}, {"batch": 2}])
def test_another_type_batch_or_thread_count_is_measured_anew(how: Any, stem_on_pytorch: Any) -> None:
    (again,) = measure(SMALL, ["stem"], ["cpu"], budget_s=0.1, known=(stem_on_pytorch,), **how)
    assert {field: getattr(again.target, field) for field in how} == how
    assert again.launches != stem_on_pytorch.launches
    (same,) = measure(SMALL, ["stem"], ["cpu"], budget_s=0.1, known=(again,), **how)
    assert same == again


def test_a_type_that_a_runtime_lacks_is_a_row_with_its_reason() -> None:
    (timing,) = measure(SMALL, ["stem"], ["null"], dtype="int8", budget_s=0.1)
    assert (timing.status, timing.reason) == ("unsupported", "it supports fp32, not int8")


def test_every_part_runs_on_pytorch_and_agrees_with_it() -> None:
    parts = (*SMALL.graph.block_names, NET)
    timings = _by_part(measure(SMALL, parts, ["cpu"], budget_s=1.5))
    assert list(timings) == list(parts)
    for timing in timings.values():
        assert (timing.status, timing.reason) == ("ok", "")
        assert timing.max_rel_err < 1e-5
        assert timing.calls >= len(timing.bursts) > 0
        assert 0 < timing.cpu_per_wall < 1.5  # one thread
    assert timings[NET].summary.median > timings["stem"].summary.median


HANG_S = 4
"""Time limit of the calls that hang; other workers have a minute, since loading may take long."""


class _Patient(Worker):
    def start(self, within_s: float = 0, stop: Any = None) -> Any:
        return super().start(60, stop)

    def ask(self, request: Any, kind: Any, within_s: float = 0, stop: Any = None) -> Any:
        return super().ask(request, kind, 60, stop)


def _worker(target: Target, subjects: Any) -> Worker:
    if target.backend == "null":
        return runtime_worker(target, subjects, STARTS)
    return _Patient(lambda: local("mnv3prof.device.worker"), (Begin(target.backend),), STARTS)


def _measured_with_fault(fault: str, parts: Any, **how: Any) -> Any:
    convert(
        {FileKind("onnx", "fp32", 1): [PartKey("", part) for part in parts]}, {"": SMALL}, default_folder()
    )
    timeout_s = HANG_S if fault == "hang" else 60
    timings = measure(
        SMALL, parts, ["null", "onnxruntime"], budget_s=0.5, timeout_s=timeout_s, worker=_worker, **how
    )
    return {(t.target.backend, t.part): t for t in timings}


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("raise", "crashed", "RuntimeError: told to fail"),
        ("exit", "crashed", "SIGABRT"),
        ("segfault", "crashed", "SIGSEGV"),
        ("memory", "crashed", "MemoryError"),
        ("hang", "timeout", f"no answer within {HANG_S} s"),
    ],
)
def test_a_fault_is_a_row_and_the_others_go_on(
    fault: str, status: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULL_FAULT", fault)
    found = _measured_with_fault(fault, ["1", "2"])
    assert found["null", "1"].status == status
    assert reason in found["null", "1"].reason
    assert found["null", "1"].launches == ()
    assert found["onnxruntime", "1"].status == found["onnxruntime", "2"].status == "ok"
    assert found["null", "2"].status == "ok"  # in a new process, where the first is gone


@pytest.mark.parametrize(
    ("fault", "status"), [("raise", "crashed"), ("segfault", "crashed"), ("hang", "timeout")]
)
def test_a_fault_while_compiling_beside_the_others_is_a_row_too(
    fault: str, status: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULL_FAULT", fault)
    monkeypatch.setattr(backend("null"), "COMPILES", True, raising=False)
    heard: list[Any] = []
    found = _measured_with_fault(fault, ["stem", "1", "2"], on_progress=heard.append)
    assert found["null", "1"].status == status
    assert {t.status for key, t in found.items() if key != ("null", "1")} == {"ok"}
    assert all(t.bursts for key, t in found.items() if key != ("null", "1"))
    if fault == "hang":
        assert any(progress.text == "compiling on null: 1 of 3 parts are ready" for progress in heard)


def test_what_is_not_compiled_in_time_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULL_FAULT", "hang")
    monkeypatch.setattr(backend("null"), "COMPILES", True, raising=False)
    monkeypatch.setattr("mnv3prof.bench.schedule._GRACE_S", 0.5)
    timings = _by_part(measure(SMALL, ["stem", "1", "2"], ["null"], budget_s=0.2, ready_s=HANG_S))
    assert timings["stem"].status == "ok"
    assert (timings["1"].status, timings["2"].status) == ("timeout", "timeout")
    assert timings["2"].reason == f"it was not ready within the {HANG_S} s that getting ready may take"


def test_a_wrong_output_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULL_FAULT", "wrong")
    timings = _by_part(measure(SMALL, ["1", "2"], ["null"], budget_s=0.2))
    assert (timings["1"].status, timings["2"].status) == ("mismatch", "ok")
    assert timings["1"].max_abs_err == pytest.approx(1, rel=1e-5)
    assert "off the reference's" in timings["1"].reason


def test_an_absent_runtime_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def chip() -> None:
        raise Unsupported("not here")

    monkeypatch.setattr(backend("null"), "chip", chip, raising=False)
    timings = measure(SMALL, ["1", "2"], ["null"], budget_s=0.2)
    assert [(t.status, t.reason) for t in timings] == [("not available", "not here")] * 2


def test_the_budget_bounds_the_sampling_and_rounds_are_interleaved() -> None:
    heard: list[Any] = []
    backends = ["null", "onnxruntime"]
    timings = measure(SMALL, ["stem", "1", "2"], backends, budget_s=1.0, on_progress=heard.append)
    rounds = [progress.what.split(", round ") for progress in heard if ", round " in progress.what]
    shares = [progress.share for progress in heard if progress.share is not None]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.2
    first = [part for part, number in rounds if number == "1"]
    assert sorted(first) == sorted(f"{part} on {name}" for part in ("stem", "1", "2") for name in backends)
    assert len({number for _, number in rounds}) >= 3
    assert {progress.phase for progress in heard if progress.share is not None} == {"sampling"}
    assert all(0 <= progress.left_s <= 1.0 for progress in heard if progress.left_s is not None)
    assert sum(b.calls * b.mean_s for t in timings for b in t.bursts) < 1.5
    assert all(t.stopped in ("converged", "budget") for t in timings)
    assert all((t.stopped == "converged") is (t.summary.interval <= CONVERGED) for t in timings)


def test_backends_are_the_files_of_their_folder() -> None:
    assert {"null", "cpu"} <= set(names())
    with pytest.raises(InputError, match=r"'tpu' is not known; expected .*cpu"):
        name_of("tpu")
    for name in names():
        assert len(backend(name).WHAT) > 5
        assert "fp32" in backend(name).DTYPES
        found = usable(name)
        assert found.ok or found.reason


def test_the_parent_builds_no_network() -> None:
    assert os.environ.get("PYTEST_CURRENT_TEST")
    import subprocess
    import sys

    code = (
        "import sys\n"
        "from mnv3prof.cli.main import run\n"
        "if __name__ == '__main__':\n"
        "    code = run(['latency', 'small', '--on', 'null', '--parts', 'net', '--time-budget', '0.2'])\n"
        "    print(code, 'torch' in sys.modules, 'numpy' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["0", "False", "False"]
