"""Run files: atomic at any interrupt, resumed, shown again, and refused if damaged."""

import json
import os
import random
import signal
import subprocess
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil
import pytest
from runs import as_saved, exact, run_of
from subjects import read_run, subject
from terminal import SCRIPT

from mnv3prof.cli.main import run
from mnv3prof.graph.parts import NET
from mnv3prof.record.document import encoded
from mnv3prof.record.run import SCHEMA
from mnv3prof.record.timing import Operator

NULL = ["--on", "null", "--input", "32", "--time-budget", "0.5"]
KILLS = 8
"""Spread evenly over the time that a run takes."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("run") / "run.json"
    assert (
        run(
            [
                "profile",
                "small",
                "--on",
                "cpu,null",
                "--rows",
                "1-2",
                "--input",
                "32x48",
                "--time-budget",
                "1",
                "-o",
                str(path),
            ]
        )
        == 0
    )
    return path


def _document(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_holds_costs_memory_and_timings(kept: Any) -> None:
    found = _document(kept)
    assert found["schema"] == SCHEMA
    assert found["graphs"][""]["input"] == [32, 48]
    assert found["totals"]["macs"] > 0
    assert [block["block"] for block in found["blocks"]][:2] == ["stem", "1"]
    assert found["layers"][0]["name"] == "features.0.0"
    assert found["memory"]["arena"]["bytes"] >= found["memory"]["arena"]["lower_bound"] > 0
    assert found["hosts"][""]["cores"] == os.cpu_count()
    assert found["hosts"][""]["versions"]["torch"]
    assert {r["name"] for r in found["hosts"][""]["peak_rates"]} == {"cpu"}
    assert found["created"].endswith("+00:00")
    assert {(t["target"]["backend"], t["part"]) for t in found["timings"]} == {
        (b, p) for b in ("cpu", "null") for p in "12"
    }
    for timing in found["timings"]:
        assert timing["launches"]
        for burst in (each for launch in timing["launches"] for each in launch["bursts"]):
            assert 1 <= len(burst["wall_s"]) <= min(9, burst["calls"])
            assert burst["wall_s"] == sorted(burst["wall_s"])
            assert 0 < burst["wall_s"][0] <= burst["mean_s"] <= burst["max_s"]
            assert 0 <= burst["cpu_s"] < 2 * burst["mean_s"] + 0.011  # a clock of 10 ms
            assert burst["switches"] >= 0
            assert set(burst["state"]) <= {"other_cpu_share", "voluntary_switches", "canary_s"}
            assert 0 <= burst["state"].get("other_cpu_share", 0) <= 1


def test_a_run_is_read_as_it_was_written(kept: Any) -> None:
    found = read_run(kept)
    assert found.subject.input == (32, 48)
    assert [t.part for t in found.timings] == ["1", "2"] * 2
    assert all(t.final for t in found.timings)


@pytest.mark.parametrize("command", [["latency"], ["flops"], ["memory"], ["table"]])
def test_a_run_is_shown_again(command: list[Any], kept: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, str(kept)]) == 0
    printed = capsys.readouterr().out
    assert "MobileNetV3-Small at 32×48" in printed
    if command == ["latency"]:
        assert "at 32×48: latency on" in printed
        assert "null, ms" in printed


def test_resume_measures_only_what_is_missing(
    kept: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    document = _document(kept)
    document["timings"] = document["timings"][:3]
    path.write_text(json.dumps(document), encoding="utf-8")
    command = [
        "profile",
        "small",
        "--on",
        "cpu,null",
        "--rows",
        "1-3",
        "--input",
        "32x48",
        "--time-budget",
        "0.5",
        "-o",
        str(path),
    ]
    assert run([*command, "--resume"]) == 0
    found = {(t["target"]["backend"], t["part"]): t for t in _document(path)["timings"]}
    assert set(found) == {(b, p) for b in ("cpu", "null") for p in "123"}
    for timing in document["timings"]:
        assert found[timing["target"]["backend"], timing["part"]] == timing
    assert run([*command, "--resume", "--width", "0.5"]) == 2
    assert "is a run of MobileNetV3-Small at 32×48" in capsys.readouterr().err


def test_without_resume_a_run_begins_anew(kept: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(kept.read_bytes())
    assert run(["profile", "small", *NULL, "--parts", "net", "-o", str(path)]) == 0
    assert [t["part"] for t in _document(path)["timings"]] == [NET]


def test_a_kill_at_any_moment_leaves_a_run_that_opens_and_can_be_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    command = ["profile", "small", *NULL, "-o", str(path), "--resume"]
    start = time.monotonic()
    subprocess.run([SCRIPT, *command], check=True, stdout=subprocess.DEVNULL)
    takes = time.monotonic() - start
    path.unlink()
    measured = kills = began = 0
    moments = [(n + 0.5) / KILLS for n in range(KILLS)]
    random.Random(0).shuffle(moments)
    for moment in cycle(moments):
        if kills == KILLS:
            break
        process = subprocess.Popen([SCRIPT, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment * takes)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        if not path.exists():
            continue
        timings = read_run(path).timings
        final = sum(t.final for t in timings)
        assert final >= measured
        measured = final
        began += bool(timings)
        if timings and final == len(timings):  # nothing is left to be killed: begin anew
            path.unlink()
            measured = 0
    assert began >= 2  # else it was never killed at its work
    assert run(command) == 0
    found = read_run(path).timings
    assert [t.part for t in found][-1] == NET
    assert all(t.final for t in found)


def test_ctrl_c_prints_what_there_is_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    command = ["profile", "small", "--on", "null", "--input", "32", "--time-budget", "60", "-o", str(path)]
    environment = {**os.environ, "NULL_SECONDS": "0.02"}
    process = subprocess.Popen(
        [SCRIPT, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (
        path.exists() and any(t["launches"] for t in _document(path)["timings"])
    ):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "null, ms" in out
    assert "interrupted" in out
    done = sum(t.seconds is not None for t in read_run(path).timings)
    assert done >= 1
    total = len(read_run(path).timings)
    assert err.splitlines()[-1] == (
        f"mnv3prof: stopped; {done} of {total} times are saved in {path}; "
        "continue with the same command and --resume"
    )
    assert any(t.bursts for t in read_run(path).timings)


def test_ctrl_c_while_asking_for_operators_prints_what_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mnv3prof.bench import operators

    def ask(worker: Any, timing: Any, *_: Any) -> Any:
        if timing.part == "2":
            raise KeyboardInterrupt
        return [Operator(target=timing.target, part=timing.part, name="o", kind="Conv", seconds=1e-3)]

    monkeypatch.setattr(operators, "_profile", ask)
    path = tmp_path / "run.json"
    command = ["latency", "small", *NULL, "--rows", "1-3", "--ops"]
    assert run([*command, "-o", str(path)]) == 130
    assert [operator.part for operator in read_run(path).operators] == ["1"]
    assert run(["latency", str(path)]) == 0
    assert "Interrupted before every runtime was asked" in capsys.readouterr().out


def test_after_ctrl_c_no_runtime_is_asked_for_its_operators(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mnv3prof.bench import profile, schedule

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(schedule, "_sample", interrupt)
    monkeypatch.setattr(profile, "profile_operators", lambda *_: pytest.fail("asked all the same"))
    assert run(["latency", "small", *NULL, "--rows", "1", "--ops", "-o", str(tmp_path / "run.json")]) == 130


def test_resume_keeps_the_operators_of_other_timings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mnv3prof.bench import operators

    def ask(worker: Any, timing: Any, *_: Any) -> Any:
        return [Operator(target=timing.target, part=timing.part, name="o", kind="Conv", seconds=1e-3)]

    monkeypatch.setattr(operators, "_profile", ask)
    path = tmp_path / "run.json"
    command = ["profile", "small", *NULL, "--ops", "--resume", "-o", str(path)]
    assert run([*command, "--rows", "1"]) == 0
    assert run([*command, "--rows", "2"]) == 0
    assert run([*command, "--rows", "2", "--batch", "2"]) == 0
    assert run([*command, "--rows", "2"]) == 0
    found = [(operator.part, operator.target.batch) for operator in read_run(path).operators]
    assert sorted(found) == [("1", 1), ("2", 1), ("2", 2)]


def test_a_comparison_with_times_is_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    command = ["compare", "small", "--standard-conv", "--latency", *NULL, "--rows", "1-2"]
    assert run([*command, "-o", str(path)]) == 0
    assert run(["compare", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "MobileNetV3-Small, standard conv" in printed
    assert "null, ms" in printed
    assert ": MACs and latency, relative to " in printed
    assert run(["compare", str(path), "--without-se"]) == 0  # of the run's own network, on paper
    assert "null, ms" not in capsys.readouterr().out


def _bursts(**change: Any) -> Any:
    """Timings with a burst of two calls, changed."""
    burst = {"calls": 2, "wall_s": [1.0, 2.0], "mean_s": 1.5, "max_s": 2.0, "cpu_s": 1.5, **change}
    return {"timings": [as_saved(part="1", launches=[{"bursts": [burst]}])]}


def _graph(**change: Any) -> Any:
    """A main network with other fields; a: another network beside it."""
    table = {"name": "n", "rows": [{"expand": 16, "out": 8, "kernel": 3, "stride": 1}]}
    beside = {name: change.pop(name) for name in list(change) if name == "a"}
    return {"graphs": {"": {"table": table, "input": [32, 48], **change}, **beside}}


def _accuracies(*fields: Any, device: str = "") -> Any:
    return {"accuracies": [{"target": {"backend": "cpu", "device": device}, **each} for each in fields]}


def _damaged(kept: Any, change: Any) -> Any:
    return {**_document(kept), **change}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 99}, "has the schema 99; this version reads 2"),
        ({"timings": "x"}, "is damaged: Expected `array`, got `str` - at `$.timings`"),
        ({"schema": 1}, "has the schema 1; this version reads 2"),
        ({"timings": [{"part": "1"}]}, "missing required field `target`"),
        ({"timings": [{"target": {"backend": "cpu"}}]}, "missing required field `part`"),
        ({"timings": [{"part": "1", "target": {}}]}, "missing required field `backend`"),
        ({"timings": [as_saved(part="99")]}, "timing 1 has the part '99', which is not in its network"),
        ({"timings": [as_saved(target={"backend": "cpu", "device": "pi"})]}, "timing 1 has the device 'pi'"),
        (_bursts(calls=0), "Expected `int` >= 1"),
        (_bursts(wall_s=[]), "Expected `array` of length >= 1"),
        (_bursts(wall_s=[1.0] * 10), "Expected `array` of length <= 9"),
        (_bursts(wall_s=[1e300]), "is damaged"),
        (_bursts(wall_s=[-1.0]), "is damaged"),
        (_bursts(wall_s=[2.0, 1.0]), "wall_s must be ascending, and no more than its calls"),
        (_bursts(wall_s=[1.0] * 4), "wall_s must be ascending, and no more than its calls"),
        (_bursts(wall_s=[0.0, 2.0]), "Expected `float` >= 1e-09"),
        (_bursts(max_s=1.0), "max_s must be no less than its wall_s and mean_s"),
        (_bursts(mean_s=9.0), "max_s must be no less than its wall_s and mean_s"),
        (_bursts(outliers=3), "outliers must be no more than its calls"),
        ({"timings": [as_saved(part="1")] * 2}, "timing 2 has the part and target of an earlier one"),
        ({"timings": [as_saved(target={"backend": "cpu", "thread": 4})]}, "unknown field `thread`"),
        ({"hosts": {"": {}}}, "missing required field `cpu`"),
        (_bursts(state={"temperature_c": "warm"}), "Expected `float`, got `str`"),
        ({"hosts": {}}, 'hosts has no entry ""; expected one, which is the run\'s machine'),
        ({"graphs": {}}, 'graphs has no entry ""; expected one, which is the run\'s main network'),
        (_accuracies({"images": 2, "wrong": [2]}), "wrong must be ascending indices of its images"),
        (_accuracies({"images": 9, "wrong": [3, 3]}), "wrong must be ascending indices of its images"),
        (_accuracies({"images": 10**6}), "Expected `int` <= 100000"),
        (_accuracies({}), "must have either images or a reason why it has none"),
        (
            _accuracies({"images": 1, "variant": "x"}),
            "accuracy 1 has the network 'x', which is not in the run",
        ),
        (_accuracies({"images": 1}, device="pi"), "accuracy 1 has the device 'pi', which is not in hosts"),
        (_accuracies(*[{"images": 1}] * 2), "accuracy 2 has the network and target of an earlier one"),
        ({"timings": [as_saved(part="1", status="fine")]}, "Invalid enum value 'fine'"),
        (_graph(input=[0, 1]), "is not an image size"),
        (_graph(table={"rows": []}), "allowed"),
        ({"graphs": {"": {"table": 1}}}, "has no network; expected table and input, or captured"),
    ],
)
def test_a_damaged_run_is_refused_in_one_sentence(
    change: Any, says: str, kept: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(_damaged(kept, change)), encoding="utf-8")
    assert run(["latency", str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert "run.json" in err


def test_a_truncated_run_is_refused(kept: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(kept.read_bytes()[:-100])
    assert run(["profile", "small", *NULL, "-o", str(path), "--resume"]) == 2
    assert "run.json: is not valid JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ([], "profile: --output FILE.json is required"),
        (["-o", "run.csv"], "profile: --output FILE.json is required"),
        (["-o", "run.json", "--format", "md"], "--format md contradicts the suffix '.json'"),
    ],
)
def test_profile_wants_a_json_file(
    where: list[Any],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["profile", "small", *NULL, *where]) == 2
    assert says in capsys.readouterr().err


def test_ctrl_c_while_converting_ends_the_converters_at_once(tmp_path: Path) -> None:
    command = ["latency", "small", "--on", "executorch,litert", "--parts", "net", "--no-cache"]
    process = subprocess.Popen(
        [SCRIPT, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(converters := psutil.Process(process.pid).children(recursive=True)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.5)  # they are loading PyTorch, or converting
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(converters, timeout=5)
    assert alive == []


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("latency", "stopped; 0 of 1 time was measured; the same command starts again"),
        (
            "latency -o run.json",
            "stopped; 0 of 1 time is saved in run.json; continue with mnv3prof profile, the same options and --resume",
        ),
        (
            "profile -o run.json",
            "stopped; 0 of 1 time is saved in run.json; continue with the same command and --resume",
        ),
        (
            "report --cross-check --format json",
            "stopped; 0 of 1 time was measured; the same command starts again",
        ),
    ],
)
def test_an_interrupt_says_what_is_saved_and_how_to_continue(
    command: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mnv3prof.bench import schedule
    from mnv3prof.cost import counters

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(schedule, "_sample", _interrupt)
    monkeypatch.setattr(counters, "readings", lambda *_: pytest.fail("they take seconds"))
    name, *rest = command.split()
    assert run([name, "small", *NULL, "--rows", "1", *rest]) == 130
    out, err = capsys.readouterr()
    assert says in err
    assert name != "report" or "FLOP counters were not run: the measurement was interrupted." in out


@pytest.mark.parametrize(
    ("command", "place", "says"),
    [
        ("latency", "bench.profile.describe", "nothing was measured yet, nothing is saved"),
        (
            "export --to onnx -o x.onnx",
            "cli.commands.export.export_parts",
            "nothing was written; the same command starts again",
        ),
        ("train -o x.pt", "cli.commands.train._data", "no epoch was finished, nothing is saved"),
    ],
)
def test_an_interrupt_before_there_is_anything_says_so(
    command: str,
    place: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"mnv3prof.{place}", _interrupt)
    name, *rest = command.split()
    null = ["--on", "null", "--rows", "1"] if name == "latency" else []
    assert run([name, "small", "--input", "32", *null, *rest]) == 130
    assert capsys.readouterr() == ("", f"mnv3prof: stopped; {says}\n")
    assert list(tmp_path.iterdir()) == []


def _interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_resumed_run_that_is_interrupted_at_once_keeps_what_it_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mnv3prof.bench import schedule

    path = tmp_path / "run.json"
    cut = exact("null", "1", 0.001, stopped="interrupted")
    path.write_text(encoded(run_of(subject("small", 32), [cut])), encoding="utf-8")
    monkeypatch.setattr(schedule, "_sample", _interrupt)
    monkeypatch.setattr("mnv3prof.cli.commands.profile._refuse_another", lambda *_: None)
    assert (
        run(["profile", "small", "--input", "32", "--on", "null", "--rows", "1", "--resume", "-o", str(path)])
        == 130
    )
    (timing,) = read_run(path).timings
    assert timing.seconds == 0.001
