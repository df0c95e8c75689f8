"""`check` as in CI: sources of budgets, exit codes, and all formats, with hostile names."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from runs import changed, kept, made
from some import some
from terminal import on_terminal, without_escapes

from mnv3prof.budgets.figures import Side
from mnv3prof.budgets.judge import judge
from mnv3prof.budgets.limits import budgets_from
from mnv3prof.cli.main import run
from mnv3prof.graph.parts import NET
from mnv3prof.record.run import Subject
from mnv3prof.render.markdown import to_markdown
from mnv3prof.render.terminal import to_terminal
from mnv3prof.show.annotations import to_annotations
from mnv3prof.show.gate import gate_sheets
from mnv3prof.show.junit import to_junit

SECTION = '[tool.mnv3prof.budgets]\nmacs = "57M"\n'
BREAKING = ["--budget", "macs=50M", "--budget", "params=3M", "--budget", "latency.litert=8ms"]
FORMATS = ["table", "json", "md", "csv", "junit", "github"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def old(tmp_path: Path) -> Any:
    return kept(made(), tmp_path / "old.json")


def _refused(arguments: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    assert run(["check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Traceback" not in err
    return err


def _verdicts(arguments: Any, capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    assert run(["check", *arguments, "--format", "json"]) == code
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["passed"] == (code == 0)
    return found["verdicts"]


# Where budgets come from


def test_the_nearest_pyproject_upwards_that_has_budgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(SECTION, encoding="utf-8")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n", encoding="utf-8")
    monkeypatch.chdir(inner)
    (verdict,) = _verdicts(["small"], capsys)
    assert (verdict["limit"], verdict["value"], verdict["margin"]) == (57_000_000, 56_510_400, 489_600)
    (inner / "pyproject.toml").write_text(SECTION.replace("57M", "56M"), encoding="utf-8")
    assert _verdicts(["small"], capsys, 1)[0]["breach"] == "error"


@pytest.mark.parametrize("text", [SECTION, SECTION.partition("\n")[2], "\ufeff" + SECTION])
def test_a_file_with_the_section_or_bare(
    text: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.toml").write_text(text, encoding="utf-8")
    assert _verdicts(["small", "--budgets", "b.toml"], capsys)[0]["written"] == "57M"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "b.toml: cannot be read (No such file or directory)"),
        (b"macs =", "b.toml: is not valid TOML"),
        (b"\xff\xfe", "b.toml: is not valid TOML"),
        (b"a = " + b"[" * 5000, "b.toml: is nested too deeply"),
        (b"", "b.toml: holds no budget"),
        (b"[tool.mnv3prof]\nx = 1", "b.toml: has no [tool.mnv3prof.budgets]"),
        (b"[tool.mnv3prof]\nbudgets = 1", "[tool.mnv3prof.budgets] is 1; expected a table of budgets"),
        (b"tool = 1", "b.toml: has no [tool.mnv3prof.budgets]"),
        (b'mcas = "1M"', "the budget 'mcas' is unknown; did you mean macs?"),
        (b'macs = "+5%"', "budget macs: +5% is relative to a baseline"),
        (b"#" * 524_289, "b.toml: is too large; expected at most 524,288 bytes"),
        (
            b".".join([b"a"] * 30_000) + b"=1",
            "b.toml, line 1: a key of more than 32 parts; expected at most 4",
        ),
    ],
    ids=range(12),
)
def test_a_file_without_budgets_is_refused_in_one_sentence(
    content: Any, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "b.toml").write_bytes(content)
    assert says in _refused(["small", "--budgets", "b.toml"], capsys)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["small"], "no pyproject.toml in this folder or above has [tool.mnv3prof.budgets]"),
        (["small", "--budget", "macs"], "--budget: 'macs' is not allowed; expected NAME=LIMIT"),
        (["small", "--budget", "=5"], "the budget '' is unknown"),
        (["small", "--budget", "macs="], "budget macs: '' is not allowed"),
        (["small", "--budget", "latency.cpu=+5%"], "relative to a baseline; --baseline SOURCE is required"),
        (["small", "--budget", "macs=1", "--budgets", "b.toml"], "cannot be combined"),
        (["small", "--budget", "macs=1", "--baseline", "nope"], "nope: no such file or preset"),
        (["nope.json", "--budget", "macs=1"], "nope.json: no such file"),
        (
            ["small", "--budget", "macs=1", "--format", "xml"],
            "expected table, json, csv, md, junit or github",
        ),
        (
            ["old.json", "--budget", "macs=1", "--width", "0.5"],
            "old.json: options of the network cannot change a saved run",
        ),
        (
            ["old.json", "--baseline", "old.json", "--budget", "macs=1", "--width", "0.5"],
            "options of the network cannot change a saved run",
        ),
        (["--budgets", "."], ".: is a directory; expected budgets in TOML"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(
    arguments: list[Any], says: str, old: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in _refused(arguments, capsys)


# Verdicts


@pytest.mark.parametrize("form", FORMATS)
def test_the_exit_code_is_the_same_in_every_format(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "small", *BREAKING, "--format", form]) == 1
    assert run(["check", "small", "--budget", "macs=57M", "--format", form]) == 0
    assert "macs" in capsys.readouterr().out


@pytest.mark.parametrize("form", FORMATS)
def test_a_warning_exits_with_0(form: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.toml").write_text('macs = { limit = "1M", level = "warn" }', encoding="utf-8")
    assert run(["check", "small", "--budgets", "b.toml", "--format", form]) == 0
    assert "macs" in capsys.readouterr().out


def test_a_networks_options_change_what_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    (half,) = _verdicts(["large", "--width", "0.5", "--budget", "macs=100M"], capsys)
    assert half["value"] < 216_589_760 / 2


def test_a_table_against_a_run_has_its_input(old: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (same,) = _verdicts(["small", "--baseline", "old.json", "--budget", "macs=+0%"], capsys)
    assert same["value"] == same["baseline"] == 3_183_552


def test_a_run_against_a_run(old: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept(made(seed=1, slower={"3": 5.0, NET: 1.2}), tmp_path / "new.json")
    arguments = ["new.json", "--baseline", "old.json"]
    (kept_one,) = _verdicts([*arguments, "--budget", "latency.cpu=+25%"], capsys)
    (broken,) = _verdicts([*arguments, "--budget", "latency.cpu=+5%"], capsys, 1)
    assert kept_one["status"] == "within"
    assert broken["status"] == "exceeded"
    assert broken["contributors"][0]["block"] == "3"
    assert len(broken["contributors"]) == 3
    assert run(["check", *arguments, "--budget", "latency.cpu=+5%"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^latency.cpu ≤ \+5% .* exceeded$", printed, re.MULTILINE)
    assert re.search(r"^latency.cpu ≤ \+5%  3 .*(1\.99|2\.0)\d+ ms  0\.(399|40\d) ms$", printed, re.MULTILINE)


# Formats


@pytest.mark.parametrize(
    "text",
    ['latency."onnxruntime@pi"=40ms', "latency.'onnxruntime@pi' = \"40ms\"", "latency.onnxruntime@pi=40ms"],
)
def test_a_budget_may_have_the_quotes_of_toml(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (verdict,) = _verdicts(["small", "--budget", text], capsys, 1)
    assert (verdict["budget"], verdict["written"]) == ("latency.onnxruntime@pi", "40ms")
    (verdict,) = _verdicts(["small", "--budget", '"macs.head" = "3M"'], capsys)
    assert (verdict["budget"], verdict["written"]) == ("macs.head", "3M")


def test_the_csv_is_a_row_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "small", *BREAKING, "--format", "csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(r["budget"], r["limit"], r["value"], r["margin"], r["status"]) for r in rows] == [
        ("macs", "50000000", "56510400", "-6510400", "exceeded"),
        ("params", "3000000", "2542856", "457144", "within"),
        ("latency.litert", "0.008", "", "", "not measured"),
    ]
    assert rows[0]["contributors"] == "10 11 2"


def test_junit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "small", *BREAKING, "--output", "out.xml"]) == 1  # the suffix says so
    root = Xml.fromstring((tmp_path / "out.xml").read_bytes())
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    assert {k: suite.get(k) for k in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    assert [(case.get("name"), [child.tag for child in case]) for case in suite] == [
        ("macs ≤ 50M", ["failure"]),
        ("params ≤ 3M", ["system-out"]),
        ("latency.litert ≤ 8ms", ["error"]),
    ]
    assert all(case.get("classname") for case in suite)
    assert some(suite[0][0].get("message")).startswith(
        "macs is 56,510,400, 6,510,400 above the limit of 50,000,000"
    )


def test_github(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.mnv3prof.budgets]\nmacs = "50M"\nparams = "3M"\narena = { limit = "1MiB", level = "warn" }\n',
        encoding="utf-8",
    )
    assert run(["check", "small", "--format", "github"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "::error title=mnv3prof%3A macs ≤ 50M,file=pyproject.toml::macs is 56,510,400, 6,510,400 above the limit "
        "of 50,000,000 (50M). Top contributors: 10 (6,290,496), 11 (6,290,496) and 2 (5,475,456).",
        "::warning title=mnv3prof%3A arena ≤ 1MiB,file=pyproject.toml::arena is 1,404,928 B, 356,352 B above the "
        "limit of 1,048,576 B (1MiB). Top contributors: stem (1,404,928 B), 2 (1,128,960 B) and "
        "1 (1,003,520 B).",
        "params ≤ 3M: params is 2,542,856, 457,144 below the limit of 3,000,000.",
        "MobileNetV3-Small at 224×224: within 1 of 3 budgets",
    ]


NASTY = "a%b\r\n::error::x##[error]y\x00\x1b[31m]]><script>|`&\ud7ff\ufffe,:"


def _nasty() -> Any:
    """A run with a reason full of characters that could break formats."""
    net = made(backends=("cpu",), how={"status": "crashed", "reason": NASTY})
    found = Side(NASTY, Subject(net.subject.table, (32, 32)), "fp32", 1, net)
    return found, judge(budgets_from({"latency.cpu": "1s", "latency.litert": "1s"}, "x", str), found, None)


def test_no_reason_breaks_out_of_its_annotation() -> None:
    lines = to_annotations(*_nasty(), file="a,b:c%.toml").split("\n")  # type: ignore[misc]
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::error", "MobileNetV3-Small", ""]
    assert "file=a%2Cb%3Ac%25.toml" in lines[0]
    assert "a%25b  ::error::x" in lines[0]


def test_junit_stays_xml_whatever_is_in_it() -> None:
    root = Xml.fromstring(to_junit(*_nasty()).encode())
    told = root[0][0][0].text
    assert "<script>" in told  # type: ignore[operator]
    assert "a%b" in told  # type: ignore[operator]
    assert "\x00" not in told  # type: ignore[operator]


def test_markdown_keeps_a_reason_in_its_line() -> None:
    text = to_markdown(gate_sheets(*_nasty()))
    assert "<script>" not in text
    assert r"\<script\>\|\`" in text
    assert not re.search(r"^::", text, re.MULTILINE)


def test_a_terminal_gets_no_escape_code_and_no_line_from_a_reason() -> None:
    text = to_terminal(gate_sheets(*_nasty()))
    assert not re.search(r"[\x00\x1b\r]|^::", text, re.MULTILINE)
    assert "a%b  ::error::x" in text


def test_budgets_from_a_file_without_end_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a regular file" in _refused(["small", "--budgets", "/dev/zero"], capsys)


@pytest.mark.parametrize("form", FORMATS)
def test_a_tables_name_is_text_in_every_format(
    form: Any, old: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "]]><script>alert(1)</script>|##[error]::error::%0A&amp;"
    graphs = json.loads(old.read_text(encoding="utf-8"))["graphs"]
    graphs[""]["table"]["name"] = name
    changed(old, tmp_path / "run.json", graphs=graphs)
    assert run(["check", "run.json", "--budget", "macs=1", "--format", form]) == 1
    printed = capsys.readouterr().out
    if form == "junit":
        assert name in Xml.fromstring(printed.encode())[0].get("name")  # type: ignore[operator]
    if form == "github":
        assert [line for line in printed.splitlines() if line.startswith("::")] == printed.splitlines()[:1]
        assert "##[" not in printed
    if form in ("md", "junit"):
        assert "<script>" not in printed


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal(columns: int, old: Any) -> None:
    code, screen = on_terminal(["check", "old.json", *BREAKING, "--budget", "latency.cpu=1ms"], columns)
    assert code == 1
    lines = without_escapes(screen).splitlines()
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("latency.cpu ≤ 1ms") and line.rstrip().endswith("exceeded") for line in lines)
    assert "\x1b[1;31m" in screen
