"""Ctrl-C at chosen moments: what there is is printed, a sentence says what is saved, the exit code is 130."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from runs import exact, run_of
from subjects import read_run, subject

from mnv3prof.bench import plan, profile
from mnv3prof.bench.peaks import PeakMeter
from mnv3prof.claims import measure
from mnv3prof.claims.claim import TimingRequest
from mnv3prof.cli.main import run
from mnv3prof.cli.runs import with_plans
from mnv3prof.record.plan import NOT_READ, RuntimePlan
from mnv3prof.record.target import Target

NULL = ["--on", "null", "--input", "32"]
TINY = str(Path(__file__).with_name("tiny.toml"))
THOP_SLEEPS = """
import time
from mnv3prof.cost.counters import thop
thop.read = lambda model, image: time.sleep(60)
"""
NULL_HAS_A_SLOW_PLAN = """
import time
from mnv3prof.bench import plan
from mnv3prof.bench.progress import Progress
def slow(target, subject, folder, on_progress, timeout_s):
    on_progress(Progress(f"reading the memory plan of {target.backend}"))
    time.sleep(60 if target.backend == "null" else 0)
    return plan._Planned(65_536, ())
plan._plan, plan.plan_obstacle = slow, lambda target: None
"""


def interrupted(
    folder: Path, arguments: list[str], when: str, before: str = "", interrupts: int = 1, **environment: str
) -> tuple[int, str, list[str]]:
    """Run a command and interrupt it as soon as a line of its progress begins with `when`.

    before: code that it runs first. Return the exit code, the output and the lines on standard error.
    """
    out, err = folder / "out", folder / "err"
    code = f"{before}\nfrom mnv3prof.cli.main import main\nmain()"
    with out.open("w", encoding="utf-8") as output, err.open("w", encoding="utf-8") as messages:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=output,
            stderr=messages,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1", **environment},
            start_new_session=True,
        )
        try:
            _wait_for_a_line(process, err, when)
            for _ in range(interrupts):
                os.killpg(process.pid, signal.SIGINT)
                time.sleep(0.1)
            code_of_exit = process.wait(30)
        finally:
            process.kill()
    return code_of_exit, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8").splitlines()


def _wait_for_a_line(process: Any, file: Path, begin: str) -> None:
    deadline = time.monotonic() + 90
    while not any(line.startswith(begin) for line in file.read_text(encoding="utf-8").splitlines()):
        assert process.poll() is None, file.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, file.read_text(encoding="utf-8")
        time.sleep(0.05)


def test_cross_check_prints_the_counters_that_have_run(tmp_path: Path) -> None:
    command = ["flops", TINY, "--input", "32", "--cross-check"]
    code, out, err = interrupted(tmp_path, command, "counting with thop", THOP_SLEEPS)
    assert code == 130
    assert err[-1] == (
        "mnv3prof: stopped; 2 of 10 results of FLOP counters are printed; the same command starts again"
    )
    (results,) = [line.split() for line in out.splitlines() if line.startswith("counter result")]
    assert [cell.replace(",", "").isdecimal() for cell in results[3:]] == [True, True, *[False] * 8]
    assert "thop not run: interrupted." in out
    assert "onnx-tool not run: interrupted." in out


def test_memory_prints_the_plans_that_were_read(tmp_path: Path) -> None:
    command = ["memory", TINY, "--input", "32", "--on", "cpu,null,mnn", "--fit", "1GiB"]
    when = "reading the memory plan of null"
    code, out, err = interrupted(tmp_path, command, when, NULL_HAS_A_SLOW_PLAN)
    assert code == 130
    assert err == [when, "mnv3prof: stopped; 1 of 3 memory plans were read; the same command starts again"]
    assert "cpu              64.0 KiB" in out
    assert "null: not read: interrupted." in out
    assert "mnn: not read: interrupted." in out


def test_latency_prints_the_times_that_were_measured_and_further_interrupts_are_quiet(tmp_path: Path) -> None:
    command = ["latency", TINY, *NULL, "-o", "run.json", "--time-budget", "60"]
    code, out, err = interrupted(tmp_path, command, "sampling", interrupts=4, NULL_SECONDS="0.02")
    assert code == 130
    assert out == ""
    timings = read_run(tmp_path / "run.json").timings
    done = sum(timing.seconds is not None for timing in timings)
    assert done >= 1
    assert err[-2].startswith("sampling, 5")
    assert err[-2].endswith(" s left")
    assert err[-1] == (
        f"mnv3prof: stopped; {done} of {len(timings)} times are saved in run.json; continue with mnv3prof "
        "profile, the same options and --resume"
    )


def test_a_check_of_backends_prints_those_that_were_checked(tmp_path: Path) -> None:
    command = ["backends", "--check", "--format", "json"]
    code, out, err = interrupted(tmp_path, command, "checking null", NULL_FAULT="hang")
    assert code == 130
    assert err[-1].startswith("mnv3prof: stopped; 1 of ")
    assert err[-1].endswith(" backends were checked; the same command starts again")
    checks = {row["name"]: row["check"] for row in json.loads(out)["backends"] if row["usable"]}
    assert checks.pop("cpu").startswith("PASS")
    assert set(checks.values()) == {"not run: interrupted"}


def test_claims_print_the_findings_so_far(tmp_path: Path) -> None:
    command = ["claims", TINY, "K2", "--measure", *NULL, "--time-budget", "60", "--train"]
    code, out, err = interrupted(tmp_path, command, "sampling", NULL_SECONDS="0.02")
    assert code == 130
    assert "K2" in out
    assert "times were measured and not saved; use --output FILE.json to save what is measured" in err[-1]
    assert err[-1].endswith("0 trainings are finished; continue with the same command")


def _interrupt(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_an_interrupt_ends_all_runs_of_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    net = subject("small", 32)
    asked: list[Any] = []

    def cut(request: Any, **_: Any) -> Any:
        asked.append(request)
        return run_of(net, [exact("cpu", "net", 0.001, stopped="interrupted")])

    wanted = TimingRequest("", net, "net", dtypes=("fp32", "int8"))
    how = measure.MeasureOptions(("cpu", "onnxruntime"))
    monkeypatch.setattr(measure, "profile", cut)
    found = measure.measure(net, [wanted], how)
    assert (len(found.runs), found.interrupted, len(asked)) == (1, True, 1)
    monkeypatch.setattr(measure, "profile", _interrupt)
    assert measure.measure(net, [wanted], how) == ((), True)


def test_an_interrupt_after_the_sampling_keeps_all_times(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    monkeypatch.setattr(PeakMeter, "complete", _interrupt)
    command = ["profile", TINY, *NULL, "--parts", "net", "--time-budget", "0.2", "-o", str(path)]
    assert run(command) == 130
    out, err = capsys.readouterr()
    assert "Interrupted before the peak rates" in out
    assert f"1 of 1 time is saved in {path}; continue with the same command and --resume" in err
    monkeypatch.undo()
    assert run([*command, "--resume"]) == 0
    assert read_run(path).notes == ()


def test_profile_keeps_the_counters_that_have_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    monkeypatch.setattr("mnv3prof.cost.counters.fvcore.read", _interrupt)
    monkeypatch.setattr("mnv3prof.cli.commands.profile.with_plans", lambda *_: pytest.fail("went on"))
    command = ["profile", TINY, *NULL, "--parts", "net", "--time-budget", "0.2", "-o", str(path)]
    assert run([*command, "--cross-check", "--plans"]) == 130
    assert (
        f"1 of 1 time and 1 of 10 results of FLOP counters are saved in {path}; " in capsys.readouterr().err
    )
    assert [reading.status for reading in read_run(path).readings] == ["ok", *["not run"] * 9]
    assert run([*command, "--resume"]) == 0
    assert [reading.status for reading in read_run(path).readings] == ["ok"]


def test_a_report_of_several_networks_ends_at_the_first_interrupt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mnv3prof.bench import schedule

    monkeypatch.setattr(schedule, "_sample", _interrupt)
    monkeypatch.setattr("mnv3prof.cli.commands.report.with_readings", lambda _: pytest.fail("went on"))
    command = ["report", TINY, "small", *NULL, "--cross-check", "--parts", "net"]
    command += ["-o", str(tmp_path / "page.html")]
    assert run(command) == 130
    assert "0 of 1 time is saved in" in capsys.readouterr().err
    assert (tmp_path / "page.html").exists()


def test_an_interrupt_ends_the_reading_of_plans_of_every_dtype(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    net = subject("small", 32)
    targets = tuple(Target(backend="litert", dtype=dtype) for dtype in ("fp32", "int8"))
    request = profile.Request({"": net}, {"": ("net",)}, targets, folder=tmp_path)
    monkeypatch.setattr(plan, "_plan", _interrupt)
    found = with_plans(run_of(net, []), request)
    assert found.plans == tuple(RuntimePlan("litert", reason=NOT_READ, dtype=d) for d in ("fp32", "int8"))
    assert found.was_interrupted
    assert found.to_resume().plans == ()


def test_train_prints_the_epochs_so_far(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mnv3prof.train import recipe

    path, right = tmp_path / "net.pt", recipe.accuracy
    tested: list[float] = []

    def accuracy(*given: Any) -> float:
        if len(tested) == 2:
            raise KeyboardInterrupt
        tested.append(right(*given))
        return tested[-1]

    monkeypatch.setattr(recipe, "accuracy", accuracy)
    command = ["train", TINY, "--input", "8", "--epochs", "5", "--no-autoaugment", "--format", "json"]
    assert run([*command, "-o", str(path)]) == 130
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [epoch["accuracy"] for epoch in found["history"]] == tested
    assert (found["accuracy"], found["stopped"]) == (tested[-1], "epoch 3: interrupted")
    assert f"the finished epochs are saved in {path}; continue with the same command and --resume" in err


def test_an_interrupted_clearing_of_the_cache_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mnv3prof.cli.commands.cache.clear", _interrupt)
    assert run(["cache", "--clear"]) == 130
    sentence = "mnv3prof: stopped; a part of the entries is removed; the same command starts again\n"
    assert capsys.readouterr() == ("", sentence)
