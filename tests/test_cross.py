"""Every source, table key and option with every command: each answers, or refuses in one sentence."""

import json
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import Material
from typer.core import TyperGroup
from typer.main import get_command

from mnv3prof.cli import commands
from mnv3prof.cli.main import application, run
from mnv3prof.mobilenetv3.table import TABLE_RULES
from mnv3prof.record.embedded import embed
from mnv3prof.registry import file_names

GROUP = get_command(application(tuple(file_names(commands.__file__))))
assert isinstance(GROUP, TyperGroup)
OPTIONS = {
    name: [p for p in command.params if p.opts[0].startswith("-") and p.name != "help"]
    for name, command in GROUP.commands.items()
}

TABLE = {
    "name": '"net"',
    "stem": "8",
    "last": "16",
    "classes": "10",
    "rows": '[[8, 8, 3, 1, false, "RE"], [24, 16, 3, 2, true, "HS"]]',
}
KEYS = {
    "name": '"other"',
    "channels": "1",
    "stem": "16",
    "stem_kernel": "5",
    "stem_stride": "[2, 1]",
    "head": '[32, { out = 24, kernel = 3, norm = false, activation = "none" }]',
    "last": '[{ out = 8, form = "conv", norm = true }]',
    "classes": "0",
    "classifier_form": '"linear"',
    "dropout": "0.5",
    "stem_activation": '"relu"',
    "head_activation": '"HS"',
    "padding": '"same"',
    "norm_between": "false",
    "conv": '"fused"',
    "expand_conv": "true",
    "conv_bias": "true",
    "project_activation": '"hard_swish"',
    "se_ratio": "2",
    "se_of": '"input"',
    "se_divisor": "1",
    "se_form": '"linear"',
    "se_bias": "false",
    "se_activation": '"hardswish"',
    "se_gate": '"sigmoid"',
    "se_place": '"after-project"',
    "divisor": "4",
    "stem_scales": '"never"',
    "head_scales": '"above-1"',
    "last_scales": '"always"',
    "names": '"timm"',
    "stages": "[2]",
    "bn_eps": "0.01",
    "bn_momentum": "0.5",
}
"""Another valid value of each key of a table."""
NEEDED = {"stages": {"names": KEYS["names"]}}
"""Other keys without which a key is refused."""

QUICK = ("--on", "null", "--parts", "net", "--time-budget", "0.05")
BASE: dict[str, tuple[str, ...]] = {
    "backends": (),
    "cache": (),
    "check": ("--budget", "macs=1G"),
    "compare": ("--width", "0.5"),
    "diff": (),
    "latency": QUICK,
    "profile": (*QUICK, "-o", "profile.json"),
    "report": (*QUICK, "--no-latency"),
    "export": ("--to", "onnx", "-o", "net.onnx"),
    "train": ("-o", "weights.pt"),
    "claims": ("--input", "32"),
    "fit": ("--budget", "macs=1G"),
    "spaces": ("--budget", "macs=1G"),
    "pareto": ("--min", "params", "--max", "macs"),
    "sweep": ("-o", "points.csv"),
    "measure-rows": (
        "--on",
        "null",
        "--count",
        "10",
        "--nets",
        "5",
        "--time-budget",
        "0.1",
        "-o",
        "rows.json",
    ),
}
"""Arguments that a command needs, or that keep it short."""

SOURCES = (
    "small",
    "table.toml",
    "table.csv",
    "table.json",
    "run.json",
    "page.html",
    "page.html#1",
    "findings.json",
    "weights.pt",
    "missing.toml",
    "folder",
    "empty.json",
    "text.md",
)
NO_SOURCE = {"backends", "cache", "claims", "devices"}
TRAINED = {"latency", "profile", "report", "export"}
SLOW = {"train", "export"}
"""Of these, every option is crossed with one source, and options of the network with wrong values only, since
each answer takes seconds."""

VALUES: dict[str, tuple[str, ...]] = {
    "--activation": ("relu",),
    "--alignment": ("16",),
    "--as": ("thop",),
    "--baseline": ("table.toml", "run.json"),
    "--batch": ("2", "1,2"),
    "--batch-norm": ("separate",),
    "--budget": ("params=1M", "macs.head=1M", "latency.null=1s"),
    "--budgets": ("budgets.toml",),
    "--by": ("layer", "tensor"),
    "--classes": ("7",),
    "--dtype": ("int8", "fp32,bf16"),
    "--explain": (),
    "--fit": ("64K",),
    "--flash": ("1M",),
    "--format": ("json", "csv", "md", "table", "html", "junit", "github"),
    "--input": ("48", "32x64"),
    "--match": ("macs",),
    "--on": ("null", "cpu"),
    "--output": ("out.json", "out.csv", "out.md", "out.html", "out.onnx"),
    "--opset": ("18",),
    "--layout": ("nhwc",),
    "--parts": ("1", "net,backbone"),
    "--rows": ("1",),
    "--seeds": ("2",),
    "--sort": ("macs", "time", "memory"),
    "--threads": ("2",),
    "--time-budget": ("0.1",),
    "--timeout": ("60",),
    "--to": ("torchscript",),
    "--top": ("1",),
    "--weights": ("weights.pt",),
    "--width": ("0.5",),
    "--width-rule": ("torchvision",),
}
"""Valid values; a flag has none. An option that is not here is crossed with wrong values only."""

FLAGS_THAT_TAKE_LONG = {
    "--cross-check",
    "--full",
    "--measure",
    "--train",
    "--plans",
    "--ops",
    "--latency",
    "--check",
}
REFUSED_FLAG = "=1"
"""A flag that is given a value, which is refused."""
MEASURING = {"latency", "profile"}
"""Of these, one valid value of each option is tried: each answer takes seconds."""
WRONG = ("", "-1", "???", "1e999", "a,b", "\u0663", "../nothing/here.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source of every kind."""
    made, place = Material(), tmp_path_factory.mktemp("sources")
    files: dict[str, str] = {
        "table.toml": _toml(TABLE),
        "table.csv": made.csv.decode(),
        "table.json": json.dumps(made.table),
        "run.json": json.dumps(made.runs[0]),
        "page.html": f"<html><body>{embed(json.dumps(made.runs[0]).encode())}</body></html>",
        "findings.json": json.dumps(made.findings),
        "empty.json": "",
        "text.md": "# not a source\n",
        "budgets.toml": 'macs = "1G"\n',
    }
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    torch.save(made.checkpoint, place / "weights.pt")
    (place / "folder").mkdir()
    return place


def _toml(keys: dict[str, str]) -> str:
    return "".join(f"{key} = {value}\n" for key, value in keys.items())


def _answer(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> int:
    """Run a command; check that it answers, or refuses in one sentence and writes nothing."""
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    try:
        code = run(arguments)
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    out, err = capsys.readouterr()
    told = f"{' '.join(arguments)}: {code}, {out[:500]!r}, {err!r}"
    assert code in (0, 1, 2), told
    assert "Traceback" not in out + err, told
    if code == 2:
        assert out == "", told
        *progress, sentence = err.splitlines()
        assert sentence.startswith("mnv3prof: ") and len(sentence) <= 300, told
        assert not any(line.startswith("mnv3prof") for line in progress), told
        assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before, told
    else:
        assert out or err or "-o" in arguments or "--output" in arguments, told
    return code


def _arguments(command: str, source: str) -> list[str]:
    sources = [] if command in NO_SOURCE else ["table.toml", source] if command == "diff" else [source]
    base = list(BASE.get(command, ()))
    saved = source.startswith(("run", "page"))
    if saved and command in ("latency", "report", "compare"):
        base = []  # a saved run is only shown
    return [command, *sources, *base]


def _crossed() -> Iterator[tuple[str, str]]:
    """Each command and option."""
    for command, options in OPTIONS.items():
        for option in options:
            yield command, option.opts[-1] if option.opts[0].startswith("--") else option.opts[0]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("command", sorted({*OPTIONS} - NO_SOURCE))
def test_every_source_with_every_command(
    command: str,
    source: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    arguments = _arguments(command, source)
    if command == "train":
        arguments += ["--epochs", "1", "--data", "missing"]
    code = _answer(arguments, folder, capsys)
    assert source not in SOURCES[-5:] or code == 2
    if command in ("flops", "memory", "table", "diff", "check") and source not in SOURCES[-5:]:
        assert code == 0


@pytest.mark.parametrize("key", [*TABLE_RULES, "unknown"])
@pytest.mark.parametrize("command", ["flops", "memory", "table", "compare", "diff", "check"])
def test_every_key_with_every_command(
    command: str, key: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for number, value in enumerate((KEYS.get(key, "1"), '["?"]', '"\\u0007"', "-3")):
        (folder / "key.toml").write_text(
            _toml({**TABLE, **NEEDED.get(key, {}), key: value}), encoding="utf-8"
        )
        arguments = _arguments(command, "key.toml")
        wrong = number > 0 or key == "unknown"
        assert _answer([*arguments, *_size(command)], folder, capsys) == (2 if wrong else 0)


def _size(command: str) -> list[str]:
    return ["--input", "32"] if any(p.opts[0] == "--input" for p in OPTIONS[command]) else []


@pytest.mark.parametrize(("command", "option"), [*_crossed()])
def test_every_option_with_every_command(
    command: str,
    option: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    if command == "cache":  # other tests use the cache at the same time
        monkeypatch.setenv("MNV3PROF_CACHE", str(folder / "folder"))
    (parameter,) = (p for p in OPTIONS[command] if option in p.opts)
    is_flag = bool(getattr(parameter, "is_flag", False))
    names = [option, *parameter.secondary_opts] if is_flag else [option]
    for source in _sources(command):
        for name, value in product(names, _values(command, parameter, source)):
            given = [f"{name}=1"] if value == REFUSED_FLAG else [name, *([] if is_flag else [value])]
            code = _answer([*_arguments(command, source), *given], folder, capsys)
            assert code == 2 or value not in ("???", "a,b") or option in _TEXTS


def _sources(command: str) -> tuple[str, ...]:
    if command in SLOW or command in NO_SOURCE:
        return ("table.toml",)
    # Of a table, report runs the other counters each time.
    return ("run.json",) if command == "report" else ("table.toml", "run.json")


def _values(command: str, parameter: Any, source: str) -> list[str]:
    """Values of an option, wrong ones in turns; REFUSED_FLAG for flags that take long."""
    option = parameter.opts[-1] if parameter.opts[0].startswith("--") else parameter.opts[0]
    if getattr(parameter, "is_flag", False):
        slow = command in SLOW or option in FLAGS_THAT_TAKE_LONG or option == "--open"
        return [REFUSED_FLAG if slow else ""]
    valid = list(VALUES.get(parameter.opts[0], ()))
    if command in SLOW and option not in _OWN:
        valid = []
    if command in MEASURING:
        valid = valid[:1]
    start = zlib.crc32(f"{command}{option}".encode()) % len(WRONG)
    wrong = [WRONG[(start + 2 * n) % len(WRONG)] for n in range(3)]
    return [*valid, *(wrong if source == "table.toml" else ["???"])]


_OWN = {"--to", "--opset", "--layout", "--dtype", "--parts"}
"""Options of the slow commands that are crossed with valid values too."""

_TEXTS = {"--input-file", "--expected-file", "-o", "--output", "--budgets"}
"""Options that take any text; a file that cannot be written or read is refused."""
