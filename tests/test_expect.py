"""Whole outputs against reviewed files in tests/expect/, refreshed by `pytest --refresh`.

A golden file can contain wrong numbers, so their sums are checked first.
"""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from terminal import on_terminal, without_escapes

from mnv3prof.cli.main import run

EXPECT = Path(__file__).parent / "expect"
TINY = shlex.quote(str(Path(__file__).parent / "tiny.toml"))
PIPED = {
    "table-large.txt": "table",
    "table-small-dilated.csv": "table small --dilated --format csv",
    "flops-large.txt": "flops",
    "flops-large.csv": "flops --format csv",
    "flops-large-op.txt": "flops --by op",
    "flops-tiny-layer.csv": f"flops {TINY} --input 16 --by layer --format csv",
    "flops-large-as-thop.txt": "flops --as thop",
    "memory-large.txt": "memory",
    "memory-small-int8-fit.md": "memory small --dtype int8 --fit 320KiB --format md",
    "memory-tiny-tensor.csv": f"memory {TINY} --input 16 --by tensor --format csv",
    "compare-standard-conv.txt": "compare --standard-conv",
    "compare-three.md": "compare large small large-minimal --format md",
    "compare-tiny.json": f"compare {TINY} --input 16 --standard-conv --format json",
    "diff-large-small.txt": "diff large small",
    "diff-large-small.md": "diff large small --format md",
    "check-small.txt": "check small --budget macs=50M --budget arena=1.5MiB --budget latency.litert=8ms",
    "check-small.md": "check small --baseline large --budget macs=-80% --budget params=+0% --format md",
    "check-small-alone.md": "check small --budget macs=50M --budget arena=1.5MiB --budget latency.litert=8ms --format md",
    "check-small.xml": "check small --budget macs=50M --budget arena=1.5MiB --format junit",
    "help-flops.txt": "flops --help",
    "help.txt": "--help",
}
ON_SCREEN = {
    f"{name}-{columns}.screen": (command, columns)
    for name, command in {
        "flops": "flops",
        "memory": "memory",
        "compare": "compare --standard-conv",
        "table": "table",
        "diff": "diff large small",
    }.items()
    for columns in (60, 80)
}
SUMS = {"macs", "flops", "params", "weight_bytes", "read_bytes", "write_bytes"}


def _compare(name: str, text: str, request: Any) -> None:
    path = EXPECT / name
    if request.config.getoption("--refresh"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PIPED)
def test_in_a_pipe(
    name: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")  # the width of help
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    fails = "--fit" in PIPED[name] or PIPED[name].startswith("check")
    assert run(shlex.split(PIPED[name])) == (1 if fails else 0)
    _compare(name, capsys.readouterr().out, request)


@pytest.mark.parametrize("name", ON_SCREEN)
def test_on_a_screen(name: str, request: pytest.FixtureRequest) -> None:
    command, columns = ON_SCREEN[name]
    code, screen = on_terminal(shlex.split(command), columns)
    assert code == 0
    _compare(name, without_escapes(screen), request)


def test_every_file_is_expected_by_a_test() -> None:
    assert {path.name for path in EXPECT.iterdir()} == {*PIPED, *ON_SCREEN}


@pytest.mark.parametrize("name", ["flops-large.txt", "flops-large-op.txt"])
def test_the_rows_add_up_to_the_total(name: str) -> None:
    lines = (EXPECT / name).read_text(encoding="utf-8").splitlines()
    figures = [re.findall(r"(?<= )[\d,]+(?=  )", line)[-3:] for line in lines if "%" in line]
    columns = [[int(cell.replace(",", "")) for cell in column] for column in zip(*figures, strict=True)]
    assert [sum(column[:-1]) for column in columns] == [column[-1] for column in columns]
    assert [column[-1] for column in columns] == [216_589_760, 449_144_856, 5_483_032]


def test_the_csv_by_layer_adds_up_to_what_is_worked_by_hand() -> None:
    header, *rows = (EXPECT / "flops-tiny-layer.csv").read_text(encoding="utf-8").splitlines()
    keys = header.split(",")
    cells = [dict(zip(keys, row.split(","), strict=True)) for row in rows]
    assert set(keys) > SUMS
    # Outputs x inputs per output: stem, two blocks (expand, depthwise, SE, project), head, classifier.
    first = 8 * 8 * 16 * 8 + 8 * 8 * 16 * 9 + 2 * 16 * 8 + 8 * 8 * 8 * 16
    second = 8 * 8 * 24 * 8 + 4 * 4 * 24 * 25 + 4 * 4 * 16 * 24
    macs = 8 * 8 * 8 * 27 + first + second + 4 * 4 * 96 * 16 + 16 * 96 + 10 * 16
    assert sum(int(cell["macs"]) for cell in cells) == macs == 93_984
    convolutions = 27 * 8 + 8 * 16 + 9 * 16 + 16 * 8 + 8 * 24 + 25 * 24 + 24 * 16 + 16 * 96
    norms = 2 * (8 + 16 + 16 + 8 + 24 + 24 + 16 + 96)
    biased = (16 * 8 + 8) + (8 * 16 + 16) + (96 * 16 + 16) + (16 * 10 + 10)
    assert sum(int(cell["params"]) for cell in cells) == convolutions + norms + biased
