"""`fit` and `spaces`: the largest networks within budgets, on the command line and in Python."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import mnv3prof
from mnv3prof.budgets.choosing import INPUTS, WIDTHS
from mnv3prof.budgets.figures import figures
from mnv3prof.budgets.limits import budgets_from
from mnv3prof.cli.main import run
from mnv3prof.mobilenetv3.files import PRESETS, preset
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record.run import Subject

SPACE = """
name = "tiny"
input = [64, [48, 64]]
width = [0.5, 1.0]
last = 64
classes = [10, 100]

[[stage]]
out = 16
ratio = [1, 2]
kernel = [3, 5]
stage.se = [false, true]

[[stage]]
out = [24, 40]
stride = 2
depth = [1, 2]
expand = [48, 96]
kernel = 3
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNV3PROF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny.toml").write_text(SPACE)
    return "tiny.toml"


def _answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert run([*words, "--format", "json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_largest_of_a_file(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = _answer(
        capsys, "fit", tiny, "--budget", "params=20k", "--budget", "arena=24KiB", "--dtype", "int8"
    )
    (first,) = found["networks"]
    assert found["proven"]
    assert found["bound"] == first["figures"]["macs"]
    assert int(found["size"]) == 2 * 2 * 2 * 8 * 2 * 6
    counted = _answer(capsys, "check", first["source"], "--budget", "macs=1", "--dtype", "int8", code=1)
    assert counted["verdicts"][0]["value"] == first["figures"]["macs"]
    others = [
        mnv3prof.check(f"{tiny}#{number}", {"params": "20k", "arena": "24KiB"}, dtype="int8")
        for number in range(0, int(found["size"]), 7)
    ]
    within = [each for each in others if each.passed]
    assert within
    for each in within:
        assert sum(layer.macs for layer in each.checked.subject.graph.layers) <= first["figures"]["macs"]


def test_it_says_what_is_proven_and_that_accuracy_is_not_known(
    tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", tiny, "--budget", "macs=1M", "--top", "3"]) == 0
    out = capsys.readouterr().out
    assert "Proven: none of the 768 networks of tiny within the budgets has more MACs than the first." in out
    assert out.count("accuracy") == 1
    assert "best" not in out
    assert out.count("tiny.toml#") == 3
    assert run(["fit", tiny, "--budget", "macs=1"]) == 1
    assert "None of the 768 networks of tiny is within the budgets." in capsys.readouterr().out


def test_spaces_counts_what_fits(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--budget", "params=20k", "--budget", "arena=24KiB", "--dtype", "int8"]
    counted = _answer(capsys, "spaces", tiny, *words)["contexts"]
    assert len(counted) == 8
    for context in counted[::3]:
        fit = []
        begin = counted.index(context) * 96
        for number in range(begin, begin + 96):
            each = mnv3prof.check(f"{tiny}#{number}", {"params": "20k", "peak.fused": "24KiB"}, dtype="int8")
            if each.passed:
                fit.append(sum(layer.macs for layer in each.checked.subject.graph.layers))
        assert (int(context["networks"]), int(context["fit"])) == (96, len(fit))
        assert context["mean_macs"] == pytest.approx(sum(fit) / len(fit) if fit else None)
    assert run(["spaces", tiny, *words]) == 0
    out = capsys.readouterr().out
    assert "of the 768 networks of tiny fit" in out
    assert "limited by the fused peak" in out


@pytest.mark.parametrize(
    ("maximize", "limits"),
    [
        ("macs", {"params": "3M", "macs": "60M"}),
        ("macs", {"arena": "512KiB"}),
        ("params", {"macs": "40M", "peak.eager": "2MiB"}),
        ("written", {"flops": "100M", "read": "20MiB"}),
    ],
)
def test_without_a_space_the_largest_of_all_presets(maximize: str, limits: dict[str, str]) -> None:
    found = mnv3prof.fit(None, limits, maximize=maximize, top=5)
    assert found.proven
    values = [each.figures[maximize] for each in found.networks]
    assert values == sorted(values, reverse=True)
    budgets = budgets_from(limits, "test", str)
    for each in found.networks:
        assert all(each.figures[budget.name] <= (budget.limit or 0) for budget in budgets)
    every = []
    for name, width, side in product(PRESETS, WIDTHS, INPUTS):
        known = figures(Subject(vary(preset(name), width=width), (side, side)).graph)
        if all((known[budget.name].value or 0) <= (budget.limit or 0) for budget in budgets):
            every.append(known[maximize].value or 0)
    assert values == sorted(every, reverse=True)[:5]


def test_published_top1_is_shown_and_never_interpolated(capsys: pytest.CaptureFixture[str]) -> None:
    found = mnv3prof.fit("small", {"macs": "60M"}, top=30)
    known = {each.source: each.top1 for each in found.networks}
    assert known["small --input 224"] == 67.5
    assert known["small --width 0.75 --input 224"] == 65.4
    assert known["small --width 0.75 --input 192"] is None
    assert sum(value is not None for value in known.values()) == 8
    assert run(["fit", "small", "--budget", "macs=60M"]) == 0
    out = capsys.readouterr().out
    assert "67.50" in out
    assert "as published" in out


def test_the_largest_are_timed(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--measure", "2", "--on", "null,cpu", "--time-budget", "0.2", "--budget", "macs=1M"]
    measured = _answer(capsys, "fit", tiny, *words)
    assert len(measured["fit"]["networks"]) == 2
    assert {(each["variant"], each["part"]) for each in measured["timings"]} == {
        ("", "net"),
        (measured["fit"]["networks"][1]["source"], "net"),
    }
    assert all(each["status"] == "ok" for each in measured["timings"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "ofaa"], "did you mean ofa?"),
        (["fit", "tiny.toml", "--budget", "macs"], "expected NAME=LIMIT"),
        (["fit", "tiny.toml", "--budget", "macs=+5%"], "is relative; expected a limit"),
        (["fit", "tiny.toml", "--budget", "macs=-1"], "'-1' is not allowed; expected a limit without a sign"),
        (
            ["fit", "tiny.toml", "--budget", "foo=1"],
            "expected macs, flops, params, weights, read, written, peak.fused",
        ),
        (["fit", "tiny.toml", "--budget", "peak.eager=5M"], "expected macs, flops"),
        (["fit", "tiny.toml", "--budget", "macs.head=5M"], "is not known of all networks"),
        (["fit", "tiny.toml", "--maximize", "arena"], "'arena' is not allowed"),
        (["fit", "tiny.toml", "--top", "0"], "expected an integer from 1 to 100"),
        (["fit", "tiny.toml", "--measure", "9"], "expected an integer from 0 to 8"),
        (["fit", "tiny.toml", "--on", "cpu"], "require --measure"),
        (["fit", "tiny.toml", "--batch", "2"], "budgets are for one image"),
        (["fit", "tiny.toml", "--dtype", "fp32,int8"], "budgets are for one of each"),
        (["fit", "nowhere"], "no such space or preset"),
        (["fit", "--budget", "peak.eager=1M", "--dtype", "int8"], "PyTorch eager does not run int8"),
        (["spaces", "large"], "is not a space; expected a file .toml, or ofa, near-large or near-small"),
        (["spaces", "no.toml"], "cannot be read"),
        (["flops", "tiny.toml"], "is a space of 768 networks; expected tiny.toml#0 to tiny.toml#767"),
        (
            ["flops", "tiny.toml#768"],
            "tiny.toml#768: is not a network of the space; expected tiny.toml#0 to tiny.toml#767",
        ),
        (["flops", "large#3"], "is not a space"),
    ],
)
def test_wrong_input_is_one_sentence(
    tiny: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Path(tiny).is_file()
    assert run(words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_wrong_arguments_of_the_function() -> None:
    for arguments in ({"top": 0}, {"top": True}, {"dtype": "fp8"}, {"maximize": "speed"}, {"budgets": 3}):
        with pytest.raises(mnv3prof.InputError):
            mnv3prof.fit("near-small", **arguments)
    with pytest.raises(mnv3prof.InputError):
        mnv3prof.fit(3)


def test_a_written_table_says_its_input(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["table", f"{tiny}#0", "-o", "my.toml"]) == 0
    assert (tmp_path / "my.toml").read_text().startswith("# A table has no input: use it with --input 64x64.")
    assert run(["diff", f"{tiny}#0", "my.toml", "--input", "64", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["blocks"] == []


def test_equal_networks_are_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "near-small", "--budget", "arena=128K", "--dtype", "int8", "--top", "6"]
    found = _answer(capsys, *words)["networks"]
    tables = [{**each["table"], "name": "", "input": each["input"]} for each in found]
    assert len(found) == 6
    assert all(tables.count(each) == 1 for each in tables)


def test_the_only_peak_of_a_space_has_a_short_name(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    short, long = (
        _answer(capsys, "fit", tiny, "--budget", f"{name}=200K") for name in ("peak", "peak.fused")
    )
    assert short == long
    assert short["budgets"] == {"peak.fused": 204_800}


def test_the_lowest_of_several_limits_is_that_of_the_document(
    tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _answer(capsys, "fit", tiny, "--budget", "macs=1M", "--budget", "macs=2M")
    assert found["budgets"] == {"macs": 1_000_000}
    assert found["networks"][0]["figures"]["macs"] <= 1_000_000


def test_equal_networks_are_shown_once_and_others_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Widths that are rounded to the same: 1,024 equal networks of each."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"[[stage]]\nout = 16\nratio = {[1.8, 1.85, 1.9, 1.95]}\nkernel = 3\n" for _ in range(5))
    Path("equal.toml").write_text(f"input = 32\nstem = 16\nclasses = [4, 5]\nlast = 8\n{rows}")
    found = _answer(capsys, "fit", "equal.toml", "--top", "3")
    assert len(found["networks"]) == 2
    assert found["complete"]
    monkeypatch.setattr("mnv3prof.budgets.choosing._MOST_FOUND", 8)
    found = _answer(capsys, "fit", "equal.toml", "--top", "2")
    assert (len(found["networks"]), found["complete"]) == (1, False)
    assert run(["fit", "equal.toml", "--top", "2"]) == 0
    assert "Others may be within the budgets too" in " ".join(capsys.readouterr().out.split())


def test_a_width_that_no_table_can_have_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = "last = 60000\nclasses = 4\nrows = [[16, 16, 3, 1, false, 'RE']]\n"
    Path("wide.toml").write_text(table)
    found = _answer(capsys, "fit", "wide.toml", "--top", "100")
    names = [each["source"] for each in found["networks"]]
    assert len({*names}) == len(names) > 5
    assert not any("1.25" in name for name in names)
    assert run(["fit", "wide.toml"]) == 0
    assert "Left out: wide at width 1.25: last: 75000" in " ".join(capsys.readouterr().out.split())
    Path("narrow.toml").write_text("stem = 8\nhead = []\nlast = []\nrows = [[8, 8, 3, 1, false, 'RE']]\n")
    found = _answer(capsys, "fit", "narrow.toml", "--top", "100")
    tables = [(str(each["table"]), str(each["input"])) for each in found["networks"]]
    assert len({*tables}) == len(tables)


def test_nothing_fits_is_no_table(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words, code in (
        (["fit", tiny, "--budget", "macs=1"], 1),
        (["spaces", tiny, "--budget", "macs=1"], 0),
    ):
        assert run(words) == code
        out = capsys.readouterr().out
        assert "─" not in out
        assert "Of spaces that fit" not in out
    assert run(["spaces", tiny, "--budget", "macs=1", "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 8
