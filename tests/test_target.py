"""Targets: their labels among others, and which are compared."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import reported, run_of, timing
from some import some
from subjects import read_run, subject

from mnv3prof.analysis.compare import Change
from mnv3prof.analysis.side_by_side import compared_times
from mnv3prof.analysis.view import views
from mnv3prof.bench.convert import convert
from mnv3prof.cli.main import run
from mnv3prof.device.protocol import PartKey
from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.page.report import sections
from mnv3prof.page.summary import headline_sheet, side_by_side_sheet
from mnv3prof.record.document import run_document
from mnv3prof.record.findings import Evidence
from mnv3prof.record.target import FIELDS, Target, labels, paired, shared_settings
from mnv3prof.show import sentences
from mnv3prof.show.latency import latency_sheets, samples_sheet
from mnv3prof.workers.cache import key
from mnv3prof.workers.requests import FileKind

CPU, ORT = Target(backend="cpu"), Target(backend="onnxruntime")
INT8 = Target(backend="onnxruntime", dtype="int8")
targets = st.builds(
    Target,
    device=st.sampled_from(["", "pi"]),
    backend=st.sampled_from(["cpu", "onnxruntime", "litert"]),
    dtype=st.sampled_from(["fp32", "fp16", "int8"]),
    batch=st.sampled_from([1, 4]),
    threads=st.sampled_from([1, 2]),
)


@pytest.mark.parametrize(
    ("known", "called", "shared"),
    [
        ([CPU], ["cpu"], "fp32, batch 1, 1 thread"),
        ([CPU, ORT], ["cpu", "onnxruntime"], "fp32, batch 1, 1 thread"),
        ([ORT, INT8], ["fp32", "int8"], "onnxruntime, batch 1, 1 thread"),
        ([CPU, ORT, INT8], ["cpu, fp32", "onnxruntime, fp32", "onnxruntime, int8"], "batch 1, 1 thread"),
        (
            [CPU, Target(backend="cpu", batch=4, threads=2)],
            ["batch 1, 1 thread", "batch 4, 2 threads"],
            "cpu, fp32",
        ),
        ([CPU, Target(device="pi", backend="cpu")], ["cpu", "cpu@pi"], "fp32, batch 1, 1 thread"),
        ([], [], ""),
    ],
)
def test_targets_are_called_by_what_differs(known: Any, called: list[Any], shared: str) -> None:
    assert labels(known) == dict(zip(known, called, strict=True))
    assert shared_settings(known) == shared


@given(st.lists(targets, min_size=1, max_size=12, unique=True))
def test_no_two_targets_are_called_alike(known: Any) -> None:
    assert len(set(labels(known).values())) == len(known)


@given(st.lists(targets, max_size=8, unique=True), st.lists(targets, max_size=8, unique=True))
def test_pairs_are_one_to_one_and_differ_in_what_is_said(old: Any, new: Any) -> None:
    found = paired(old, new)
    assert len(set(found.pairs.values())) == len(found.pairs)
    for after, before in found.pairs.items():
        assert (after in new, before in old) == (True, True)
        apart = {field for field in FIELDS if getattr(after, field) != getattr(before, field)}
        assert apart == set(found.differing)
    assert {target for target in new if target in old} <= set(found.pairs)
    for target in set(old) & set(new):
        assert found.pairs[target] == target


def _several(seconds: Any) -> Any:
    """Small's whole network on one backend at several targets."""
    return run_of(subject("small"), [timing("a", NET, [s] * 6, **how) for s, how in seconds])


def test_a_batch_is_timed_per_call_and_per_image() -> None:
    found = _several([(0.002, {}), (0.004, {"batch": 4})])
    (sheet, *_) = latency_sheets(found)
    columns = [(column.key, column.title) for column in sheet.columns]
    assert columns[1:3] == [("ms", "ms per call"), ("per_image", "ms per image")]
    faster, slower = (dict(zip([key for key, _ in columns], row, strict=True)) for row in sheet.rows)
    assert (faster["target"], faster["ms"].split()[0], faster["per_image"]) == (
        "a, batch 4",
        "4.000",
        "1.000",
    )
    assert faster["gmacs"] == pytest.approx(4 * 56_510_400 / 0.004 / 1e9)
    assert faster["change"] == "fastest"
    assert slower["change"].startswith("×2 (1.9")  # per image
    assert slower["change"].endswith(" slower")
    csv = samples_sheet(found)
    at = [column.key for column in csv.columns].index
    assert [(r[at("median_s")], r[at("per_image_s")]) for r in csv.rows] == [(0.002, 0.002), (0.004, 0.001)]


def test_networks_are_ranked_by_the_time_of_an_image() -> None:
    (view,) = views([_several([(0.002, {}), (0.004, {"batch": 4})])])
    assert [(target.batch, seconds) for target, seconds in view.ranking()] == [(4, 0.001), (1, 0.002)]
    assert "Latency: 1.00 ms per image on a, batch 4, the fastest of 2 targets." in sentences.headline(view)
    rows = {row[0]: row[1] for row in headline_sheet(view).rows}
    assert rows["latency, a, batch 4"].startswith("1.00 ms per image")


def test_eager_is_the_one_that_is_most_like_the_fastest() -> None:
    how = [("cpu", 0.010, {}), ("cpu", 0.006, {"threads": 2}), ("b", 0.002, {"dtype": "int8", "threads": 2})]
    found = run_of(subject("small"), [timing(b, NET, [s] * 6, **more) for b, s, more in how])  # type: ignore[arg-type]
    (view,) = views([found])
    said = sentences.headline(view)
    assert "Latency: 2.00 ms on b, int8, 2 threads, the fastest of 3 targets; compared with " in said
    assert re.search(r"PyTorch eager \(cpu, fp32, 2 threads\): ×0\.333 \(.*\), faster\.$", said)
    (headline,) = [section for section in sections([found]) if section.key == "headline"]
    tiles = {tile.title: tile.value for tile in headline.panels[0].tiles}
    assert tiles["PyTorch eager (cpu, fp32, 2 threads)"] == "6.00 ms"


def test_a_report_of_several_targets_has_a_column_for_each() -> None:
    run_ = reported(backends=("cpu", "fast"))
    int8 = [
        msgspec.structs.replace(t, target=msgspec.structs.replace(t.target, dtype="int8"))
        for t in run_.timings
    ]
    both = msgspec.structs.replace(run_, timings=(*run_.timings, *int8))
    (latency,) = [section for section in sections([both]) if section.key == "latency"]
    (panel,) = latency.panels
    matrix = panel.charts[0].data[0]
    assert matrix["x"] == ["cpu<br>fp32", "fast<br>fp32", "cpu<br>int8", "fast<br>int8"]
    assert all(row == row[:1] * 4 or "5.00 ms" in " ".join(row) for row in matrix["text"][:-1])


def test_side_by_side_two_runs_are_compared_in_what_differs() -> None:
    fp32 = reported(backends=("cpu", "fast"))
    timings = [
        msgspec.structs.replace(t, target=msgspec.structs.replace(t.target, dtype="int8"))
        for t in fp32.timings
    ]
    int8 = msgspec.structs.replace(fp32, timings=tuple(timings))
    found = compared_times(views([fp32, int8]))
    assert [(row.label, row.times, [some(each).ratio for each in row.changes]) for row in found] == [
        ("cpu, fp32 → cpu, int8", [0.02, 0.02], [1.0]),
        ("fast, fp32 → fast, int8", [0.01, 0.01], [1.0]),
    ]


def test_side_by_side_another_processor_has_no_ratio_and_a_reason() -> None:
    here = reported()
    there = msgspec.structs.replace(here, hosts={"": msgspec.structs.replace(here.host, cpu="Another")})
    sheet = side_by_side_sheet(views([here, there]))
    rows = {row[0]: row for row in sheet.rows}
    assert rows["latency, cpu"][1:] == ("20.0 ms ±0.3%", "20.0 ms ±0.3%", "not comparable")
    reason = "cpu: not comparable: measured on different machines: processor a processor and Another."
    assert reason in sheet.notes
    said = sentences.side_by_side(views([here, there, here]))
    assert "fastest" not in said


# ---------------------------------------------------------------- measured


LISTS = ["--on", "null,cpu", "--threads", "1,2", "--batch", "1,2"]
SHORT = ["--input", "32", "--rows", "1", "--time-budget", "0.4"]


def test_lists_are_timed_in_every_combination_and_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    command = ["profile", "small", *SHORT, "-o", str(path)]
    assert run([*command, "--on", "cpu", "--threads", "1"]) == 0
    first = read_run(path)
    assert run([*command, *LISTS, "--resume"]) == 0
    found = read_run(path)
    expected = {(b, n, t) for b in ("null", "cpu") for n in (1, 2) for t in (1, 2)}
    assert {(t.target.backend, t.target.batch, t.target.threads) for t in found.timings} == expected
    assert len(found.timings) == 8
    assert {t.status for t in found.timings} == {"ok"}
    (kept,) = [t for t in found.timings if t.target == CPU]
    assert kept == first.timings[0]
    assert {(peak.dtype, peak.threads) for peak in found.host.peak_rates} == {("fp32", 1), ("fp32", 2)}
    capsys.readouterr()
    assert run(["latency", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "null, batch 2, 1 thread  " in printed
    assert "latency of part 1 (" in printed
    assert run(["latency", str(path), "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 9


def test_a_type_that_only_some_take_is_a_column_where_it_was_timed_and_a_note_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["latency", "small", *SHORT, "--on", "cpu,onnxruntime", "--dtype", "fp32,int8"]) == 0
    printed = capsys.readouterr().out
    rows = [line.split()[:3] for line in printed.splitlines()]
    assert ["cpu,", "int8", "unsupported"] in rows
    assert any(
        row[:2] == ["onnxruntime,", "int8"] and row[2].replace(".", "").isdecimal() for row in rows if row
    )
    assert "cpu, int8 unsupported: it supports fp32, fp16, bf16, not int8 (parts: 1)." in printed


@pytest.mark.parametrize("command", ["latency", "profile", "compare", "report"])
@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--dtype", "fp32,int9", "--dtype: 'int9' is not known; did you mean int8?"),
        ("--dtype", "", "--dtype: '' is not known; expected fp32, fp16, bf16 or int8"),
        ("--batch", "1,0", "--batch: 0 is not allowed; expected integers from 1 to 1,024"),
        ("--batch", "1;4", "--batch: '1;4' is not allowed; expected integers from 1 to 1,024"),
        ("--threads", "1,,2", "--threads: '' is not allowed; expected integers from 1 to 1,024"),
        ("--threads", "2.5", "--threads: 2.5 is not allowed; expected integers from 1 to 1,024"),
        ("--threads", "1025", "--threads: 1025 is not allowed; expected integers from 1 to 1,024"),
        ("--threads", "\u0663", "--threads: '\u0663' is not allowed"),
    ],
)
def test_what_is_wrong_in_a_list_is_named(
    command: str,
    option: str,
    value: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    more = {"profile": ["-o", "r.json"], "compare": ["--standard-conv", "--latency"]}.get(command, [])
    assert run([command, "small", *more, option, value]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert list(tmp_path.iterdir()) == [] or command == "report"


def test_a_document_names_the_target_of_each_timing() -> None:
    found = json.loads(msgspec.json.encode(run_document(_several([(0.002, {}), (0.004, {"batch": 4})]))))
    assert [t["target"] for t in found["timings"]] == [
        {"device": "", "backend": "a", "dtype": "fp32", "batch": batch, "threads": 1} for batch in (1, 4)
    ]
    assert list(found["graphs"]) == [""]
    assert list(found["hosts"]) == [""]
    assert [[len(launch["bursts"]) for launch in t["launches"]] for t in found["timings"]] == [[2, 2, 2]] * 2
    (first, _) = found["timings"]
    assert {
        key: first["summary"][key] for key in ("median", "uncut_median", "bursts", "launches", "excluded")
    } == {"median": 0.002, "uncut_median": 0.002, "bursts": 6, "launches": 3, "excluded": 0}


def test_so_many_combinations_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    many = ",".join(map(str, range(1, 66)))
    assert run(["latency", "small", "--on", "null", "--threads", many]) == 2
    assert (
        "65 combinations are too many; expected at most 64, since each runs in its own process"
        in capsys.readouterr().err
    )


def test_resume_keeps_the_order_in_which_targets_were_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    command = ["profile", "small", *SHORT, "--on", "null", "-o", str(path), "--resume"]
    for threads in ("1,2", "1", "3"):
        assert run([*command, "--threads", threads]) == 0
    assert [t.target.threads for t in read_run(path).timings] == [1, 2, 3]


def test_a_run_is_not_resumed_on_another_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    command = ["profile", "small", *SHORT, "--on", "null", "-o", str(path)]
    assert run(command) == 0
    document = json.loads(path.read_bytes())
    document["hosts"][""]["cpu"] = "Another"
    path.write_text(json.dumps(document), encoding="utf-8")
    capsys.readouterr()
    assert run([*command, "--resume"]) == 2
    assert "was measured on 'Another', and this is" in capsys.readouterr().err


def test_times_of_two_runs_are_held_against_each_other_at_one_target_only() -> None:
    """A: batch 4. B: batch 1, of a variant too. The claim takes both times at one target, or none."""
    small = subject("small")
    other = small.varied(small.table)
    a = run_of(small, [timing("cpu", NET, [0.004] * 6, batch=4)])
    b = run_of(
        small, [timing("cpu", NET, [0.001] * 6), timing("cpu", NET, [0.002] * 6, variant="v")], {"v": other}
    )
    both = Evidence(subject=small, runs=(a, b))
    found = [both.measured(variant, NET, "cpu") for variant in ("", "v")]
    assert [m and (m.timing.target.batch, m.run is a) for m in found] == [(4, True), None]
    swapped = Evidence(subject=small, runs=(b, a))
    assert [some(swapped.measured(variant, NET, "cpu")).timing.target.batch for variant in ("", "v")] == [
        1,
        1,
    ]


def test_views_that_have_a_target_beside_the_first_ones_stand_in_one_row() -> None:
    runs = [reported(backends=names) for names in (("cpu", "fast"), ("cpu", "slow"), ("cpu", "slow"))]
    found = compared_times(views(runs))
    assert [row.label for row in found] == ["cpu", "fast", "slow"]
    assert [[each and each.ratio for each in row.changes] for row in found] == [
        [1.0, 1.0],
        [None, None],
        [None, None],
    ]
    assert [row.times for row in found] == [[0.02] * 3, [0.01, None, None], [None, 0.02, 0.02]]
    empty = msgspec.structs.replace(runs[0], timings=())
    assert [row.times for row in compared_times(views([empty, runs[0], runs[0]]))] == [
        [None, 0.02, 0.02],
        [None, 0.01, 0.01],
    ]


def test_of_three_runs_the_same_targets_stand_together() -> None:
    """A: batch 1. B: batch 4. C: both. B's time is in the row of C's batch 4, not of A's."""
    one, four = ([timing("cpu", NET, [s] * 9, batch=batch)] for s, batch in ((0.002, 1), (0.004, 4)))
    small = subject("small")
    found = compared_times(views([run_of(small, each) for each in (one, four, [*one, *four])]))
    assert [(row.label, row.times) for row in found] == [
        ("cpu, batch 1", [0.002, None, 0.002]),
        ("cpu, batch 4", [None, 0.001, 0.001]),
    ]


def test_too_few_bursts_have_no_ratio_side_by_side_either() -> None:
    small = subject("small")
    few, many = (run_of(small, [timing("cpu", NET, [0.002] * n)]) for n in (5, 6))
    (row,) = compared_times(views([few, many]))
    assert row.changes == [Change("unclear", reason="the old one has 5 bursts, 6 are needed")]


def test_what_was_asked_for_and_not_timed_is_named() -> None:
    found = run_of(
        subject("small"), [timing("cpu", NET, stopped=""), timing("onnxruntime", NET, [0.002] * 6)]
    )
    (sheet, *_) = latency_sheets(found)
    assert "cpu not timed: no burst was taken (parts: net)." in sheet.notes
    (sheet, *_) = latency_sheets(run_of(subject("small"), [timing("cpu", NET, stopped="interrupted")]))
    assert "cpu not timed: interrupted (parts: net)." in sheet.notes
    (empty,) = latency_sheets(run_of(subject("small")))
    assert empty.notes == ("This run has no timings.",)


def test_memory_is_that_of_a_target_that_ran() -> None:
    asked = [
        timing("cpu", NET, dtype="int8", status="unsupported", stopped=""),
        timing("cpu", NET, [0.002] * 6, batch=2),
    ]
    assert run_of(subject("small"), asked).sizes == (("fp32", 2),)
    assert run_of(subject("small"), asked[:1]).sizes == (("int8", 1),)


# ---------------------------------------------------------------- the cache


def test_networks_that_share_a_block_share_its_conversion(tmp_path: Path) -> None:
    rows = tuple(Row(16, 16, 3, 1, False, "RE") for _ in range(2))
    one = subject(Table(name="one", stem=16, rows=rows, last=8, classes=4), 32)
    two = subject(
        Table(name="two", stem=16, rows=(*rows, Row(64, 24, 3, 2, True, "HS")), last=8, classes=9), 32
    )
    kind = FileKind("onnx", "fp32", 1)
    heard: list[Any] = []
    first = convert({kind: (PartKey("", "1"),)}, {"": one}, tmp_path, on_progress=heard.append)
    again = convert({kind: (PartKey("", "2"),)}, {"": two}, tmp_path, on_progress=heard.append)
    assert [each.text for each in heard] == ["converting 1 part for onnx: 1 of 1, now 1 for onnx"]
    assert first[kind, PartKey("", "1")] == again[kind, PartKey("", "2")]
    assert key(one, NET, kind) != key(two, NET, kind)


@pytest.mark.parametrize(
    "change", [{"se_gate": "hardsigmoid_relu6"}, {"conv": "standard"}, {"conv": "dense-depthwise"}]
)
def test_what_is_built_differently_is_kept_apart(change: dict[str, Any]) -> None:
    row = Row(64, 16, 3, 1, True, "HS")
    plain = Table(name="n", stem=16, rows=(row,), last=8, classes=4)
    keys = {
        key(subject(table, 32), "1", FileKind("onnx", "fp32", 1))
        for table in (plain, msgspec.structs.replace(plain, **change))
    }
    assert len(keys) == 2
