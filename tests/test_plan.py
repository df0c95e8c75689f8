"""The arenas that runtimes plan, compared with ours."""

import json
from pathlib import Path
from typing import Any

import pytest
from measured import SHARED, converted
from subjects import read_run

from mnv3prof.analysis.plans import Difference, differences
from mnv3prof.cli.main import run
from mnv3prof.cost.memory import Lifetime, plan
from mnv3prof.record.plan import PlannedTensor, RuntimePlan
from mnv3prof.show.memory import plan_sheets

TINY = str(Path(__file__).parent / "tiny.toml")
OURS = plan([Lifetime("a", 100, 0, 1), Lifetime("b", 60, 1, 2), Lifetime("c", 60, 2, 3)], 4)
THEIRS = RuntimePlan(
    "x",
    300,
    (PlannedTensor((1, 25), 0, 100), PlannedTensor((1, 25), 100, 100), PlannedTensor((5, 10), 200, 50)),
)


def test_differences_by_hand() -> None:
    assert differences(THEIRS, OURS) == [
        Difference(60, (), 0, 2, "b"),
        Difference(100, (1, 25), 2, 1, "a"),
        Difference(50, (5, 10), 1, 0, ""),
    ]
    assert (
        differences(
            RuntimePlan("x", 1, tuple(PlannedTensor((1,), 0, p.bytes) for p in OURS.placements)), OURS
        )
        == []
    )


def test_the_sheets_have_both_sides_and_what_could_not_be_read() -> None:
    arenas, tensors = plan_sheets((THEIRS, RuntimePlan("y", reason="not here")), OURS)
    assert OURS.bytes == 160
    assert arenas.rows[1][:3] == ("mnv3prof, fused", 160, 1.0)
    assert arenas.rows[2] == ("x", 300, 300 / 160, 3)
    assert arenas.notes == ("y: not here.",)
    assert tensors.rows[0] == (None, 60, 0, 2, -120, "b")


@pytest.mark.parametrize("name", ["executorch", "litert"])
def test_a_runtimes_plan_holds_its_tensors_and_no_less_than_the_least(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    converted("litert")
    network = SHARED if name == "litert" else [TINY, *SHARED[1:]]  # executorch plans before it converts
    assert run(["memory", *network, "--on", f"{name},ncnn,mps", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    theirs, ncnn, mps = found["planned"]
    assert theirs["backend"] == name
    assert theirs["bytes"] >= max(tensor["offset"] + tensor["bytes"] for tensor in theirs["tensors"])
    assert theirs["bytes"] >= found["arena"]["lower_bound"]  # nothing runs in less than folding leaves
    image = 4 * 3 * 64 * 96
    assert image in {t["bytes"] for t in theirs["tensors"]}
    assert ncnn["reason"] == "the runtime's memory plan cannot be read"
    assert mps["bytes"] == 0


def test_a_type_that_has_no_plan_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["memory", "small", "--input", "32", "--on", "mnn,executorch", "--dtype", "int8"]) == 2
    told = capsys.readouterr().err
    assert "--on: no target can run here; mnn: it supports fp32, not int8; executorch: its plan" in told


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("plans") / "run.json"
    converted("litert")
    made = ["--on", "litert,null", "--parts", "net", "--time-budget", "0.2", "--plans", "-o", str(path)]
    assert run(["profile", *SHARED, *made]) == 0
    return path


def test_plans_are_kept_in_a_run_and_shown_again(profiled: Any, capsys: pytest.CaptureFixture[str]) -> None:
    litert, null = read_run(profiled).plans
    assert (litert.backend, litert.dtype, litert.batch, null.backend) == ("litert", "fp32", 1, "null")
    assert litert.bytes == max(held.offset + held.bytes for held in litert.tensors) > 0
    assert null.reason == "the runtime's memory plan cannot be read"
    assert run(["memory", *SHARED, "--on", "litert,null"]) == 0
    asked = capsys.readouterr().out
    assert run(["memory", str(profiled)]) == 0
    shown = capsys.readouterr().out
    assert shown == asked
    assert "Different numbers of tensors in litert" in shown
    for other in (["--dtype", "int8"], ["--batch", "2"], ["--without-se"]):
        assert run(["memory", str(profiled), *other]) == 0
        assert "litert" not in capsys.readouterr().out  # it was not planned like that


def test_plans_are_in_the_report(profiled: Any, tmp_path: Path) -> None:
    assert run(["report", str(profiled), "-o", str(tmp_path / "r.html")]) == 0
    assert "Different numbers of tensors in litert" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_plans_that_are_there_are_not_asked_for_again(
    profiled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("mnv3prof.bench.plan.runtime_plans", lambda _, names, *__: asked.append(names) or ())  # type: ignore[func-returns-value]
    copy = tmp_path / "run.json"
    copy.write_bytes(profiled.read_bytes())
    again = ["--on", "litert,null", "--parts", "net", "--resume", "--plans", "-o", str(copy)]
    assert run(["profile", *SHARED, *again]) == 0
    assert asked == [["null"]]
    assert [plan.backend for plan in read_run(copy).plans] == ["litert"]


@pytest.mark.parametrize(
    ("change", "says"),
    [({"bytes": -1}, "$.plans[0].bytes"), ({"tensors": [{"shape": 3}]}, "$.plans[0].tensors")],
)
def test_a_damaged_plan_is_refused(
    change: dict[str, Any], says: str, profiled: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(profiled.read_bytes())
    found["plans"][0].update(change)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    assert run(["memory", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert says in err


def test_an_unknown_backend_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["memory", "small", "--on", "tpu"]) == 2
    assert "backend: 'tpu' is not known" in capsys.readouterr().err
