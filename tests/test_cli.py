import inspect
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main
from some import some
from terminal import SCRIPT, on_terminal, without_escapes

from mnv3prof.cli import commands as folder
from mnv3prof.cli.main import application, run
from mnv3prof.cli.options import SECTIONS
from mnv3prof.cost import counters
from mnv3prof.cost.conventions import COUNTERS, Reading, counted_as
from mnv3prof.graph.errors import InputError
from mnv3prof.registry import file_names
from mnv3prof.workers.backends import names

HEAVY = {"torch", "numpy", "pandas", "plotly", "scipy", "fvcore", "thop", "pydantic"}
COMMANDS = file_names(folder.__file__)
PAPER = ["table", "flops", "memory", "compare"]
GATE = ["diff", "check"]
TABLE = """
name = "small one"
stem = 8
rows = [
  [8, 8, 3, 1, false, "RE"],
  [16, 12, 5, 2, true, "HS"],
]
last = 16
classes = 4
"""

PERF_TEST = """Setting intra_op_num_threads to 1
Session creation time cost: 0.0102016 s
First inference time cost: 2 ms
Total inference requests: 100
Average inference time cost: 1.85739 ms
Min Latency: 0.00183404 s
Max Latency: 0.00190312 s
P50 Latency: 0.00185674 s
"""


def _parameters(command: str) -> Any:
    return typer.main.get_command(application((command,))).commands[command].params  # type: ignore[attr-defined]


def _options() -> Any:
    return [(c, p) for c in COMMANDS for p in _parameters(c) if p.opts[0].startswith("-")]


def _script(*arguments: Any, **how: Any) -> Any:
    how = {"capture_output": True, "text": True, "encoding": "utf-8", **how}
    return subprocess.run([SCRIPT, *arguments], check=False, **how)


def _refused(arguments: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """The one line with which the command line is refused; nothing else is printed."""
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mnv3prof: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def _json(arguments: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    assert run([*arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_commands_of_the_paper_half_are_there() -> None:
    assert set(PAPER) <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_help_and_an_example_that_runs(
    command: Any,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Examples that measure do so for a second, and on PyTorch if they name no backend."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mnv3prof.bench.profile.usable_here", lambda: ("cpu", "cpu-compile"))
    if command == "devices":
        request.getfixturevalue("pi")
        monkeypatch.setattr("mnv3prof.cli.commands.devices.remote_names", lambda: ("ncnn", "onnxruntime"))
    if command == "import":
        (tmp_path / "perf.txt").write_text(PERF_TEST, encoding="utf-8")
    if command == "cache":  # its example clears what tests that run beside it are using
        monkeypatch.setenv("MNV3PROF_CACHE", str(tmp_path / "cache"))
    assert run([command, "--help"]) == 0
    help_text = capsys.readouterr().out
    assert "[[" not in help_text
    (example,) = re.findall(r"Example: mnv3prof (.*)", help_text)
    assert shlex.split(example)[0] == command
    briefly = ["--time-budget", "1"] if command in ("profile", "report") else []
    assert run([*shlex.split(example), *briefly]) in ((0, 1) if "--fit" in example else (0,))
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_parameter_has_a_sentence_of_help(command: Any) -> None:
    for parameter in _parameters(command):
        sentence = getattr(parameter, "help", None) or ""
        assert re.fullmatch(r"[A-Z-].{10,}\.", sentence), (command, parameter.name, sentence)


def test_the_root_names_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^  {command} +[A-Z]\w+ ", text, re.MULTILINE)
    assert "0 success, 1 a check or measurement failed, 2 wrong input" in text


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    without = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert without == capsys.readouterr().out


LISTS = {"--dtype", "--batch", "--threads", "--data", "--device"}
GROUPS = {
    **dict.fromkeys(("latency", "profile", "compare", "report", "fit", "measure-rows"), "a list"),
    **dict.fromkeys(("diff", "check"), "those of a run by default"),
    "import": "what files do not say",
}
"""What the options of LISTS are in some commands."""
OTHERWISE = {("memory", "--by"), ("claims", "--measure"), ("fit", "--top"), ("measure-rows", "--count")}
"""Rows of memory are blocks or tensors; fit measures and shows networks; measure-rows counts blocks."""


def test_a_flag_means_the_same_in_every_command() -> None:
    meanings: dict[Any, Any] = {}
    for command, option in _options():
        for flag in option.opts:
            several = flag in LISTS and GROUPS.get(command)
            if (command, flag) not in OTHERWISE:
                meanings.setdefault((flag, several), set()).add(
                    (option.help, option.is_flag, repr(option.default))
                )
    assert len(meanings) > 15
    assert {flag: m for flag, m in meanings.items() if len(m) > 1} == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_but_help_stands_in_a_section(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Sections are written in the order of SECTIONS, and the last one holds --help alone."""
    assert {p.rich_help_panel for p in _parameters(command) if p.opts[0].startswith("-")} <= set(SECTIONS)
    assert run([command, "--help"]) == 0
    text = capsys.readouterr().out
    found = re.findall(r"^(\w+):$", text, re.MULTILINE)
    assert found == [name for name in ("Arguments", *SECTIONS, "Options") if name in found]
    assert re.fullmatch(r"\s+-h, --help +Show this message and exit\.\s*", text.partition("\nOptions:\n")[2])


def test_help_of_on_lists_the_backends() -> None:
    (on,) = (p for p in _parameters("latency") if p.opts == ["--on"])
    assert f"({', '.join(names())})" in on.help


@pytest.mark.parametrize(
    ("command", "option", "default"),
    [
        ("latency", "--time-budget", "60"),
        ("report", "--time-budget", "20, or 120 with --full"),
        ("flops", "--input", "224, or that of a saved run"),
        ("train", "--input", "32 for digits, 224 with --data"),
    ],
)
def test_help_says_the_default_of_that_command(
    command: str, option: str, default: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert re.search(rf"{option} [^\[]*\[default: \({re.escape(default)}\)\]", text)


@pytest.mark.parametrize("command", ["latency", "report", "backends", "claims"])
def test_help_loads_no_large_package(command: str) -> None:
    code = (
        "import sys; from mnv3prof.cli.main import run; "
        f"run({[command, '--help']!r}); print(*{{m.split('.')[0] for m in sys.modules}}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "typer" in done.stderr.split()
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("command", [*PAPER, *GATE])
def test_every_analysis_command_takes_the_networks_options_and_the_outputs(command: Any) -> None:
    flags = {flag for parameter in _parameters(command) for flag in parameter.opts}
    assert flags >= {
        "--input",
        "--width",
        "--width-rule",
        "--reduced-tail",
        "--dilated",
        "--classes",
        "--standard-conv",
        "--dense-depthwise",
        "--without-se",
        "--activation",
        "--format",
        "--output",
    }


@pytest.mark.parametrize("command", PAPER)
def test_no_parameter_of_a_command_is_read_by_position_only(command: Any) -> None:
    function = getattr(__import__(f"mnv3prof.cli.commands.{command}", fromlist=[command]), command)
    assert all(p.kind is p.KEYWORD_ONLY for p in inspect.signature(function).parameters.values())


@pytest.mark.parametrize("command", [*PAPER, *GATE])
def test_commands_on_paper_load_neither_torch_nor_pandas(command: Any) -> None:
    options = ["--width", "0.75", "--width-rule", "paper", "--classes", "9", "--format", "json"]
    options += {"diff": ["large"], "check": ["--budget", "macs=1G"]}.get(command, [])
    code = (
        "import sys; from mnv3prof.cli.main import run; "
        f"code = run({[command, 'small', *options]!r}); "
        "print(code, *{m.split('.')[0] for m in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, *loaded = done.stderr.split()
    assert code == "0"
    assert "typer" in loaded
    assert not HEAVY & set(loaded)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"mnv3prof {version('mnv3prof')}\n"


def test_the_shell_completes_commands_and_options() -> None:
    def completed(words: Any) -> Any:
        asked = {
            "_MNV3PROF_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        return _script(env={**os.environ, **asked}).stdout.split()

    assert set(COMMANDS) <= set(completed("mnv3prof "))
    assert completed("mnv3prof mem") == ["memory"]
    assert "--batch-norm" in completed("mnv3prof flops --ba")
    assert completed("mnv3prof flops sm") == ["small", "small-minimal"]
    assert completed("mnv3prof compare large small-") == ["small-minimal"]
    assert completed("mnv3prof flops my") == []  # the shell goes on with files
    assert _script("--show-completion", "bash").returncode in (0, 2)  # typer asks which shell runs it


BAD = [
    (["nope"], "'nope' is not a command"),
    (["flops", "--nope"], "--nope"),
    (["flops", "--input"], "--input"),
    (["flops", "large", "small"], "unexpected extra argument"),
    *(
        (["flops", "--input", size], "each side from 1 to 16,384 pixels")
        for size in [
            "0",
            "-5",
            "abc",
            "1e3",
            "",
            "224x",
            "x224",
            "1x2x3",
            "16385",
            "100000000000000000000",
            "9" * 5000,
            "２２４",
            "2.5",
        ]
    ),
    *((["flops", "--width", width], "width: ") for width in ["0", "-1", "nan", "inf", "101"]),
    (["flops", "--width", "wide"], "'wide' is not a number"),
    (["flops", "--width", "1e-300", "--width-rule", "other"], "expected paper, torchvision"),
    (["flops", "--width", "90"], "an integer from 1 to 65,536"),
    (["flops", "--classes", "-1"], "classes: -1 is not allowed"),
    (["flops", "--classes", "65537"], "classes: 65537 is not allowed"),
    (["flops", "--classes", "many"], "'many' is not an integer"),
    (["flops", "--classes", "9" * 5000], "--classes"),
    (["flops", "--activation", "gelu"], "activation: 'gelu' is not allowed; expected RE (relu)"),
    (["flops", "--standard-conv", "--dense-depthwise"], "cannot be combined"),
    (["flops", "--by", "row"], "expected layer, op or block"),
    (["flops", "--dtype", "fp8"], "expected fp32, fp16, bf16 or int8"),
    (["flops", "--batch-norm", "gone"], "expected folded or separate"),
    (["flops", "--as", "nvprof"], "expected torch, fvcore, thop"),
    (["flops", "--as", "thop", "--cross-check"], "cannot be combined"),
    (["flops", "--cross-check", "--by", "layer"], "a row per class of operation"),
    (["flops", "--cross-check", "--dtype", "int8"], "cannot be combined with --cross-check or --as"),
    (["flops", "--as", "thop", "--batch-norm", "separate"], "cannot be combined with --cross-check or --as"),
    (["compare", "large", "small", "--on", "cpu"], "require --latency"),
    (["compare", "--standard-conv", "--ops"], "require --latency"),
    (["flops", "--format", "xml"], "expected table, json, csv or md"),
    (["flops", "missing.toml"], "missing.toml: no such file or preset; expected a file, large, small"),
    (["memory", "--batch", "0"], "--batch: 0 is not allowed"),
    (["memory", "--batch", "1000001"], "1 to 1,000,000"),
    (["memory", "--alignment", "0"], "--alignment: 0 is not allowed"),
    (["memory", "--by", "layer"], "expected block or tensor"),
    *(
        (["memory", "--fit", size], "--fit: ")
        for size in ["0", "-1", "320KiBs", "", "KiB", "1e9", "9" * 40, "0.1", "٣٢٠"]
    ),
    (["compare"], "nothing to compare"),
    (["compare", "large"], "nothing to compare"),
    (["compare", "large", "huge"], "huge: no such file"),
    (["compare", *["large"] * 27], "27 networks are too many"),
]


@pytest.mark.parametrize(
    ("arguments", "says"), BAD, ids=lambda x: " ".join(x)[:60] if isinstance(x, list) else ""
)
def test_wrong_input_is_refused_in_one_sentence(
    arguments: str,
    says: Any,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = _refused(arguments, capsys)
    assert says in sentence
    assert len(sentence) < 400


@pytest.mark.parametrize("command", PAPER)
def test_a_wrong_table_is_refused_by_every_command_and_nothing_is_written(
    command: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table, output = tmp_path / "net.toml", tmp_path / "out.json"
    table.write_text(TABLE.replace("5, 2", "5, 9"), encoding="utf-8")
    output.write_text("before", encoding="utf-8")
    sentence = _refused([command, str(table), "--without-se", "--output", str(output)], capsys)
    assert f"{table}, row 2, column stride: 9 is not allowed; expected an integer from 1 to 8" in sentence
    assert output.read_text(encoding="utf-8") == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.toml", "out.json"]


def test_an_error_is_a_plain_line_on_a_terminal_too() -> None:
    code, screen = on_terminal(["flops", "--input", "0"], 80)
    assert code == 2
    assert screen.startswith("mnv3prof: --input: '0' is not an image size; ")
    assert screen == without_escapes(screen)
    assert screen.count("\n") == 1


def test_the_tables_argument_and_all_formats(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text(TABLE, encoding="utf-8")
    document = _json(["flops", str(path), "--input", "32x48"], capsys)
    assert document["table"]["name"] == "small one"
    assert document["input"] == [32, 48]
    for command in PAPER:
        arguments = [command, str(path), *(["small"] if command == "compare" else [])]
        for form in ("table", "json", "csv", "md"):
            assert run([*arguments, "--format", form]) == 0
            assert "stem" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize(
    "options", [[], ["--width", "0.75", "--without-se"], ["--dilated", "--reduced-tail"], ["--standard-conv"]]
)
def test_what_table_writes_is_read_again(
    form: Any, options: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / f"net.{form}"
    assert run(["table", "small", *options, "--output", str(path)]) == 0
    direct = _json(["flops", "small", *options], capsys)
    assert _json(["flops", str(path)], capsys)["layers"] == direct["layers"]


@pytest.mark.parametrize("command", ["flops", "memory"])
def test_the_json_of_other_commands_is_read_as_a_table(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "found.json"
    assert run([command, "small", "--width", "0.5", "--output", str(path)]) == 0
    assert _json(["table", str(path)], capsys) == _json(["table", "small", "--width", "0.5"], capsys)


def _names(arguments: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    found = _json(["compare", *arguments], capsys)["networks"]
    return [(n["table"]["name"].removeprefix("MobileNetV3-"), *n["input"]) for n in found]


def test_compare_says_what_it_compares(capsys: pytest.CaptureFixture[str]) -> None:
    large = "Large"
    assert _names(["large", "small"], capsys) == [(large, 224, 224), ("Small", 224, 224)]
    assert _names(["--standard-conv"], capsys) == [(large, 224, 224), ("Large, standard conv", 224, 224)]
    assert _names(["--without-se", "--activation", "relu"], capsys)[1][0] == "Large, without SE, all RE"
    assert _names(["--width", "0.5"], capsys) == [(large, 224, 224), ("Large, width 0.5", 224, 224)]
    assert _names(["--input", "96"], capsys) == [(large, 224, 224), (large, 96, 96)]
    # A size beside a change of structure is that of both.
    assert _names(["--standard-conv", "--input", "96"], capsys) == [
        (large, 96, 96),
        ("Large, standard conv", 96, 96),
    ]
    assert _names(["small", "--dense-depthwise", "--width", "0.5"], capsys) == [
        ("Small, width 0.5", 224, 224),
        ("Small, width 0.5, dense depthwise", 224, 224),
    ]
    # Options beside several tables change all.
    three = _names(["large", "small", "large-minimal", "--width", "0.75"], capsys)
    assert [name for name, *_ in three] == [
        f"{n}, width 0.75" for n in ("Large", "Small", "Large-minimalistic")
    ]


def test_fit_answers_in_the_exit_code_too(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["memory", "small", "--dtype", "int8", "--format", "json"]
    assert run(arguments) == 0
    needed = json.loads(capsys.readouterr().out)["arena"]["bytes"]
    assert run([*arguments, "--fit", str(needed)]) == 0
    assert json.loads(capsys.readouterr().out)["fit"] == {"budget": needed, "fits": True, "blocks": []}
    assert run([*arguments, "--fit", str(needed - 1)]) == 1
    assert json.loads(capsys.readouterr().out)["fit"]["fits"] is False


def test_a_remainder_is_red_and_exits_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A counter that suddenly prints 7 more than its coefficients explain."""

    def off_by_seven(make: Any, graph: Any, starting: Any) -> Any:
        starting("fvcore")
        return [
            Reading("fvcore", "99", "ok", printed=sum(counted_as(graph, "fvcore")) + 7),  # type: ignore[arg-type]
            Reading("thop", None, "not available", "thop is not installed"),
        ]

    monkeypatch.setattr(counters, "readings", off_by_seven)
    path = tmp_path / "found.json"
    assert run(["flops", "small", "--cross-check"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^remainder +– +7 +–$", printed, re.MULTILINE)
    assert "fvcore is not reconciled (remainder 7): the coefficients are of 0.1.5" in " ".join(
        printed.split()
    )
    assert "thop not available: thop is not installed." in printed
    assert run(["flops", "small", "--cross-check", "--output", str(path)]) == 1
    first, second = json.loads(path.read_text(encoding="utf-8"))["readings"]
    assert (first["printed"] - first["explained"], first["remainder"]) == (7, 7)
    assert (second["status"], second["printed"], second["remainder"]) == ("not available", None, None)


@pytest.mark.parametrize("tool", COUNTERS)
def test_as_prints_each_tools_convention_without_running_it(
    tool: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "readings", None)
    document = _json(["flops", "--as", tool], capsys)
    assert document["total"] == sum(layer["figure"] for layer in document["layers"]) > 0
    for by in ("block", "op", "layer"):
        assert run(["flops", "--as", tool, "--by", by]) == 0
        assert re.search(rf"^total +100.0% +{document['total']:,}$", capsys.readouterr().out, re.MULTILINE)


def test_python_m_is_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mnv3prof", "flops", "--input", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mnv3prof: --input: '0' is not an image size")


@pytest.mark.parametrize(
    "arguments",
    ["flops", "flops --by layer --format json", "memory --format md", "flops --help", "--version"],
)
def test_a_reader_that_leaves_is_no_error(arguments: str) -> None:
    """The pipe's other end is closed before anything is written."""
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as gone:
        done = subprocess.run(
            [SCRIPT, *arguments.split()], stdout=gone, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_without_standard_error_nothing_stands_in_its_place() -> None:
    telling = "latency small --on null --input 32 --rows 1 --time-budget 1.5 --format csv"
    environment = {**os.environ, "NULL_SECONDS": "0.05"}  # progress is told after a second
    for arguments, code in (("flops --input 0", 2), (telling, 0)):
        command = f"'{SCRIPT}' {arguments}"
        told = subprocess.run(
            command, shell=True, capture_output=True, text=True, check=False, env=environment
        )
        assert told.stderr
        done = subprocess.run(
            f"{command} 2>&-", shell=True, capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == told.returncode == code
        assert done.stdout.startswith("" if code else "variant,")
        assert bool(done.stdout) is not bool(code)


@pytest.mark.parametrize(
    "command", ["flops", "table", "memory", "claims", "check --budget macs=1", "latency --on null"]
)
def test_what_an_option_makes_of_a_file_names_the_file(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.toml").write_text(
        'name = "t"\nlast = 60000\nrows = [[8, 8, 3, 1, false, "RE"]]', encoding="utf-8"
    )
    assert run([*command.split(), "in.toml", "--width", "100"]) == 2
    assert capsys.readouterr().err.startswith(
        "mnv3prof: in.toml with --width 100: t at width 100: last: 6000000 is not allowed"
    )


def test_a_counter_that_is_not_known_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flops", "--as", "bogus"]) == 2
    assert capsys.readouterr().err.startswith("mnv3prof: --as: 'bogus' is not known; expected torch")


def test_standard_output_that_takes_nothing_is_said() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([SCRIPT, "flops"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "mnv3prof: standard output: cannot be written (No space left on device)\n",
    )
    closed = subprocess.run(f"'{SCRIPT}' flops >&-", shell=True, capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (
        2,
        "mnv3prof: standard output: cannot be written (it is closed)\n",
    )


def test_structs_on_the_command_line_keep_their_fields_order() -> None:
    flags = [p.name for p in _parameters("table")]
    from mnv3prof.cli.network import Settings
    from mnv3prof.cli.output import Output

    fields = [f.name for struct in (Settings, Output) for f in msgspec.structs.fields(struct)]
    assert [name for name in flags if name in fields] == fields


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["flops --by layer --format json", "flops --by layer"])
def test_standard_output_is_written_whole_or_that_is_said(
    unbuffered: str, arguments: str, tmp_path: Path
) -> None:
    """A file system that takes 20,480 bytes and then no more writes the first part without an error."""
    done = subprocess.run(
        f"ulimit -f 20; '{SCRIPT}' {arguments} > '{tmp_path}/x'",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        executable="/bin/bash",
    )
    assert (done.returncode, done.stderr) == (
        2,
        "mnv3prof: standard output: cannot be written (File too large)\n",
    )


def test_a_standard_error_that_takes_nothing_changes_no_exit_code() -> None:
    for arguments, code in (("flops nope", 2), ("flops --input 8 --format csv", 0)):
        done = subprocess.run(
            f"'{SCRIPT}' {arguments} 2> /dev/full", shell=True, capture_output=True, check=False
        )
        assert done.returncode == code


def test_a_current_folder_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(["check", "small"]) == 2
    assert "the current folder: cannot be read (No such file" in capsys.readouterr().err


def test_an_error_that_nobody_expects_names_its_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def application(_: Any) -> None:
        raise PermissionError(13, "Permission denied", "/a/b\x1b")

    monkeypatch.setattr("mnv3prof.cli.main.application", application)
    assert run(["flops"]) == 2
    assert capsys.readouterr().err == "mnv3prof: /a/b?: cannot be used (Permission denied)\n"


@pytest.mark.parametrize(
    "arguments", [["x" * 9_000], ["flops", "y" * 9_000 + ".toml"], ["flops", "--batch-norm", "z" * 999]]
)
def test_a_message_is_one_printable_line_of_300_letters(
    arguments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([arguments[0], *(f"\x1b]0;owned\x07\n{text}" for text in arguments[1:])]) == 2
    said = capsys.readouterr().err
    assert len(said) <= 301
    assert said.removesuffix("\n").isprintable()


@pytest.mark.parametrize("after_s", [0.05, 0.1, 0.2, 0.5])
def test_several_interrupts_at_any_time_end_it_without_a_word(after_s: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import mnv3prof.cli.main as m; print(1, flush=True); m.main()", "flops"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    some(process.stdout).readline()  # from here on interrupts are its own
    time.sleep(after_s)
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, said = process.communicate()
    assert said == ""
    assert process.returncode in (0, 130)


_INTERRUPTED_BY_ITSELF = """
import os, signal, sys
def hear(event, values):
    if event == "import" and values[0] == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hear)
sys.argv = ["mnv3prof", "flops"]
from mnv3prof.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "module", ["mnv3prof.cli.main", "mnv3prof.graph.errors", "mnv3prof.cli.streams", "typer", "rich.table"]
)
def test_an_interrupt_while_it_is_imported_prints_no_traceback(module: str) -> None:
    command = [sys.executable, "-c", _INTERRUPTED_BY_ITSELF.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "")
    assert done.returncode in (-signal.SIGINT, 130)


def test_an_interrupt_at_any_early_moment_prints_no_traceback_of_the_command_line() -> None:
    """Before its first line runs, Python itself prints one."""
    chance = random.Random(0)
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-m", "mnv3prof", "flops"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        ignored = said.startswith("Exception ignored in")  # Python's own: it was in a finalizer
        assert ignored or "mnv3prof/cli" not in said
        assert process.returncode in (0, 1, -signal.SIGINT, 130)


def _while_a_class_is_made() -> None:
    """As Python < 3.12 does it: __set_name__ was interrupted."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise RuntimeError("Error calling __set_name__") from error


def _at_any_other_moment() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("interrupted", [_at_any_other_moment, _while_a_class_is_made])
def test_ctrl_c_while_a_command_is_loaded_says_nothing(
    interrupted: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def application(_: Any) -> None:
        interrupted()

    monkeypatch.setattr("mnv3prof.cli.main.application", application)
    assert run(["flops"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("flops t.toml --width 100", "t.toml with --width 100: t at width 100: last: 6000000 is not allowed"),
        ("check t.toml --budget macs=1 --classes -1", "t.toml with --classes -1: classes: -1 is not allowed"),
        (
            "latency t.toml --on null --dilated",
            "t.toml with --dilated: t: has no row of stride 2; dilation needs one",
        ),
        ("table small --standard-conv --dense-depthwise", "small with --standard-conv --dense-depthwise: "),
        ("flops --as bogus", "--as: 'bogus' is not known; expected torch"),
        ("latency small --on tflit", "--on: backend: 'tflit' is not known; did you mean tflite?"),
        ("memory small --on bogus", "--on: backend: 'bogus' is not known; expected "),
        ("export small --to tflit -o x.tflite", "--to: format: 'tflit' is not known; did you mean tflite?"),
    ],
)
def test_a_message_names_the_file_and_the_option(
    arguments: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    text = 'name = "t"\nlast = 60000\nrows = [[8, 8, 3, 1, false, "RE"]]\n'
    (tmp_path / "t.toml").write_text(text, encoding="utf-8")
    assert run(arguments.split()) == 2
    assert capsys.readouterr().err.startswith(f"mnv3prof: {says}")


def test_a_long_message_is_cut_between_words() -> None:
    words = [f"word{n}" for n in range(100)]
    begin, end = str(InputError(" ".join(words))).split(" ... ")
    assert {*begin.split(), *end.split()} < {*words}
    letters = str(InputError("x" * 1000))
    assert 250 < len(letters) <= 300
