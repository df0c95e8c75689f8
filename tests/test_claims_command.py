"""`claims` as a user runs it: computed, measured on two backends, saved and shown again."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from runs import run_of, timing
from subjects import subject
from terminal import on_terminal, without_escapes

from mnv3prof.claims import measure
from mnv3prof.claims.claim import judge, timing_requests
from mnv3prof.cli.main import run
from mnv3prof.graph.parts import NET, part_layers
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.record.document import run_document
from mnv3prof.record.findings import Evidence, Finding, read_saved
from mnv3prof.show.claims import claims_sheets
from mnv3prof.show.latency import latency_sheets, samples_sheet
from mnv3prof.source import open_source, read_table
from mnv3prof.workers.parts import inner_part, make_network

HEAVY = {"torch", "numpy", "pandas", "plotly", "scipy", "pydantic"}
SMALL_ROWS = """
name = "small one"
stem = 8
rows = [
  [8, 8, 3, 1, false, "RE"],
  [16, 12, 5, 2, true, "HS"],
]
last = 16
classes = 4
"""


def test_claims_load_nothing_heavy() -> None:
    code = (
        "import sys; from mnv3prof.cli.main import run; "
        "code = run(['claims']); print(code, *{m.split('.')[0] for m in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, *loaded = done.stderr.split()
    assert code == "0"
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_terminal_of_any_width_shows_the_verdicts_whole(columns: int) -> None:
    code, screen = on_terminal(["claims", "K2", "T1"], columns)
    lines = without_escapes(screen).splitlines()
    assert code == 0
    assert max(map(len, lines)) <= max(columns, 78)
    text = " ".join(" ".join(lines).split())
    assert "2,336" in text
    assert "153,600" in text


def test_explain_prints_formulas_with_their_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "k3", "--explain"]) == 0
    printed = capsys.readouterr().out
    assert "1,512,280 / 3,970,752" in printed
    assert "verdict: does not hold" in printed
    assert "K4" not in printed


def test_a_table_and_settings_are_those_of_other_commands(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "net.toml"
    path.write_text(SMALL_ROWS, encoding="utf-8")
    assert run(["claims", str(path), "K1", "--input", "32", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["table"]["name"] == "small one"
    assert document["input"] == [32, 32]
    assert document["findings"][0]["verdict"] == "does not hold"  # its only 3×3 row has 8 channels
    assert run(["claims", "small", "K3", "--width", "0.5", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["claim"] for row in rows] == ["K3"] * 3
    assert run(["claims", "--format", "md"]) == 0
    verdict = r"\| computed: holds if the pair has 72 output channels or more; measured: no evidence \|"
    printed = capsys.readouterr().out
    assert re.search(rf"^\| A separable 3×3 pair .* \| K1 {verdict}", printed, re.M)
    assert len(re.findall(r"^\| .* \| [KT]\d+ \| ", printed, re.M)) == 14  # a row for each claim
    assert "The article is a practitioner's article on MobileNetV3-Large in PyTorch." in printed
    assert "--" not in re.sub(r"\| ---.*", "", printed)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["K12"], "'K12' is not a claim; expected K1, K2, "),
        (["large", "small"], "2 networks are too many; expected one"),
        (["missing.toml"], "missing.toml: no such file"),
        (["--measure", "--on", "tpu"], "backend: 'tpu' is not known"),
        (["--measure", "--threads", "0"], "--threads: 0 is not allowed"),
        (["--measure", "--time-budget", "0"], "--time-budget: 0.0 is not allowed"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(
    arguments: list[Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["claims", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


def _findings(path: Path) -> Any:
    """Those in the document at `path`, as they were judged then."""
    return msgspec.convert(json.loads(path.read_bytes())["findings"], tuple[Finding, ...])


def test_what_was_measured_is_kept_and_judged_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measures the pair of K2, and the SE module of a network of two rows, on two backends."""
    monkeypatch.setattr(measure, "_READY_S", 600.0)
    net, path = tmp_path / "net.toml", tmp_path / "found.json"
    net.write_text(SMALL_ROWS, encoding="utf-8")
    arguments = ["claims", str(net), "K2", "K7", "--input", "32", "--measure", "--on", "cpu,onnxruntime"]
    assert run([*arguments, "--time-budget", "2", "-o", str(path)]) == 0
    assert capsys.readouterr().out == ""
    (evidence,), findings = open_source(str(path)).evidence, _findings(path)
    (found,) = evidence.runs
    assert {(t.variant, t.part, t.target.backend) for t in found.timings} >= {
        (variant, part, backend)
        for backend in ("cpu", "onnxruntime")
        for variant, part in (
            ("pair 32→64", "1"),
            ("pair 32→64, standard conv", "1"),
            ("", "features.2.block.2"),
            ("linear SE", "features.2.block.2"),
        )
    }
    for each in found.timings:
        assert (each.status, each.reason) == ("ok", "")
        assert each.bursts
    measured = [f for f in findings if f.how.startswith("measured on cpu, onnxruntime; ")]
    assert [f.claim for f in measured] == ["K2", "K7"]
    assert all("1 thread" in f.how for f in measured)

    assert run(["claims", str(path), "--format", "json"]) == 0
    again = json.loads(capsys.readouterr().out)
    shown = {(f["claim"], f["how"]): f["verdict"] for f in again["findings"]}
    for f in measured:
        assert shown[f.claim, f.how] == f.verdict
    assert again["runs"][0]["timings"] == json.loads(path.read_text(encoding="utf-8"))["runs"][0]["timings"]
    assert run(["claims", str(path), "--width", "0.5"]) == 2
    assert "holds findings; options of the network cannot change" in capsys.readouterr().err
    assert run(["claims", str(path), "K7", "--explain"]) == 0
    explained = " ".join(capsys.readouterr().out.split())
    assert "cpu, features.2.block.2: time of 1×1 convolutions ÷ linear layers " in explained


def test_h_swish_is_timed_in_both_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures two variants; cpu does not support int8, compiled PyTorch has its own stage."""
    monkeypatch.setattr(measure, "_READY_S", 600.0)
    path = tmp_path / "net.toml"
    path.write_text(SMALL_ROWS, encoding="utf-8")
    net = subject(str(path), 32)
    wanted = [
        request
        for request in timing_requests(net, ("K4",))
        if request.part == NET and request.variant in ("", "swish")
    ]
    runs = measure.measure(net, wanted, measure.MeasureOptions(("cpu", "onnxruntime"), budget_s=2)).runs
    assert [{(t.target.backend, t.target.dtype) for t in r.timings} for r in runs] == [
        {("cpu", "fp32"), ("onnxruntime", "fp32")},
        {("onnxruntime", "int8")},
    ]
    assert {(t.status, t.reason) for r in runs for t in r.timings} == {("ok", "")}
    (found,) = judge(Evidence(subject=net, runs=runs), ("K4",))
    assert found.how.startswith("measured on cpu fp32, onnxruntime fp32, onnxruntime int8; ")


def test_a_module_is_given_what_really_reaches_it() -> None:
    """Against the module's output in a run of the whole network."""
    whole = make_network(subject("small", 64))
    for path in ("features.0.2", "features.1.block.1", "features.4.block.3.0", "classifier.1", "features"):
        part = inner_part(whole, path)
        seen: list[Any] = []
        with whole.module.get_submodule(path).register_forward_hook(
            lambda *a, seen=seen: seen.append(a[2].clone())
        ):
            whole.module(*whole.given)
        assert torch.equal(part.expected[0], seen[0])
        before = part.given[0].clone()
        assert torch.equal(part.module(*part.given), part.expected[0])
        assert torch.equal(part.given[0], before)  # not in place


@pytest.mark.parametrize(
    ("part", "macs"),
    # Small's SE of block 1: 16 · 8 twice; row 4's expansion of 24 to 96 at 28².
    [("features.1.block.1", 256), ("features.4.block.0.0", 24 * 96 * 28 * 28), ("features.0.2", 0)],
)
def test_a_modules_macs_follow_from_its_path(part: str, macs: Any) -> None:
    taken = timing("cpu", part, (1.0,) * 9)
    found = run_of(subject("small"), (taken,))
    (row,) = samples_sheet(found).rows
    assert row[[c.key for c in samples_sheet(found).columns].index("macs")] == macs
    assert read_saved(msgspec.json.encode(run_document(found)), "here").timings == (taken,)  # type: ignore[union-attr]
    assert f"latency of part {part} ({macs:,} MACs)" in latency_sheets(found)[0].title


@pytest.mark.parametrize("part", ["features.1.block.9", "features.1.block.1.mul", "flatten", "feat", ""])
def test_what_is_no_module_is_no_part(part: str) -> None:
    assert part_layers(expand(read_table("small")), part) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d | {"schema": 99}, "has the schema 99"),
        (lambda d: d | {"trials": [{"ablation": 1}]}, "is damaged"),
        (lambda d: d | {"runs": 5}, "is damaged: Expected `array`, got `int` - at `$.runs`"),
        (lambda d: d | {"table": None}, "holds no table"),
        (lambda d: d | {"input": [0, 1]}, "input: (0, 1) is not an image size"),
        (
            lambda d: d | {"runs": [{}]},
            "is damaged: Object missing required field `created` - at `$.runs[0]`",
        ),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(
    change: Callable[..., Any], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "found.json"
    assert run(["claims", "small", "K2", "-o", str(path)]) == 0
    document = change(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(document), encoding="utf-8")
    assert run(["claims", str(path)]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert run(["claims", str(path)]) == 2
    assert "is not valid JSON" in capsys.readouterr().err


def test_the_sheets_need_findings_only(tmp_path: Path) -> None:
    """What a report shows of a saved file, without judging again."""
    path = tmp_path / "found.json"
    assert run(["claims", "small", "-o", str(path)]) == 0
    sheet, *curves = claims_sheets(_findings(path), "Small")
    assert curves == []
    assert [row[1] for row in sheet.rows][:3] == ["K1", "K2", "K3"]
