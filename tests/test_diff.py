"""`diff`: what changed, by hand, and every time with its verdict; hostile files in one sentence."""

import csv
import io
import json

import msgspec
import pytest
from made_runs import HOST, changed, kept, made
from msgspec.structs import replace
from terminal import on_terminal, without_escapes

from mnv3prof.cli.main import run
from mnv3prof.record.diff import diff
from mnv3prof.record.figures import NAMES, Found
from mnv3prof.record.run import NET, Subject
from mnv3prof.show.diff import diff_sheets
from mnv3prof.show.terminal import to_terminal
from mnv3prof.source import read_table

OLD = made()
SLOWER = made(seed=1, slower={"3": 1.2, NET: 1.1}, backends=("cpu", "onnxruntime"))


def _found(run, source="run.json"):
    return Found(source, run.subject, *run.measured_as, run)


def _table(name, size=(224, 224)):
    return Found(name, Subject(read_table(name), size))


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return kept(OLD, tmp_path / "old.json"), kept(SLOWER, tmp_path / "new.json")


def _verdicts(old, new):
    return {(t.part, t.backend): t.change.verdict for t in diff(_found(old), _found(new)).times}


def test_totals_of_two_tables_are_the_published_ones():
    found = diff(_table("large"), _table("small"))
    totals = {f.name: (f.old, f.new) for f in found.figures if not f.block}
    assert set(totals) == set(NAMES)
    assert totals["macs"] == (216_589_760, 56_510_400)
    assert totals["params"] == (5_483_032, 2_542_856)
    assert found.times == ()


def test_blocks_add_up_to_the_totals():
    found = diff(_table("large"), _table("small"))
    for name in ("macs", "flops", "params", "weights", "read", "written"):
        blocks = [f for f in found.figures if f.name == name and f.block]
        (whole,) = (f for f in found.figures if f.name == name and not f.block)
        assert sum(f.old or 0 for f in blocks) == whole.old
        assert sum(f.new or 0 for f in blocks) == whole.new
    gone = {f.block for f in found.figures if f.block and f.old is not None and f.new is None}
    assert gone == {"12", "13", "14", "15"}


def test_a_changed_row_is_the_only_changed_block(tmp_path):
    table = read_table("small")
    rows = (*table.rows[:4], replace(table.rows[4], expand=120), *table.rows[5:])
    found = diff(_table("small"), Found("my", Subject(replace(table, rows=rows), (224, 224))))
    assert {f.block for f in found.figures if f.block and f.differs and f.name == "macs"} == {"5"}
    (sheet,) = (s for s in diff_sheets(found) if s.title == "Blocks that changed")
    assert [row[0] for row in sheet.rows] == ["5"]


def test_nothing_changes_from_a_network_to_itself():
    found = diff(_found(OLD), _found(OLD))
    assert not any(f.differs for f in found.figures)
    assert set(_verdicts(OLD, OLD).values()) == {"same"}
    assert "No figure of any block changed" in to_terminal(diff_sheets(found))


def test_a_known_regression_is_found_and_only_it():
    slower = {key for key, verdict in _verdicts(OLD, SLOWER).items() if verdict == "slower"}
    assert slower == {(part, backend) for part in ("3", NET) for backend in ("cpu", "onnxruntime")}
    faster = {key for key, verdict in _verdicts(SLOWER, OLD).items() if verdict == "faster"}
    assert faster == slower
    assert set(_verdicts(OLD, SLOWER).values()) == {"slower", "same"}


def test_identical_parts_are_told_once_and_parts_are_in_the_networks_order():
    parts = [t.part for t in diff(_found(OLD), _found(OLD)).times if t.backend == "cpu"]
    assert parts == ["stem", "1", "2", "3", "4", "5", "7", "8", "9", "10", "head", "classifier", NET]


def test_a_part_is_compared_with_the_identical_one_that_was_measured_for_it():
    """In the new table row 6 is no longer row 5's twin, so it is timed by itself."""
    table = OLD.subject.table
    rows = (*table.rows[:5], replace(table.rows[5], expand=120), *table.rows[6:])
    subject = Subject(replace(table, rows=rows), OLD.subject.input)
    six = [replace(t, part="6") for t in OLD.timings if t.part == "5"]
    new = replace(OLD, subject=subject, timings=(*OLD.timings, *six))
    assert _verdicts(OLD, new)["6", "cpu"] == "same"


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (made(host=replace(HOST, cpu="Another")), "measured on different machines: processor Made CPU and Another"),
        (made(how={"dtype": "int8"}), "measured differently: type fp32 and int8"),
        (made(how={"threads": 4, "batch": 2}), "measured differently: batch 1 and 2, threads 1 and 4"),
        (made(count=8), "the new one has 8 samples, 9 are needed"),
        (made(how={"status": "wrong", "reason": "off"}), "the new one is wrong: off"),
    ],
)  # fmt: skip
def test_what_was_measured_differently_is_not_compared(new, reason):
    found = diff(_found(OLD), _found(new)).times
    assert {(t.change.verdict, t.change.reason) for t in found} == {("not comparable", reason)}
    text = to_terminal(diff_sheets(diff(_found(OLD), _found(new))))
    assert f"Not comparable, {reason} (all of them)." in text


def test_what_only_one_run_has_is_told():
    other = made(backends=("litert",))
    found = diff(_found(OLD), _found(other)).times
    assert {(t.backend, t.change.reason) for t in found} == {
        ("cpu", "not in the new run"), ("onnxruntime", "not in the new run"), ("litert", "not in the old run"),
    }  # fmt: skip


def test_another_input_other_versions_and_variants_are_noted():
    host = replace(HOST, versions={"torch": "2.10.0"}, os="Linux-6.9")
    new = made(size=(32, 64), host=host, variants={"wide": Subject(read_table("large"), (32, 32))})
    notes = " ".join(diff(_found(OLD), _found(new)).notes)
    assert "The input is 32×32 in the old one and 32×64 in the new one." in notes
    assert "torch 2.9.0 → 2.10.0" in notes
    assert "system Linux-6.1.0-x86_64 → Linux-6.9" in notes
    assert "The variant wide is only in the new one." in notes


def test_variants_that_both_have_are_compared():
    variants = {"v": Subject(read_table("large"), (32, 32))}
    timings = tuple(replace(t, variant="v") for t in OLD.timings if t.part == NET)
    old = replace(OLD, variants=variants, timings=OLD.timings + timings)
    found = diff(_found(old), _found(old))
    assert {(t.variant, t.part) for t in found.times if t.variant} == {("v", NET)}
    titles = [sheet.title for sheet in diff_sheets(found)]
    assert "Times of v" in titles


@pytest.mark.parametrize("form", ["table", "json", "md", "csv"])
def test_every_format(files, form, capsys):
    assert run(["diff", "old.json", "new.json", "--format", form]) == 0
    printed = capsys.readouterr().out
    assert "slower" in printed
    assert "onnxruntime" in printed


def test_the_json_holds_what_was_compared(files, capsys):
    assert run(["diff", "old.json", "new.json", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (found["old"]["source"], found["new"]["source"]) == ("old.json", "new.json")
    (net,) = (t for t in found["times"] if (t["part"], t["backend"]) == (NET, "cpu"))
    assert net["verdict"] == "slower"
    assert net["ratio"] == pytest.approx(1.1, rel=0.01)
    assert net["new"]["seconds"] / net["old"]["seconds"] == net["ratio"]
    assert net["old"]["summary"]["count"] == 50
    assert found["blocks"] == []


def test_the_csv_is_a_row_a_change(files, capsys):
    assert run(["diff", "old.json", "new.json", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["what"] for row in rows} == {*NAMES, "time"}
    (three,) = (row for row in rows if (row["part"], row["backend"]) == ("3", "cpu"))
    assert float(three["new"]) / float(three["old"]) == pytest.approx(float(three["ratio"]))
    assert (three["verdict"], three["dtype"], three["threads"]) == ("slower", "fp32", "1")


def test_a_table_beside_a_run_has_its_input(files, capsys):
    assert run(["diff", "old.json", "small", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["new"]["input"] == [32, 32]
    assert found["blocks"] == found["times"] == []
    assert run(["diff", "small", "old.json", "--input", "64", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["old"]["input"] == [64, 64]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["old.json", "new.json", "--width", "0.5"], "old.json and new.json: options of the network cannot change a saved run; leave them out"),
        (["old.json", "nope.json"], "nope.json: no such file"),
        (["large"], "missing argument"),
        (["large", "small", "large"], "unexpected extra argument"),
        (["large", "small", "--format", "junit"], "expected table, json, csv, md"),
        (["large", "small", "--input", "0"], "is not an image size"),
    ],
)  # fmt: skip
def test_wrong_input_is_refused_in_one_sentence(arguments, says, files, capsys):
    assert run(["diff", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err.lower()


HOSTILE = {
    "an older schema": ({"schema": 0}, "has the schema 0; this version reads 1"),
    "no schema": ({"schema": None}, "has the schema null"),
    "no host": ({"host": None}, "is damaged"),
    "a part that is not there": (
        {"timings": [{"backend": "cpu", "part": "<script>"}]},
        "which its network has not",
    ),
    "a huge time": (
        {"timings": [{"backend": "cpu", "part": NET, "samples_s": [1e308]}]},
        "is damaged",
    ),
    "a text for a time": (
        {"timings": [{"backend": "cpu", "part": NET, "samples_s": ["1"]}]},
        "is damaged",
    ),
    "a negative batch": ({"timings": [{"backend": "cpu", "part": NET, "batch": -1}]}, "batch"),
    "a huge batch": ({"timings": [{"backend": "cpu", "part": NET, "batch": 10**30}]}, "run.json"),
    "no threads": ({"timings": [{"backend": "cpu", "part": NET, "threads": 0}]}, "threads"),
    "a roof of nothing": (
        {
            "host": {
                **msgspec.to_builtins(HOST),
                "roofs": [
                    {"device": "cpu", "dtype": "fp32", "threads": 1, "macs_per_s": 0, "bytes_per_s": 1}
                ],
            }
        },
        "is damaged",
    ),
    "a table of one million channels": (
        {"table": {"rows": [[10**6, 16, 3, 1, False, "RE"]]}},
        "is not allowed",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("command", [["diff", "old.json"], ["check", "--budget", "latency.cpu=1s"]])
def test_a_hostile_run_is_refused_in_one_sentence(what, command, files, capsys):
    change, says = HOSTILE[what]
    changed(files[0], files[0].with_name("run.json"), **change)
    assert run([*command, "run.json"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize("cut", [1, 300, -200, -2])
def test_a_truncated_run_is_refused(cut, files, capsys):
    path = files[0].with_name("run.json")
    path.write_bytes(files[0].read_bytes()[:cut])
    for command in (["diff", "old.json"], ["check", "--budget", "macs=1"]):
        assert run([*command, "run.json"]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)


def test_nan_is_refused_as_no_json(files, capsys):
    path = files[0].with_name("run.json")
    path.write_text(
        files[0].read_text(encoding="utf-8").replace('"cores":2', '"cores":NaN'), encoding="utf-8"
    )
    assert run(["diff", "old.json", "run.json"]) == 2
    assert "is not valid JSON" in capsys.readouterr().err


def test_a_run_without_timings_is_shown_without_them(files, capsys):
    changed(files[0], files[0].with_name("run.json"), timings=[])
    assert run(["diff", "run.json", "run.json"]) == 0
    assert "Times" not in capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal(files, columns):
    code, screen = on_terminal(["diff", "old.json", "new.json"], columns)
    assert code == 0
    lines = without_escapes(screen).splitlines()
    assert max(map(len, lines)) <= columns
    assert any("slower" in line and "×1.1" in line for line in lines)


def test_names_from_files_are_shown_not_obeyed(files, capsys):
    name = "<script>|`[x](y)` ::error::"
    table = json.loads(files[0].read_text(encoding="utf-8"))["table"]
    changed(files[0], files[0].with_name("run.json"), table={**table, "name": name})
    assert run(["diff", "old.json", "run.json", "--format", "md"]) == 0
    printed = capsys.readouterr().out
    assert r"\<script\>\|\`\[x\](y)\` ::error::" in printed
    assert name not in printed
