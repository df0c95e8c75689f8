"""`latency` and `backends` as a user runs them, on all runtimes and on null."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from measured import SLOW, converted
from msgspec.structs import replace
from runs import HOST, run_of, timing
from subjects import subject
from terminal import on_terminal, without_escapes

import mnv3prof
from mnv3prof.cli.commands.backends import _load_effort
from mnv3prof.cli.main import run
from mnv3prof.cost.counts import count, subtotals, total
from mnv3prof.graph.parts import NET, identical_blocks
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record.document import encoded
from mnv3prof.record.run import PeakRates, Runtime
from mnv3prof.render.sheet import Sheet
from mnv3prof.show.answers import variant_sheets
from mnv3prof.show.latency import backends_sheet, latency_sheets, samples_sheet
from mnv3prof.workers.backends import Usable, backend, names, usable
from mnv3prof.workers.formats import get_format

TESTED = ["cpu", "cpu-compile", "onnxruntime", "openvino", "ncnn", "mnn", "litert", "executorch"]
LIGHT = ["cpu", "onnxruntime", "openvino", "ncnn", "mnn"]
TINY = str(Path(__file__).parent / "tiny.toml")
SMALL = subject("small")
GRAPH = SMALL.graph


OURS = replace(
    HOST,
    runtimes={"a": Runtime("1", "cpu", "cpu"), "b": Runtime("1", "a chip", "")},
    peak_rates=(PeakRates("cpu", "fp32", 1, 10e9, 5e9),),
)


def _run(*timings: Any, variants: Any = None) -> Any:
    return run_of(SMALL, timings, variants, OURS)


def test_a_saved_interrupt_is_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_text(encoded(_run(timing("a", "1", [0.001] * 9, stopped="interrupted"))), encoding="utf-8")
    assert run(["latency", str(path)]) == 0
    assert "1 was interrupted" in capsys.readouterr().out


def test_every_runtime_that_the_tests_need_is_here() -> None:
    """A missing runtime is a failure here, not a skip."""
    assert {name: usable(name).reason for name in TESTED} == dict.fromkeys(TESTED, "")


@pytest.mark.parametrize("name", TESTED)
def test_a_runtime_runs_the_whole_network_and_every_block_as_pytorch_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # The slow converters take the network and two blocks, the compiler a whole network of two blocks.
    table = TINY if name == "cpu-compile" else "small"
    parts = ["--parts", "net"] if name in {*SLOW, "cpu-compile"} else []
    command = ["latency", table, "--input", "64x96", "--on", name, "--time-budget", "1", "--format", "json"]
    converted(name)
    code = run([*command, *parts])
    out, err = capsys.readouterr()
    timings = json.loads(out)["timings"]
    assert code == 0
    assert not any(line.startswith("mnv3prof") for line in err.splitlines())  # progress at most
    if name in SLOW:
        assert run([*command, "--rows", "1,5"]) == 0
        timings += json.loads(capsys.readouterr().out)["timings"]
        assert [t["part"] for t in timings] == [NET, "1", "5"]
    else:
        expected = [NET] if parts else [*dict.fromkeys(identical_blocks(GRAPH).values())]
        assert [t["part"] for t in timings] == expected
    for t in timings:
        assert (t["target"]["backend"], t["status"], t["reason"]) == (name, "ok", "")
        assert 0 <= t["rms_rel_err"] < 1e-5 > t["max_rel_err"] >= 0
        bursts = [burst for launch in t["launches"] for burst in launch["bursts"]]
        processor = sum(b["calls"] * b["cpu_s"] for b in bursts) / sum(
            b["calls"] * b["mean_s"] for b in bursts
        )
        assert processor < 1.15  # one thread
        assert t["load_s"] >= 0 < t["first_s"]
        assert (t["convert_s"] is None) == (t["file_bytes"] is None) == (name in ("cpu", "cpu-compile"))


def test_variants_run_on_the_runtimes() -> None:
    changes: dict[str, dict[str, Any]] = {
        "standard": {"standard_conv": True},
        "swish": {"activation": "swish"},
        "dilated": {"dilated": True},
        "narrow": {"width": 0.33},
    }
    net = mnv3prof.load("small", (33, 57))
    variants = {name: mnv3prof.vary(net.table, **change) for name, change in changes.items()}
    found = mnv3prof.measure(net, LIGHT, parts="net", budget_s=1, variants=variants)
    assert [(t.target.backend, t.variant, t.reason) for t in found.timings if t.status != "ok"] == []
    assert {t.variant for t in found.timings} == {"", *changes}
    assert len(found.timings) == len(LIGHT) * len({"", *changes})


def test_the_csv_has_a_row_for_each_part_and_backend(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["latency", "small", "--on", "null,cpu", "--parts", "blocks", "--time-budget", "1"]
    assert run([*arguments, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    own = [part for part, first in identical_blocks(GRAPH).items() if part == first != NET]
    assert [(row["backend"], row["part"]) for row in rows] == [(b, p) for b in ("null", "cpu") for p in own]
    stem = rows[0]
    assert int(stem["macs"]) == 27 * 16 * 112 * 112
    assert float(stem["p10_s"]) <= float(stem["median_s"]) <= float(stem["p90_s"])


def test_a_wrong_output_exits_1_in_red(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NULL_FAULT", "wrong")
    assert run(["latency", "small", "--on", "null", "--parts", "blocks", "--time-budget", "0.5"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^1 .* mismatch", printed, re.MULTILINE)
    assert "null mismatch: its output is" in printed
    assert "(parts: 1)." in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--on", "tpu"], "backend: 'tpu' is not known; expected "),
        (["--on", ""], "backend: '' is not known"),
        (["--on", "cpu,,null"], "backend: '' is not known"),
        (["--threads", "0"], "--threads: 0 is not allowed"),
        (["--batch", "0"], "--batch: 0 is not allowed"),
        (["--time-budget", "0"], "--time-budget: 0.0 is not allowed"),
        (["--time-budget", "nan"], "--time-budget: nan is not allowed"),
        (["--time-budget", "long"], "'long' is not a number"),
        (
            ["--parts", "77"],
            "--parts: '77' is not a part of MobileNetV3-Large; expected net, blocks, backbone, all, ",
        ),
        (["--parts", "2-77"], "is not a part of"),
        (["--parts", "classifer"], "did you mean classifier?"),
        (["--parts", "1", "--rows", "1"], "--parts and --rows cannot be combined"),
        (["--rows", "0"], "--rows: '0' is not allowed; expected rows 1 to 15, e.g. 3,7-9"),
        (["--rows", "3,16"], "expected rows 1 to 15"),
        (["--rows", "5-3"], "names no row"),
        (["--rows", ""], "--rows: '' is not allowed"),
        (["--timeout", "-1"], "--timeout: -1.0 is not allowed"),
        (["--dtype", "fp8"], "expected fp32, fp16, bf16 or int8"),
    ],
)
def test_wrong_input_is_refused(arguments: list[Any], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["latency", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


SHOWN = "run.json is a saved run, which is only shown; expected only options that select, e.g. --on, and of the output"


def cells(sheet: Sheet, row: int = 0) -> dict[str, Any]:
    """The values of a row by the keys of the columns."""
    return dict(zip([column.key for column in sheet.columns], sheet.rows[row], strict=True))


def test_figures_of_the_sheet_by_hand() -> None:
    timings = [timing("a", part, [0.002] * 6) for part in GRAPH.block_names]
    timings += [timing("a", NET, [0.020] * 6)]
    timings += [timing("b", part, [0.001] * 9 + [0.002]) for part in GRAPH.block_names]
    timings += [timing("b", NET, status="crashed", reason="boom")]
    ranking, sheet = latency_sheets(_run(*timings))
    assert [row[:2] for row in ranking.rows] == [("a", sheet.rows[-1][2]), ("b", "crashed")]
    stem = sheet.rows[0]
    assert stem[:2] == ("stem", 5_419_008)
    assert stem[2].split() == ["2.000", "±0.0%"] or stem[2].split() == ["2.000", "±", "0.0%"]
    assert stem[3] == pytest.approx(5_419_008 / 0.002 / 1e9)
    assert stem[4:6] == (pytest.approx(5_419_008 / 0.002 / 10e9), "neither")
    assert stem[7:9] == (pytest.approx(5.419008), None)  # b has no peak rates
    assert sheet.rows[-2][5] == "memory"  # the classifier: a MAC for each 4 bytes of weights
    assert sheet.rows[-1][6:] == ("crashed", None, None)
    added, additivity = sheet.totals
    assert added[2].startswith("28 (2")  # 14 parts of 2 ms, and the interval of their sum
    assert additivity[2].startswith("×1.4 (1.")
    assert added[6] is additivity[6] is None  # nothing is added up where a part is missing
    assert "b crashed: boom (parts: net)." in sheet.notes
    assert "b runs on a chip." in sheet.notes
    assert sheet.highlighted == frozenset()
    assert len(samples_sheet(_run(*timings)).rows) == len(timings)


@pytest.mark.parametrize(
    ("part", "seconds", "limited_by"),
    [
        ("stem", 1e-3, "compute"),  # 5.4 of 10 GMAC/s, and 1.4 of 5 GB/s
        ("stem", 1.4e-3, "neither"),  # 3.9, and 1.0
        ("classifier", 2e-3, "memory"),  # 0.8, and 3.2
        ("classifier", 4e-3, "neither"),  # 0.4, and 1.6
        ("stem", 0.5e-3, "compute"),
    ],
)
def test_what_limits_a_part_is_the_peak_that_it_comes_near(
    part: str, seconds: float, limited_by: str
) -> None:
    """The stem moves 4 × (3·224² + 16·112² + 448) = 1.41 MB, the classifier's 1.6 M weights 6.5 MB."""
    (sheet,) = latency_sheets(_run(timing("a", part, [seconds] * 6)))
    assert cells(sheet)["limited_by"] == limited_by
    above = seconds == 0.5e-3  # 10.8 GMAC/s
    assert any(note.startswith("More than 100 % of peak is possible:") for note in sheet.notes) is above


def test_int8_has_no_peak() -> None:
    (sheet,) = latency_sheets(_run(timing("a", "stem", [1e-3] * 6, dtype="int8")))
    assert cells(sheet)["of_peak"] is None
    assert any("The peak of int8 is not known" in note for note in sheet.notes)


def test_cpu_time_stands_beside_wall_time_where_the_machine_was_busy() -> None:
    busy = timing("a", "stem", [0.003] * 12, cpu=0.5)
    (sheet,) = latency_sheets(_run(busy, timing("a", "1", [0.001] * 12)))
    assert [column.title for column in sheet.columns][2:4] == ["a, ms", "CPU time, ms"]
    assert sheet.rows[0][2].startswith("3.000")
    assert sheet.rows[0][3].startswith("1.500")
    assert sheet.rows[0][4] == pytest.approx(5_419_008 / 0.0015 / 1e9)  # by CPU time
    assert sheet.rows[1][3] is None


def test_shares_of_the_peaks_by_hand() -> None:
    (row,) = samples_sheet(_run(timing("a", "classifier", [0.002] * 3))).rows
    found = dict(
        zip([c.key for c in samples_sheet(_run(timing("a", "stem", [1.0]))).columns], row, strict=True)
    )
    macs = 576 * 1024 + 1024 * 1000
    moved = 4 * (macs + 1024 + 1000 + 576 + 2 * 1024 + 1000)  # weights, biases, inputs and outputs
    assert found["macs"] == macs
    assert found["of_peak"] == pytest.approx(macs / 0.002 / 10e9)
    assert found["of_bandwidth"] == pytest.approx(moved / 0.002 / 5e9, rel=1e-3)
    assert found["limited_by"] == "memory"


def test_identical_rows_are_measured_once_and_shown_as_such() -> None:
    assert {part for part, first in identical_blocks(GRAPH).items() if part != first} == {"6", "11"}
    timings = [timing("a", part, [0.001] * 3) for part in GRAPH.block_names if part not in ("6", "11")]
    (sheet,) = latency_sheets(_run(*timings, timing("a", NET, [0.01] * 3)))
    assert [row[0] for row in sheet.rows][11] == "11 = 10"
    assert sheet.rows[11][1:] == sheet.rows[10][1:]
    assert sheet.totals[0][2].startswith("14 (1")
    assert any(note == "Identical blocks are measured once: 6 is 5, 11 is 10." for note in sheet.notes)


def test_noisy_drifting_and_scattered_cells_are_marked() -> None:
    quiet, noisy, few = ([0.001] * 30, [0.001] * 20 + [0.0013] * 10, [0.001] * 5)
    (sheet,) = latency_sheets(_run(timing("a", "1", few)))
    assert cells(sheet)["ms"].endswith("~")  # however alike they are
    assert any("or there are fewer than 6 bursts" in note for note in sheet.notes)
    drifting = timing("a", "2", [0.001] * 18 + [0.0013] * 12, calls=(1,) * 30)
    (sheet,) = latency_sheets(_run(timing("a", "stem", quiet), timing("a", "1", noisy), drifting))
    assert "~" not in sheet.rows[0][2]
    assert sheet.rows[1][2].endswith("~")
    assert sheet.totals == ()
    (sentence,) = [note for note in sheet.notes if "times are noisy" in note]
    assert sentence.startswith("2 of 3 times are noisy; the latency drifted while sampling 2 on a")


def test_more_processors_than_threads_are_named() -> None:
    (sheet,) = latency_sheets(_run(timing("a", "stem", [0.001] * 9, cpu=1.9)))
    assert any("more CPU cores were busy than threads set: stem (1.90) on a" in n for n in sheet.notes)


def test_what_a_variant_really_saves_stands_beside_what_it_should() -> None:
    standard = SMALL.varied(vary(SMALL.table, standard_conv=True))
    timings = [timing("a", part, [0.001] * 6) for part in ("1", "2")]
    timings += [timing("a", part, [0.004] * 6, variant="s") for part in ("1", "2")]
    *_, saving = latency_sheets(_run(*timings, variants={"s": standard}))
    macs = [{t.name: t.macs for t in subtotals(g, count(g))} for g in (GRAPH, standard.graph)]
    for part, row in zip(("1", "2"), saving.rows, strict=True):
        assert row[:2] == (part, pytest.approx(macs[1][part] / macs[0][part]))
        assert re.fullmatch(r"×4 \(3\.\d+ to 4\.\d+\) slower", row[2])


def test_how_a_variant_differs_is_told_in_one_line() -> None:
    standard = SMALL.varied(vary(SMALL.table, standard_conv=True))
    macs, params = 410_116_352 / 56_510_400, total(count(standard.graph)).params / 2_542_856
    timings = [timing("a", NET, [0.001] * 6), timing("b", NET, [0.001] * 6)]
    timings += [timing("a", NET, [0.004] * 6, variant="s")]
    timings += [timing("b", NET, variant="s", status="crashed", reason="boom")]
    (sheet,) = variant_sheets(_run(*timings, variants={"s": standard}))
    assert sheet.title == "Compared with MobileNetV3-Small at 224×224"
    begin = re.escape(f"s: ×{macs:.3f} MACs; ×{params:.3f} parameters; latency on a ×4 (")
    (note,) = sheet.notes
    assert re.fullmatch(
        begin + r"3\.\d+ to 4\.\d+\) slower; latency on b not comparable \(.*boom.*\)\.", note
    )
    assert variant_sheets(_run(timing("a", NET, [0.001] * 6))) == ()


def test_a_structural_option_times_the_network_without_and_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        run(
            [
                "latency",
                "small",
                "--standard-conv",
                "--on",
                "null",
                "--rows",
                "2,4-5",
                "--time-budget",
                "0.3",
                "--format",
                "json",
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    main, name = found["graphs"]
    assert (main, found["graphs"][name]["table"]["conv"]) == ("", "standard")
    assert [(t["variant"], t["part"]) for t in found["timings"]] == [
        (v, p) for v in ("", name) for p in ("2", "4", "5")
    ]
    assert (
        run(["latency", "small", "--standard-conv", "--on", "null", "--rows", "2", "--time-budget", "0.1"])
        == 0
    )
    assert ": MACs and latency, relative to MobileNetV3-Small" in capsys.readouterr().out


def test_backends_says_what_each_is_and_checks_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _only(LIGHT, monkeypatch)
    assert run(["backends", "--format", "json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["backends"]}
    assert set(found) == set(names())
    assert found["cpu"]["usable"] is True
    assert found["cpu"]["check"] is None
    assert run(["backends", "--check"]) == 0
    printed, told = capsys.readouterr()
    for name in LIGHT:
        assert re.search(rf"^{name} +yes .* PASS \(.* off\)$", printed, re.MULTILINE)
    assert re.findall(r"^([a-z-]+): PASS", told, re.MULTILINE) == ["cpu", *sorted(LIGHT[1:])]


def _only(usable_names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make other backends not available."""

    def found(name: str) -> Usable:
        return usable(name) if name in usable_names else Usable(False, reason="it is left out")

    monkeypatch.setattr("mnv3prof.cli.commands.backends.usable", found)


def test_backends_are_checked_in_the_order_of_what_it_takes_to_load_them() -> None:
    order = sorted((name for name in names() if name in TESTED), key=_load_effort)
    assert order == ["cpu", *sorted(LIGHT[1:]), *sorted(SLOW), "cpu-compile"]


def test_a_backend_that_fails_its_check_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NULL_FAULT", "raise")
    _only(["null", "cpu"], monkeypatch)
    assert run(["backends", "--check"]) == 1
    assert re.search(
        r"^null +yes .* FAIL: RuntimeError: told to fail$", capsys.readouterr().out, re.MULTILINE
    )


def test_an_absent_backend_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backend("ncnn"), "PACKAGE", "no-such-package")
    monkeypatch.setattr(get_format("litert"), "CONVERTER", "no-such-converter")
    monkeypatch.setattr(backend("torchscript"), "PACKAGE", "no-torch")
    assert run(["backends"]) == 0
    out = capsys.readouterr().out
    assert "\nncnn: no-such-package is not installed: pip install 'mnv3prof[ncnn]'.\n" in out
    assert "\nlitert: no-such-converter is not installed: pip install 'mnv3prof[litert]'.\n" in out
    assert "\ntorchscript: no-torch is not installed: pip install mnv3prof.\n" in out


def test_the_sheet_of_backends_has_a_check_only_where_one_was_made() -> None:
    row = {
        "name": "x",
        "what": "y",
        "version": None,
        "chip": None,
        "dtypes": ("fp32", "int8"),
        "usable": False,
        "reason": "z",
        "check": None,
    }
    sheet = backends_sheet([row])
    assert "check" not in [column.key for column in sheet.columns]
    assert sheet.rows == (("x", "no", None, None, "fp32 int8", "y"),)
    checked = backends_sheet([row, {**row, "check": "FAIL: q"}])
    assert checked.highlighted == {1}


def test_one_processor_where_more_threads_were_asked_for_is_named() -> None:
    how = {"cpu": 1.02, "threads": 2}
    cells = [("a", "stem"), ("a", "1"), ("b", "2")]
    (sheet,) = latency_sheets(_run(*(timing(b, p, [0.001] * 9, **how) for b, p in cells)))  # type: ignore[arg-type]
    sentence = "one CPU core was busy although more threads were set: stem and 1 on a and 2 on b."
    assert any(sentence in note for note in sheet.notes)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--ops"], f"--ops: {SHOWN}"),
        (["--standard-conv"], f"--standard-conv: {SHOWN}"),
        (["--input", "64"], f"--input: {SHOWN}"),
        (["--time-budget", "1"], f"--time-budget: {SHOWN}"),
        (["--data", "."], f"--data: {SHOWN}"),
        (["--no-cache", "--on", "cpu"], f"--no-cache: {SHOWN}"),
        (["--on", "null"], "has no timing of backend null; expected cpu or onnxruntime"),
        (["--dtype", "bf16"], "has no timing of dtype bf16; expected fp32 or int8"),
        (
            ["--on", "cpu", "--dtype", "int8"],
            "has no timing of this combination; expected cpu (fp32, batch 1",
        ),
        (["--rows", "4"], "has no timing of 4; expected 1, 5, 6 or net"),
        (["--parts", "nett"], "'nett' is not a part of MobileNetV3-Small; did you mean net?"),
        (["--sort", "time", "--top", "0"], "--top: 0 is not allowed; expected an integer from 1"),
    ],
)
def test_a_saved_run_is_shown_as_it_was_measured_or_not_at_all(
    options: list[Any],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(_saved(tmp_path).parent)
    assert run(["latency", "run.json", *options]) == 2
    assert says in capsys.readouterr().err


def _saved(folder: Path) -> Path:
    """A run of blocks 1 and 5, which is 6 too, and the network, on two backends, one of them also at int8."""
    how: list[tuple[str, Any]] = [("cpu", {}), ("onnxruntime", {}), ("onnxruntime", {"dtype": "int8"})]
    timings = [timing(b, part, [0.001] * 9, **more) for b, more in how for part in ("1", "5", NET)]
    path = folder / "run.json"
    path.write_text(encoded(_run(*timings)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], 9),
        (["--on", "onnxruntime"], 6),
        (["--on", "all"], 9),
        (["--dtype", "int8"], 3),
        (["--on", "ort", "--dtype", "fp32", "--parts", "net"], 1),
        (["--rows", "6"], 3),  # measured as 5
        (["--parts", "blocks"], 6),
    ],
)
def test_a_saved_run_is_filtered(
    options: list[Any], left: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["latency", str(_saved(tmp_path)), *options, "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + left


def test_rows_are_sorted_and_the_rest_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = {"stem": 2e-3, "1": 3e-3, "2": 1e-3}
    path = tmp_path / "run.json"
    path.write_text(encoded(_run(*(timing("cpu", p, [s] * 9) for p, s in seconds.items()))), encoding="utf-8")
    firsts = {"time": "1", "macs": "2", "params": "2", "memory": "stem"}  # 5,475,456 and 5,419,008 MACs
    for metric, first in firsts.items():
        assert run(["latency", str(path), "--sort", metric, "--top", "1"]) == 0
        printed = capsys.readouterr().out
        assert "Not shown: 2 of 3 parts." in printed
        lines = printed.splitlines()
        assert (
            next(line for n, line in enumerate(lines) if lines[n - 2].startswith("Part ")).split()[0] == first
        )


PROGRESS = ["latency", "small", "--input", "32", "--on", "null", "--parts", "net", "--time-budget", "2"]


def test_progress_is_a_bar_with_the_time_left_on_a_terminal() -> None:
    code, screen = on_terminal(PROGRESS, 100, NULL_SECONDS="0.4")
    assert code == 0
    assert re.search(r"[01] s, [12] s left sampling: net on null, round [1-5]", without_escapes(screen))
    assert "the part with the largest RMS rel error." in without_escapes(screen).replace("\n", " ")


def test_the_worst_part_of_a_dtype_that_rounds_is_named_with_its_error() -> None:
    errors = {"stem": 0.01, "1": 0.12, "2": 0.03, NET: 0.3}
    ready: dict[str, Any] = {"first_s": 1e-3, "max_abs_err": 1.0, "max_rel_err": 0.1}
    timings = [
        timing("a", part, [0.001] * 9, dtype="int8", rms_rel_err=e, **ready) for part, e in errors.items()
    ]
    timings += [
        timing("b", part, [0.001] * 9, dtype="int8", rms_rel_err=2 * e, **ready) for part, e in errors.items()
    ]
    timings[-2] = timing("b", "2", dtype="int8", status="crashed", reason="x", stopped="")
    ranking, _, preparing, shown = latency_sheets(_run(*timings))
    assert [row[0] for row in ranking.rows] == ["a", "b"]
    at = [column.key for column in preparing.columns].index("worst")
    assert [row[at] for row in preparing.rows] == ["1", "1"]
    assert shown.title == "Output error per part, int8, batch 1, 1 thread"
    assert shown.rows == (("stem", 0.01, 0.02), ("1", 0.12, 0.24), ("2", 0.03, None), (NET, 0.3, 0.6))
    assert shown.notes[1] == "Largest: part 1 on a (12.0%) and part 1 on b (24.0%)."
    exact = [timing("a", part, [0.001] * 9, rms_rel_err=e, **ready) for part, e in errors.items()]
    assert len(latency_sheets(_run(*exact))) == 2  # fp32 rounds nothing away
