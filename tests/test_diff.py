"""`diff`: changes by hand, verdicts of times, and one error message for hostile files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from runs import HOST, as_saved, changed, kept, made
from some import some
from terminal import on_terminal, without_escapes

from mnv3prof.budgets.diff import diff
from mnv3prof.budgets.figures import NAMES, Side
from mnv3prof.cli.main import run
from mnv3prof.graph.parts import NET
from mnv3prof.record.run import Subject
from mnv3prof.render.terminal import to_terminal
from mnv3prof.show.diff import diff_sheets
from mnv3prof.source import read_table

OLD = made()
SLOWER = made(seed=1, slower={"3": 1.2, NET: 1.1}, backends=("cpu", "onnxruntime"))


def _found(run: Any, source: str = "run.json") -> Any:
    return Side(source, run.subject, *run.measured_as, run)  # type: ignore[call-arg]


def _table(name: str, size: Any = (224, 224)) -> Any:
    return Side(name, Subject(read_table(name), size))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    return kept(OLD, tmp_path / "old.json"), kept(SLOWER, tmp_path / "new.json")


def _verdicts(old: Any, new: Any) -> Any:
    return {
        (t.part, (some(t.new or t.old)).target.backend): t.change.verdict
        for t in diff(_found(old), _found(new)).times
    }


def test_totals_of_two_tables_are_the_published_ones() -> None:
    found = diff(_table("large"), _table("small"))
    totals = {f.name: (f.old, f.new) for f in found.figures if not f.block}
    assert set(totals) == set(NAMES)
    assert totals["macs"] == (216_589_760, 56_510_400)
    assert totals["params"] == (5_483_032, 2_542_856)
    assert found.times == ()


def test_blocks_add_up_to_the_totals() -> None:
    found = diff(_table("large"), _table("small"))
    for name in ("macs", "flops", "params", "weights", "read", "written"):
        blocks = [f for f in found.figures if f.name == name and f.block]
        (whole,) = (f for f in found.figures if f.name == name and not f.block)
        assert sum(f.old or 0 for f in blocks) == whole.old
        assert sum(f.new or 0 for f in blocks) == whole.new
    gone = {f.block for f in found.figures if f.block and f.old is not None and f.new is None}
    assert gone == {"1 → –", "3 → –", "6 → –", "12 → –"}  # at 112, 56, 28 and 14 pixels Small has a row less


def test_a_changed_row_is_the_only_changed_block(tmp_path: Path) -> None:
    table = read_table("small")
    rows = (*table.rows[:4], replace(table.rows[4], expand=120), *table.rows[5:])
    found = diff(_table("small"), Side("my", Subject(replace(table, rows=rows), (224, 224))))
    assert {f.block for f in found.figures if f.block and f.differs and f.name == "macs"} == {"5"}
    (sheet,) = (s for s in diff_sheets(found) if s.title == "Blocks that changed")
    assert [row[0] for row in sheet.rows] == ["5"]


def test_nothing_changes_from_a_network_to_itself() -> None:
    found = diff(_found(OLD), _found(OLD))
    assert not any(f.differs for f in found.figures)
    assert set(_verdicts(OLD, OLD).values()) == {"same"}
    assert "No block changed" in to_terminal(diff_sheets(found))


def test_a_known_regression_is_found_and_only_it() -> None:
    slower = {key for key, verdict in _verdicts(OLD, SLOWER).items() if verdict == "slower"}
    assert slower == {(part, backend) for part in ("3", NET) for backend in ("cpu", "onnxruntime")}
    faster = {key for key, verdict in _verdicts(SLOWER, OLD).items() if verdict == "faster"}
    assert faster == slower
    assert set(_verdicts(OLD, SLOWER).values()) == {"slower", "same"}


def test_identical_parts_are_told_once_and_parts_are_in_the_networks_order() -> None:
    parts = [t.part for t in diff(_found(OLD), _found(OLD)).times if some(t.new).target.backend == "cpu"]
    assert parts == ["stem", "1", "2", "3", "4", "5", "7", "8", "9", "10", "head", "classifier", NET]


def test_a_part_is_compared_with_the_identical_one_that_was_measured_for_it() -> None:
    """In the new table row 6 is no longer identical to row 5, so it is timed by itself."""
    table = OLD.subject.table
    rows = (*table.rows[:5], replace(table.rows[5], expand=120), *table.rows[6:])
    subject = Subject(replace(table, rows=rows), OLD.subject.input)
    six = [replace(t, part="6") for t in OLD.timings if t.part == "5"]
    new = replace(OLD, subjects={"": subject}, timings=(*OLD.timings, *six))
    assert _verdicts(OLD, new)["6", "cpu"] == "same"


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (
            made(host=replace(HOST, cpu="Another")),
            "measured on different machines: processor a processor and Another",
        ),
        (made(how={"status": "mismatch", "reason": "off"}), "the new one is a mismatch: off"),
    ],
)
def test_what_was_measured_differently_is_not_compared(new: Any, reason: str) -> None:
    found = diff(_found(OLD), _found(new)).times
    assert {(t.change.verdict, t.change.reason) for t in found} == {("not comparable", reason)}
    text = to_terminal(diff_sheets(diff(_found(OLD), _found(new))))
    assert f"Not comparable, {reason} (all of them)." in text


@pytest.mark.parametrize(
    ("how", "notes", "targets"),
    [
        (
            {"dtype": "int8"},
            ["Times for fp32 in the old run are compared with times for int8 in the new run."],
            ("cpu", "fp32, batch 1, 1 thread → int8, batch 1, 1 thread"),
        ),
        (
            {"threads": 4},
            ["Times for 1 thread in the old run are compared with times for 4 threads in the new run."],
            ("cpu", "fp32, batch 1, 1 thread → fp32, batch 1, 4 threads"),
        ),
        (
            {"dtype": "int8", "batch": 4},
            [
                "Times for fp32 in the old run are compared with times for int8 in the new run.",
                "Times for batch 1 in the old run are compared with times for batch 4 in the new run, per image.",
            ],
            ("cpu", "fp32, batch 1, 1 thread → int8, batch 4, 1 thread"),
        ),
    ],
)
def test_a_field_of_the_target_in_which_all_times_differ_is_what_is_compared(
    how: Any, notes: list[Any], targets: tuple[Any, ...]
) -> None:
    found = diff(_found(OLD), _found(made(seed=1, how=how, slower={NET: 4.0})))
    batch = how.get("batch", 1)
    for change in found.times:
        expected = (4.0 if change.part == NET else 1.0) / batch
        assert change.change.ratio == pytest.approx(expected, rel=0.02)
    assert [note for note in found.notes if note.startswith("Times for")] == notes
    (sheet,) = [sheet for sheet in diff_sheets(found) if sheet.title == "Latency"]
    assert sheet.rows[0][:3] == ("stem", *targets)


def test_bytes_are_those_of_a_size_that_both_runs_were_measured_with() -> None:
    sizes = [{"batch": 1}, {"batch": 4}]
    runs = [
        replace(OLD, timings=tuple(t for how in order for t in made(how=how).timings))
        for order in (sizes, sizes[::-1])
    ]
    found = diff(*(_found(run) for run in runs))
    assert not any(change.differs for change in found.figures)
    (note,) = [note for note in found.notes if "Bytes are for" in note]
    assert note == "Bytes are for fp32, batch 4; MACs and FLOPs are per image."


def test_another_backend_is_compared_where_each_run_has_one() -> None:
    found = diff(_found(made(backends=("cpu",))), _found(made(backends=("litert",), slower={NET: 2.0})))
    (net,) = (t for t in found.times if t.part == NET)
    assert (net.change.verdict, net.change.ratio) == ("slower", pytest.approx(2.0, rel=0.02))  # type: ignore[comparison-overlap]
    assert "Times for cpu in the old run are compared with times for litert in the new run." in found.notes
    (sheet,) = [sheet for sheet in diff_sheets(found) if sheet.title == "Latency"]
    assert {row[1] for row in sheet.rows} == {"cpu → litert"}


def test_a_target_of_several_is_compared_with_the_same_one_only() -> None:
    """Old: fp32 and int8. New: int8, which is compared with the old int8, not with fp32."""
    both = replace(OLD, timings=OLD.timings + made(how={"dtype": "int8"}).timings)
    found = diff(_found(both), _found(made(how={"dtype": "int8"}))).times
    told = {(some(t.old).target.dtype, t.change.verdict, t.change.reason) for t in found}
    assert told == {("int8", "same", ""), ("fp32", "not comparable", "not in the new run")}


def test_devices_are_compared_where_they_are_what_differs() -> None:
    board = {"pi": replace(HOST, cpu="A board")}
    told = "Times for the run's own machine in the old run are compared with times for pi in the new run."
    there = made(how={"device": "pi"}, slower={NET: 3.0})
    there = replace(there, hosts={**there.hosts, **board})
    found = diff(_found(OLD), _found(there))
    (net,) = (t for t in found.times if t.part == NET and some(t.new).target.backend == "cpu")
    assert (net.change.verdict, net.change.ratio) == ("slower", pytest.approx(3.0, rel=0.02))  # type: ignore[comparison-overlap]
    assert told in found.notes
    other = replace(there, hosts={**OLD.hosts, "pi": replace(HOST, cpu="Another board")})
    assert {t.change.reason for t in diff(_found(there), _found(other)).times} == {
        "measured on different machines: processor A board and Another board"
    }


def test_of_another_network_the_whole_is_compared_and_the_blocks_that_are_aligned() -> None:
    found = diff(_found(made("large", backends=("cpu",))), _found(made("small", backends=("cpu",))))
    pairs = {t.part: t.counterpart for t in found.times}
    assert pairs["stem"] == "stem"  # one structure
    assert (pairs["1"], pairs["4"], pairs["9"]) == ("2", "7", "13")  # the first at 56, 14 and 7 pixels
    notes = [note for note in found.notes if note.startswith("Parts of")]
    assert notes == ["Parts of the old network without a counterpart are not compared: 1, 3, 6, 12."]


def test_times_that_are_compared_stand_before_those_that_are_not() -> None:
    """The old run has cpu too, which nothing is compared with."""
    old, new = made(backends=("cpu", "onnxruntime")), made(backends=("onnxruntime",), seed=1)
    (sheet,) = [sheet for sheet in diff_sheets(diff(_found(old), _found(new))) if sheet.title == "Latency"]
    verdicts = [row[-1] == "not comparable" for row in sheet.rows]
    assert verdicts == sorted(verdicts)
    assert 0 < sum(verdicts) < len(verdicts)


def test_blocks_behind_one_that_was_put_in_keep_their_counterparts() -> None:
    rows = OLD.subject.table.rows
    more = replace(OLD.subject.table, rows=(*rows[:2], rows[2], *rows[2:]))  # row 3 twice
    new = made("small", subject=Subject(more, OLD.subject.input))
    found = {t.part: t for t in diff(_found(OLD), _found(new)).times if some(t.new).target.backend == "cpu"}
    assert {part: t.counterpart for part, t in found.items()} == {
        "stem": "stem",
        "1": "1",
        "2": "2",
        "3": "3",
        "5": "4",
        "6": "5",
        "8": "7",
        "9": "8",
        "10": "9",
        "11": "10",
        "head": "head",
        "classifier": "classifier",
        NET: NET,
    }
    (sheet,) = [sheet for sheet in diff_sheets(diff(_found(OLD), _found(new))) if sheet.title == "Latency"]
    assert "4 → 5" in {row[0] for row in sheet.rows}


def test_what_only_one_run_has_is_told() -> None:
    other = made(backends=("litert",))
    found = diff(_found(OLD), _found(other)).times  # which of the two litert stands for, nobody can tell
    assert {((some(t.new or t.old)).target.backend, t.change.reason) for t in found} == {
        ("cpu", "not in the new run"),
        ("onnxruntime", "not in the new run"),
        ("litert", "not in the old run"),
    }


def test_another_input_other_versions_and_variants_are_noted() -> None:
    host = replace(HOST, versions={"torch": "2.10.0"}, os="Linux-6.9")
    new = made(size=(32, 64), host=host, variants={"wide": Subject(read_table("large"), (32, 32))})
    notes = " ".join(diff(_found(OLD), _found(new)).notes)
    assert "The input is 32×32 in the old network and 32×64 in the new one." in notes
    assert "torch 2.9.0 → 2.10.0" in notes
    assert "system Linux-6.1.0-x86_64 → Linux-6.9" in notes
    assert "The variant wide is only in the new run." in notes


def test_variants_that_both_have_are_compared() -> None:
    variants = {"v": Subject(read_table("large"), (32, 32))}
    timings = tuple(replace(t, variant="v") for t in OLD.timings if t.part == NET)
    old = replace(OLD, subjects={**OLD.subjects, **variants}, timings=OLD.timings + timings)
    found = diff(_found(old), _found(old))
    assert {(t.variant, t.part) for t in found.times if t.variant} == {("v", NET)}
    titles = [sheet.title for sheet in diff_sheets(found)]
    assert "Latency of v" in titles


@pytest.mark.parametrize("form", ["table", "json", "md", "csv"])
def test_every_format(files: Any, form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "old.json", "new.json", "--format", form]) == 0
    printed = capsys.readouterr().out
    assert "slower" in printed
    assert "onnxruntime" in printed


def test_the_json_holds_what_was_compared(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "old.json", "new.json", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (found["old"]["source"], found["new"]["source"]) == ("old.json", "new.json")
    (net,) = (t for t in found["times"] if (t["part"], t["new"]["target"]["backend"]) == (NET, "cpu"))
    assert net["verdict"] == "slower"
    assert net["ratio"] == pytest.approx(1.1, rel=0.01)
    assert net["new"]["seconds"] / net["old"]["seconds"] == pytest.approx(net["ratio"], rel=0.01)
    assert 1.05 < net["low"] < net["ratio"] < net["high"] < 1.2
    assert (net["reason"], net["clock"]) == ("", "wall")
    assert net["old"]["summary"]["bursts"] == 6
    assert found["blocks"] == []


def test_the_csv_is_a_row_a_change(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "old.json", "new.json", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["what"] for row in rows} == {*NAMES, "time"}
    (three,) = (row for row in rows if (row["part"], row["backend"]) == ("3", "cpu"))
    assert float(three["new"]) / float(three["old"]) == pytest.approx(float(three["ratio"]), rel=0.01)
    assert float(three["low"]) < float(three["ratio"]) < float(three["high"])
    assert (three["verdict"], three["dtype"], three["threads"]) == ("slower", "fp32", "1")


def test_a_table_beside_a_run_has_its_input(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "old.json", "small", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["new"]["input"] == [32, 32]
    assert found["blocks"] == found["times"] == []
    assert run(["diff", "small", "old.json", "--input", "64", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["old"]["input"] == [64, 64]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["old.json", "new.json", "--width", "0.5"],
            "old.json and new.json: options of the network cannot change a saved run",
        ),
        (["old.json", "nope.json"], "nope.json: no such file"),
        (["large"], "missing argument"),
        (["large", "small", "large"], "unexpected extra argument"),
        (["large", "small", "--format", "junit"], "expected table, json, csv or md"),
        (["large", "small", "--input", "0"], "is not an image size"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(
    arguments: list[Any], says: str, files: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err.lower()


HOSTILE = {
    "an older schema": ({"schema": 0}, "has the schema 0; this version reads 2"),
    "no schema": ({"schema": None}, "has the schema null"),
    "no host": ({"hosts": None}, "is damaged"),
    "a part that is not there": ({"timings": [as_saved(part="<script>")]}, "which is not in its network"),
    "a huge time": ({"timings": [as_saved(convert_s=1e308)]}, "is damaged"),
    "a text for a time": ({"timings": [as_saved(convert_s="1")]}, "is damaged"),
    "a negative batch": ({"timings": [as_saved(target={"backend": "cpu", "batch": -1})]}, "batch"),
    "a huge batch": ({"timings": [as_saved(target={"backend": "cpu", "batch": 10**30})]}, "run.json"),
    "no threads": ({"timings": [as_saved(target={"backend": "cpu", "threads": 0})]}, "threads"),
    "a peak rate of nothing": (
        {
            "hosts": {
                "": {
                    **msgspec.to_builtins(HOST),
                    "peak_rates": [
                        {"name": "cpu", "dtype": "fp32", "threads": 1, "macs_per_s": 0, "bytes_per_s": 1}
                    ],
                }
            }
        },
        "is damaged",
    ),
    "a table of one million channels": (
        {"graphs": {"": {"table": {"rows": [[10**6, 16, 3, 1, False, "RE"]]}, "input": [32, 32]}}},
        "is not allowed",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("command", [["diff", "old.json"], ["check", "--budget", "latency.cpu=1s"]])
def test_a_hostile_run_is_refused_in_one_sentence(
    what: Any, command: list[Any], files: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    change, says = HOSTILE[what]
    changed(files[0], files[0].with_name("run.json"), **change)  # type: ignore[arg-type]
    assert run([*command, "run.json"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize("cut", [1, 300, -200, -2])
def test_a_truncated_run_is_refused(cut: int, files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = files[0].with_name("run.json")
    path.write_bytes(files[0].read_bytes()[:cut])
    for command in (["diff", "old.json"], ["check", "--budget", "macs=1"]):
        assert run([*command, "run.json"]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)


def test_nan_is_refused_as_no_json(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = files[0].with_name("run.json")
    path.write_text(
        files[0].read_text(encoding="utf-8").replace('"cores":2', '"cores":NaN'), encoding="utf-8"
    )
    assert run(["diff", "old.json", "run.json"]) == 2
    assert "is not valid JSON" in capsys.readouterr().err


def test_a_run_without_timings_is_shown_without_them(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    changed(files[0], files[0].with_name("run.json"), timings=[])
    assert run(["diff", "run.json", "run.json"]) == 0
    assert "Latency" not in capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal(files: Any, columns: int) -> None:
    code, screen = on_terminal(["diff", "old.json", "new.json"], columns)
    assert code == 0
    lines = without_escapes(screen).splitlines()
    assert max(map(len, lines)) <= columns
    assert any("slower" in line and "×1.1" in line for line in lines)


def test_names_from_files_are_shown_not_obeyed(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    name = "<script>|`[x](y)` ::error::"
    graphs = json.loads(files[0].read_text(encoding="utf-8"))["graphs"]
    graphs[""]["table"]["name"] = name
    changed(files[0], files[0].with_name("run.json"), graphs=graphs)
    assert run(["diff", "old.json", "run.json", "--format", "md"]) == 0
    printed = capsys.readouterr().out
    assert r"\<script\>\|\`\[x\](y)\` ::error::" in printed
    assert name not in printed
