import csv
import io
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from terminal import SCRIPT

from mnv3prof.cli.main import run
from mnv3prof.cli.output import Output, Result, emit
from mnv3prof.render.sheet import Column, Sheet

SHEET = Sheet("a sheet", (Column("what", "What", "text"), Column("n", "N")), (("é", 1),))


def _files(folder: Path) -> Any:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def _umask_022() -> Iterator[Any]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize(
    ("name", "begins"), [("x.json", "{"), ("x.csv", "block,"), ("x.md", "### "), ("X.JSON", "{")]
)
def test_the_suffix_decides_the_format(
    name: str, begins: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    assert run(["flops", "--output", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith(begins)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("form", ["table", "json", "csv", "md"])
def test_a_file_holds_what_a_pipe_gets(form: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x"
    assert run(["memory", "--format", form, "-o", str(path)]) == 0
    assert run(["memory", "--format", form]) == 0
    assert path.read_bytes() == capsys.readouterr().out.encode()


def test_a_new_file_has_the_users_permissions(tmp_path: Path, _umask_022: Any) -> None:
    path = tmp_path / "x.csv"
    assert run(["flops", "-o", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert _files(tmp_path) == ["x.csv"]


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("before", encoding="utf-8")
    path.chmod(0o640)
    assert run(["flops", "-o", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_text(encoding="utf-8").startswith("block,")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link, real = tmp_path / "link.csv", tmp_path / "real.csv"
    real.write_text("before", encoding="utf-8")
    link.symlink_to(real)
    assert run(["flops", "-o", str(link)]) == 0
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").startswith("block,")


def test_a_reader_sees_the_old_file_or_the_new_one_whole(tmp_path: Path) -> None:
    """The write replaces the file: readers that have it open still read the old one."""
    path = tmp_path / "x.csv"
    path.write_text("before", encoding="utf-8")
    with path.open(encoding="utf-8") as reader:
        assert run(["flops", "-o", str(path)]) == 0
        assert reader.read() == "before"


@pytest.mark.parametrize("failing", ["fsync", "fdopen"])
def test_a_write_that_fails_leaves_what_was_there(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("before", encoding="utf-8")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    assert run(["flops", "-o", str(path)]) == 2
    sentence = f"mnv3prof: {path}: cannot be written (No space left on device); its content is unchanged\n"
    assert capsys.readouterr() == ("", sentence)
    assert path.read_text(encoding="utf-8") == "before"
    assert _files(tmp_path) == ["x.csv"]


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.csv"
    path.write_text("before", encoding="utf-8")

    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    assert run(["flops", "-o", str(path)]) == 130
    assert path.read_text(encoding="utf-8") == "before"
    assert _files(tmp_path) == ["x.csv"]


def test_a_result_that_cannot_be_made_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        emit(Result((SHEET,), SHEET, lambda: 1 / 0), Output(output=path))
    assert path.read_text(encoding="utf-8") == "before"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is a directory"),
        ("none/x.csv", "No such file or directory"),
        ("file/x.csv", "Not a directory"),
        ("x" * 300 + ".csv", "File name too long"),
        ("loop.csv", "Too many levels of symbolic links"),
        ("x.toml", "TOML is read, not written; expected .json or .csv"),
    ],
)
def test_a_place_that_cannot_be_written_is_said(
    name: Any, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("before", encoding="utf-8")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    assert run(["flops", "-o", f"{tmp_path}/{name}"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert _files(tmp_path) == ["file", "loop.csv"]


def test_devices_and_pipes_are_written_not_replaced(tmp_path: Path) -> None:
    done = subprocess.run(
        [SCRIPT, "flops", "--output", "/dev/stdout", "--format", "csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("block,")
    done = subprocess.run([SCRIPT, "flops", "-o", "/dev/full"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert Path("/dev/full").is_char_device()
    assert "No space left on device" in done.stderr


def test_a_pipe_gets_every_column_and_no_color() -> None:
    done = subprocess.run(
        [SCRIPT, "flops"], capture_output=True, check=True, env={**os.environ, "COLUMNS": "40"}
    )
    text = done.stdout.decode()
    assert "\x1b" not in text
    assert "FLOP/byte" in text
    assert "Not shown" not in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_encoding_without_our_symbols_gets_ascii(encoding: str) -> None:
    done = subprocess.run(
        [SCRIPT, "compare", "--standard-conv"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    text = done.stdout.decode("ascii")
    assert "x5.760" in text  # row 1: 1 / (1/16 + 1/9)
    assert "1/(1/N + 1/k^2)" in text
    assert "?" not in text


@pytest.mark.parametrize("form", ["json", "csv", "md"])
def test_a_document_is_utf_8_whatever_the_terminal_knows(form: Any, tmp_path: Path) -> None:
    """The same bytes as in a file; names never become question marks."""
    table = tmp_path / "net.toml"
    table.write_text('name = "réseau 网络 × 🚀"\nrows = [[16, 16, 3, 1, false, "RE"]]\n', encoding="utf-8")
    arguments = ["compare", str(table), "--without-se", "--format", form]
    assert run([*arguments, "--output", str(tmp_path / "x")]) == 0
    done = subprocess.run(
        [SCRIPT, *arguments], capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert done.stdout == (tmp_path / "x").read_bytes()


def test_json_is_one_document_and_csv_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("table", "flops", "memory", "compare small large"):
        assert run([*command.split(), "--format", "json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["schema"] == 2
        assert run([*command.split(), "--format", "csv"]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
        header, *rows = csv.reader(io.StringIO("\n".join(lines)))
        assert rows
        assert {len(row) for row in rows} == {len(header)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            "flops small -o x.xlsx",
            "x.xlsx: the suffix '.xlsx' is unknown; expected .json, .csv, .md, or --format",
        ),
        ("flops small -o x.txt", "x.txt: the suffix '.txt' is unknown"),
        ("memory small -o x", "x: has no suffix; expected .json, .csv, .md, or --format"),
        (
            "flops small -o x.json --format csv",
            "x.json: --format csv contradicts the suffix '.json'; expected .csv",
        ),
        (
            "table small -o x.xlsx --format csv",
            "x.xlsx: --format csv contradicts the suffix '.xlsx'; expected .csv",
        ),
        (
            "compare large small -o x.md --format table",
            "--format table contradicts the suffix '.md'; expected .txt",
        ),
        ("diff large small -o x.MD --format json", "x.MD: --format json contradicts the suffix '.md'"),
        ("latency small --on null -o x.pt", "x.pt: the suffix '.pt' is unknown"),
        ("profile small --on null -o x.csv", "profile: --output FILE.json is required"),
        ("claims --measure --train -o x.html", "x.html: the suffix '.html' is unknown"),
        ("claims --train -o none/x.json", "none/x.json: cannot be written (No such file or directory)"),
        (
            "memory small --on litert -o none/x.json",
            "none/x.json: cannot be written (No such file or directory)",
        ),
        ("export small -o none/x.onnx", "none/x.onnx: cannot be written (No such file or directory)"),
        ("backends --check -o x.yaml", "x.yaml: the suffix '.yaml' is unknown"),
        ("cache -o x.csv --format md", "x.csv: --format md contradicts the suffix '.csv'"),
        ("report small -o x.txt", "x.txt: the suffix '.txt' is unknown; expected .html, .htm, .md, .json"),
        (
            "report small -o x.md --format html",
            "x.md: --format html contradicts the suffix '.md'; expected .html",
        ),
        (
            "check small --budget macs=1M -o x.xml --format json",
            "--format json contradicts the suffix '.xml'",
        ),
        (
            "check small --budget macs=1M -o x.json --format junit",
            "contradicts the suffix '.json'; expected .xml",
        ),
        (
            "check small --budget macs=1M -o x.json --format github",
            "contradicts the suffix '.json'; expected .txt",
        ),
    ],
)
def test_a_suffix_that_means_no_format_or_another_is_refused_before_anything_is_done(
    arguments: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_or_device_takes_any_format_and_a_file_without_a_suffix_the_one_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fifo = tmp_path / "x.csv"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert run(["table", "small", "--format", "json", "-o", str(fifo)]) == 0
    assert json.loads(os.read(reader, 1_000_000))["schema"] == 2
    os.close(reader)
    assert run(["table", "small", "-o", "/dev/null"]) == 0
    for form, name in (("csv", "summary"), ("table", "summary"), ("table", "x.txt"), ("json", "x.JSON")):
        assert run(["table", "small", "--format", form, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "x.txt").read_text(encoding="utf-8").startswith("MobileNetV3-Small")
    for form, name in (("github", "log.txt"), ("junit", "x.xml")):
        assert (
            run(["check", "small", "--budget", "macs=60M", "--format", form, "-o", str(tmp_path / name)]) == 0
        )
    assert (tmp_path / "x.xml").read_text(encoding="utf-8").startswith("<?xml")
    assert capsys.readouterr() == ("", "")


def test_what_a_device_has_taken_is_not_called_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "small", "-o", "/dev/full"]) == 2
    assert capsys.readouterr().err == "mnv3prof: /dev/full: cannot be written (No space left on device)\n"
