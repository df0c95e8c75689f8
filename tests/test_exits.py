"""Exit codes of measuring commands: 2 if known to be impossible, 1 if all failed, else 0."""

import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from runs import run_of, timing
from subjects import subject
from typer.core import TyperOption

from mnv3prof import show
from mnv3prof.bench import convert as conversion
from mnv3prof.bench import export as exporting
from mnv3prof.bench import plan as planning
from mnv3prof.bench.obstacles import obstacle
from mnv3prof.claims.measure import MeasureResult
from mnv3prof.cli.main import run
from mnv3prof.cli.runs import failed
from mnv3prof.cost.memory import arena
from mnv3prof.graph.parts import NET
from mnv3prof.record.plan import RuntimePlan
from mnv3prof.record.target import Target
from mnv3prof.workers.backends import backend, usable
from mnv3prof.workers.worker import Failed

ABSENT = "PyTorch found no Metal device"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["latency", "small", "--on", "mps"], f"mps: {ABSENT}"),
        (["profile", "small", "--on", "mps", "-o", "run.json"], f"mps: {ABSENT}"),
        (["report", "small", "--on", "mps", "-o", "run.html"], f"mps: {ABSENT}"),
        (["compare", "large", "small", "--latency", "--on", "mps"], f"mps: {ABSENT}"),
        (["claims", "K2", "--measure", "--on", "mps"], f"mps: {ABSENT}"),
        (
            ["latency", "small", "--on", "mnn,cpu", "--dtype", "int8"],
            "mnn: it supports fp32, not int8; cpu: it supports fp32, fp16, bf16, not int8",
        ),
        (["latency", "small", "--on", "onnxruntime", "--dtype", "fp16"], "it supports fp32, int8, not fp16"),
        (
            ["latency", "small", "--on", "ncnn", "--batch", "2,4"],
            "it supports batch 1, not 2; ncnn: it supports batch 1, not 4",
        ),
        (
            ["latency", "small", "--on", "mnn,null,mps", "--dtype", "int8"],
            "mnn, null: it supports fp32, not int8; mps: ",
        ),
        (["memory", "small", "--on", "cpu,null"], "cpu, null: the runtime's memory plan cannot be read"),
        (["memory", "small", "--on", "executorch", "--dtype", "int8"], "its plan cannot be read at int8"),
        (["claims", "K4", "--measure", "--on", "mps,cpu-compile", "--threads", "1"], ABSENT),
    ],
)
def test_what_cannot_run_here_is_refused_before_anything_is_done(
    arguments: list[Any],
    says: Any,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(backend("cpu-compile"), "PACKAGE", "no-such-package")
    begin = process_time()
    assert run(arguments) == 2
    assert process_time() - begin < 10
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mnv3prof: --on: no target can run here; ")
    assert says in err
    assert len(err) <= 300
    assert [path for path in tmp_path.iterdir() if path.name != "reports"] == []


def test_a_long_list_of_reasons_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        "cpu",
        "cpu-compile",
        "executorch",
        "litert",
        "mnn",
        "ncnn",
        "onnxruntime",
        "openvino",
        "torchscript",
    ]
    for name in names:
        monkeypatch.setattr(backend(name), "PACKAGE", f"no-such-package-for-{name}")
    assert run(["latency", "small", "--on", ",".join(names)]) == 2
    err = capsys.readouterr().err
    assert len(err) <= 300
    assert err.endswith(" more\n")


def test_one_that_can_run_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for target in (Target(backend="null"), Target(backend="cpu", dtype="bf16", batch=4)):
        assert obstacle(target) is None
    assert obstacle(Target(backend="ncnn", batch=2)) == Failed("unsupported", "it supports batch 1, not 2")


def test_without_pytorch_a_backend_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every converter reads PyTorch modules."""
    from mnv3prof.workers import backends

    monkeypatch.setattr(backends, "installed", lambda package: "" if package == "torch" else "1")
    for name in ("cpu", "onnxruntime", "litert", "ncnn"):
        assert usable(name).reason == "torch is not installed: pip install mnv3prof"
    assert usable("null").ok


@pytest.mark.parametrize("command", ["latency", "profile", "report", "compare"])
def test_if_everything_fails_it_exits_with_1_and_the_rows_say_why(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULL_FAULT", "raise")  # in part 1
    path = tmp_path / "run.json"
    how = {
        "latency": ["--format", "json", "-o", str(path)],
        "profile": ["-o", str(path)],
        "report": ["--format", "json", "-o", str(path)],
        "compare": ["small", "--latency", "--format", "json", "-o", str(path)],
    }[command]
    rows = ["--input", "32", "--rows", "1", "--on", "null,mps", "--time-budget", "0.2"]
    assert run([command, "small", *how, *rows]) == 1
    assert {t["status"] for t in json.loads(path.read_text())["timings"]} == {"crashed", "not available"}
    capsys.readouterr()
    assert run(["latency", str(path)]) == 1  # and so it is shown again
    assert "told to fail" in capsys.readouterr().out
    if command == "profile":
        monkeypatch.delenv("NULL_FAULT")
        assert (
            run(
                [
                    "profile",
                    "small",
                    "--input",
                    "32",
                    "--rows",
                    "2",
                    "--on",
                    "null,mps",
                    "--time-budget",
                    "0.2",
                    "--resume",
                    "-o",
                    str(path),
                ]
            )
            == 0
        )


def test_what_failed_is_told_by_the_times_that_were_tried() -> None:
    bad = timing("mnn", NET, status="crashed", reason="x", stopped="")
    good = timing("cpu", NET, [0.001] * 9)
    mismatch = timing("ncnn", NET, [0.001] * 9, status="mismatch", reason="x")
    assert not failed([])
    assert not failed([good, bad])
    assert failed([bad, bad])
    assert failed([good, bad], [bad])
    assert failed([good, mismatch], [good])


def test_a_claim_of_which_nothing_could_be_timed_exits_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(subject: Any, requests: Any, how: Any, on_progress: Any) -> Any:
        failing = timing("mnn", NET, status="crashed", reason="x", stopped="")
        return MeasureResult((run_of(subject, [failing]),))

    monkeypatch.setattr("mnv3prof.claims.measure.measure", measured)
    assert run(["claims", "K2", "--measure", "--on", "mnn"]) == 1
    assert "No evidence for parts of K2" in capsys.readouterr().out
    assert run(["claims", "K3", "--measure", "--on", "cpu-compile"]) in (1, 2)


@pytest.mark.parametrize(
    ("at", "says"), [("convert", "the conversion failed: no"), ("run", "the converted file does not run: no")]
)
def test_an_export_that_fails_exits_with_1_and_writes_nothing(
    at: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def __init__(self, *_: Any) -> None:
            pass

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: Any) -> Any:
            return None

        def ask(self, *_: Any) -> Any:
            return Failed("crashed", "no")

    if at == "convert":
        monkeypatch.setattr(conversion, "pytorch_worker", Refusing)
    monkeypatch.setattr(exporting, "runtime_worker", Refusing)
    path = tmp_path / "x.onnx"
    assert run(["export", "small", "--input", "32", "--parts", "2", "--no-cache", "-o", str(path)]) == 1
    assert says in capsys.readouterr().out
    assert not path.exists()


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Answers of the runtimes by backend: bytes, or the reason for none."""
    answers: dict[Any, Any] = {}

    def asked(subject: Any, names: Any, dtype: Any, batch: Any, *_: Any) -> Any:
        return tuple(
            RuntimePlan(
                n, **({"bytes": a} if isinstance(a, int) else {"reason": a}), dtype=dtype, batch=batch
            )
            for n in names
            for a in [answers[n]]
        )

    monkeypatch.setattr(planning, "runtime_plans", asked)
    return answers


def test_a_size_is_judged_by_each_plan_and_the_worst_decides(
    plans: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 96 pixels the folded arena of Small takes 64,512 bytes in int8."""
    own = arena(subject("small", 96).graph, "int8").bytes
    assert own == 64_512
    asked = ["memory", "small", "--input", "96", "--dtype", "int8", "--on", "litert,mnn"]
    monkeyed = [*asked[:-1], "litert"]
    for size in ("64KiB", "64KB", "64k", "65536"):
        plans["litert"] = 65_536
        assert run([*monkeyed, "--fit", size]) == 0
        out = capsys.readouterr().out
        assert "in 64.0 KiB (65,536 bytes): fits\n" in out
        plans["litert"] = 65_537
        assert run([*monkeyed, "--fit", size, "--format", "json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert found["fit"]["fits"] is True
        assert found["planned_fit"] == [{"planner": "litert", "bytes": 65_537, "fits": False, "reason": ""}]
    plans["litert"], plans["mnn"] = 1_000, "it is not told"
    assert run([*asked, "--fit", "64KiB"]) == 1  # what is not known does not pass
    assert "unknown with the plan of mnn" in capsys.readouterr().out
    assert run([*asked]) == 0
    plans["litert"] = "crashed"
    assert run([*asked]) == 1  # nothing was learnt
    assert run([*monkeyed, "--fit", "1GiB"]) == 1


def test_the_plans_of_a_saved_run_are_judged_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from mnv3prof.record.document import encoded

    small = subject("small", 96)
    plan = RuntimePlan("litert", 1_000_000), RuntimePlan("cpu", reason="it is not told")
    path = tmp_path / "run.json"
    path.write_text(encoded(run_of(small, plans=plan)), encoding="utf-8")
    assert run(["memory", str(path), "--fit", "900KiB"]) == 1
    assert "does not fit with the plan of litert" in capsys.readouterr().out
    assert run(["memory", str(path), "--fit", "1MiB"]) == 0


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as ours, pytest.raises(ModuleNotFoundError):  # a fault, to be seen
        ours.setitem(sys.modules, "mnv3prof.show.memory", None)
        ours.delattr(show, "memory", raising=False)  # which an earlier import leaves there
        ours.delitem(sys.modules, "mnv3prof.cli.commands.memory", raising=False)
        run(["memory", "small"])
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "mnv3prof.mobilenetv3.network", raising=False)
    monkeypatch.delitem(sys.modules, "mnv3prof.mobilenetv3.modules", raising=False)
    assert run(["flops", "small", "--cross-check"]) == 2
    assert capsys.readouterr().err == "mnv3prof: torch is not installed: pip install mnv3prof\n"


def test_a_typer_that_moved_what_is_used_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "mnv3prof.cli.command", raising=False)
    for kind in TyperOption.__mro__:
        if "process_value" in vars(kind):
            monkeypatch.delattr(kind, "process_value")
    assert run(["flops", "small"]) == 2
    assert capsys.readouterr().err == (
        "mnv3prof: typer: this version cannot be used (it has no TyperOption.process_value); "
        "pip install -U mnv3prof\n"
    )
