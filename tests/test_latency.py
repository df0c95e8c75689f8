"""`latency` and `backends` as a user runs them, on real runtimes and on null."""

import csv
import io
import json
import re

import pytest

from mnv3prof.arch.files import read_table
from mnv3prof.arch.layers import expand
from mnv3prof.bench.backends import Usable, backend, names
from mnv3prof.cli.main import run
from mnv3prof.record.run import NET, Timing
from mnv3prof.show.latency import backends_sheet, latency_sheet, samples_sheet

TESTED = ["cpu", "onnxruntime", "openvino", "ncnn"]
GRAPH = expand(read_table("small"))


def _timing(backend_name, part, samples, **how):
    return Timing(backend=backend_name, part=part, samples_s=tuple(samples), calls=len(samples), **how)


def test_every_runtime_that_the_tests_need_is_here():
    """A missing runtime is a failure here, not a skip."""
    assert {name: backend(name).usable().reason for name in TESTED} == dict.fromkeys(TESTED, "")


@pytest.mark.parametrize("name", TESTED)
def test_a_runtime_runs_the_whole_network_and_every_block_as_pytorch_does(name, capsys):
    code = run(
        ["latency", "small", "--input", "64x96", "--on", name, "--time-budget", "1", "--format", "json"]
    )
    out, err = capsys.readouterr()
    timings = json.loads(out)["timings"]
    assert (code, err) == (0, "")
    assert [t["part"] for t in timings] == [*GRAPH.blocks, NET]
    for t in timings:
        assert (t["backend"], t["status"], t["reason"]) == (name, "ok", "")
        assert 0 <= t["max_rel_err"] < 1e-5
        assert t["samples_s"]
        assert t["load_s"] >= 0 < t["first_s"]


@pytest.mark.parametrize(
    "variant", [["--standard-conv"], ["--activation", "swish"], ["--dilated"], ["--width", "0.33"]]
)
def test_variants_run_on_the_runtimes(variant, capsys):
    arguments = ["latency", "small", *variant, "--input", "33x57", "--on", ",".join(TESTED), "--parts", "net"]
    code = run([*arguments, "--time-budget", "0.5"])
    assert code == 0, capsys.readouterr().out


def test_the_csv_has_a_row_for_each_part_and_backend(capsys):
    arguments = ["latency", "small", "--on", "null,cpu", "--parts", "blocks", "--time-budget", "1"]
    assert run([*arguments, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["backend"], row["part"]) for row in rows] == [
        (b, p) for b in ("null", "cpu") for p in GRAPH.blocks
    ]
    stem = rows[0]
    assert int(stem["macs"]) == 27 * 16 * 112 * 112
    assert float(stem["p10_s"]) <= float(stem["median_s"]) <= float(stem["p90_s"])


def test_a_wrong_output_exits_1_in_red(monkeypatch, capsys):
    monkeypatch.setenv("NULL_FAULT", "wrong")
    assert run(["latency", "small", "--on", "null", "--parts", "blocks", "--time-budget", "0.5"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^1 .* wrong", printed, re.MULTILINE)
    assert "null wrong: its output is" in printed
    assert "(parts: 1)." in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--on", "tpu"], "backend: 'tpu' is not known; allowed are "),
        (["--on", ""], "backend: '' is not known"),
        (["--on", "cpu,,null"], "backend: '' is not known"),
        (["--threads", "0"], "--threads: 0 is not allowed"),
        (["--batch", "0"], "--batch: 0 is not allowed"),
        (["--time-budget", "0"], "--time-budget: 0.0 is not allowed"),
        (["--time-budget", "nan"], "--time-budget: nan is not allowed"),
        (["--time-budget", "long"], "'long' is not a number"),
        (["--parts", "7"], "allowed are net, blocks, all"),
    ],
)
def test_wrong_input_is_refused(arguments, says, capsys):
    assert run(["latency", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_figures_of_the_sheet_by_hand():
    timings = [_timing("a", part, [0.002, 0.002, 0.002]) for part in GRAPH.blocks]
    timings += [_timing("a", NET, [0.020] * 3)]
    timings += [_timing("b", part, [0.001] * 9 + [0.002]) for part in GRAPH.blocks]
    timings += [Timing(backend="b", part=NET, status="crashed", reason="boom")]
    sheet = latency_sheet(GRAPH, timings, "a machine")
    stem = sheet.rows[0]
    assert stem[:2] == ("stem", 5_419_008)
    assert stem[2].split() == ["2.000", "±", "0.0%"] or stem[2].split() == ["2.000", "±0.0%"]
    assert stem[3] == pytest.approx(5_419_008 / 0.002 / 1e9)
    assert sheet.rows[-1][4:] == ("crashed", None)
    added, additivity = sheet.totals
    assert added[2].strip() == "28.000"  # 14 parts of 2 ms
    assert additivity[2].strip() == "×1.400"
    assert added[4] is additivity[4] is None  # nothing is added up where a part is missing
    assert "b crashed: boom (parts: net)." in sheet.notes
    assert sheet.alarms == frozenset()
    assert len(samples_sheet(GRAPH, timings).rows) == len(timings)


def test_noisy_cells_are_marked():
    steady, noisy = ([0.001] * 30, [0.001] * 20 + [0.0013] * 10)
    sheet = latency_sheet(GRAPH, [_timing("a", "stem", steady), _timing("a", "1", noisy)], "a machine")
    assert "~" not in sheet.rows[0][2]
    assert sheet.rows[1][2].endswith("~")
    assert sheet.totals == ()


def test_backends_says_what_each_is_and_checks_it(capsys):
    assert run(["backends", "--format", "json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["backends"]}
    assert set(found) == set(names())
    assert found["cpu"]["usable"] is True
    assert found["cpu"]["check"] is None
    assert run(["backends", "--check"]) == 0
    printed = capsys.readouterr().out
    for name in TESTED:
        assert re.search(rf"^{name} +yes .* PASS$", printed, re.MULTILINE)


def test_a_backend_that_fails_its_check_exits_1(monkeypatch, capsys):
    monkeypatch.setenv("NULL_FAULT", "raise")
    assert run(["backends", "--check"]) == 1
    assert re.search(
        r"^null +yes .* FAIL: RuntimeError: told to fail$", capsys.readouterr().out, re.MULTILINE
    )


def test_an_absent_backend_says_how_to_get_it(monkeypatch, capsys):
    from mnv3prof.bench.backends import installed

    assert installed("no-such-package", "light") == Usable(
        False, reason="no-such-package is not installed: pip install 'mnv3prof[light]'"
    )
    monkeypatch.setattr(backend("ncnn"), "usable", lambda: installed("no-such-package", "ncnn"))
    assert run(["backends"]) == 0
    assert "ncnn: no-such-package is not installed: pip install 'mnv3prof[ncnn]'." in capsys.readouterr().out


def test_the_sheet_of_backends_has_a_check_only_where_one_was_made():
    row = {
        "name": "x", "what": "y", "version": None, "device": None, "dtypes": ("fp32", "int8"),
        "usable": False, "reason": "z", "check": None,
    }  # fmt: skip
    sheet = backends_sheet([row])
    assert "check" not in [column.key for column in sheet.columns]
    assert sheet.rows == (("x", "no", None, None, "fp32 int8", "y"),)
    checked = backends_sheet([row, {**row, "check": "FAIL: q"}])
    assert checked.alarms == {1}
