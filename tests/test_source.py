"""Kinds of SOURCE in every command; each file is read once."""

import io
import json
import os
import shutil
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tables import tables
from runs import kept, made, reported, timing
from subjects import no_regular_file, read_run, subject

from mnv3prof.cli.main import run
from mnv3prof.cli.options import backend_names
from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.files import PRESET_ALIASES, PRESETS
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.mobilenetv3.writing import to_csv, to_toml
from mnv3prof.record import embedded, read
from mnv3prof.record.document import run_document, table_document
from mnv3prof.record.run import Subject
from mnv3prof.source import Source, open_source, read_table
from mnv3prof.workers.formats import name_of

TOML = b"""
name = "mine"
stem = 8
last = 16
classes = 10
rows = [[8, 8, 3, 1, false, "RE"], [24, 16, 3, 2, true, "HS"]]
"""
MINE = (Row(8, 8, 3, 1, False, "RE"), Row(24, 16, 3, 2, True, "HS"))
COMMANDS = {
    "flops": ["flops", "{}"],
    "memory": ["memory", "{}"],
    "compare": ["compare", "{}", "large"],
    "diff": ["diff", "large", "{}"],
    "check": ["check", "{}", "--budget", "macs=1G"],
    "report": ["report", "{}", "--no-latency", "-o", "out.html"],
}
"""Those that take a table; latency would measure it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """run.json, a run of small; page.html with it, pages.html with it and another one; mine.toml."""
    folder = tmp_path_factory.mktemp("sources")
    small, large = (
        made("small", (32, 32), variants={"wide": Subject(read_table("large"), (32, 32))}),
        made("large"),
    )
    (folder / "mine.toml").write_bytes(TOML)
    kept(small, folder / "run.json")
    for name, runs in {"page.html": [small], "pages.html": [small, large]}.items():
        documents = (embedded.embed(msgspec.json.encode(run_document(each))) for each in runs)
        (folder / name).write_text(
            "<!DOCTYPE html>\n<html>" + "\n".join(documents) + "</html>", encoding="utf-8"
        )
    return folder


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A copy of that folder, which is the current one."""
    shutil.copytree(folder, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the bytes of standard input."""
    return lambda data: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def _printed(arguments: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    assert run(arguments) == 0, capsys.readouterr().err
    return capsys.readouterr().out


# Kinds


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset(preset: Any) -> None:
    assert open_source(preset).subject == Subject(read_table(preset), (224, 224))


@pytest.mark.parametrize("size", ["large", "small"])
def test_torchvisions_names(size: Any) -> None:
    assert read_table(f"mobilenet_v3_{size}") == read_table(size)


def test_a_run_and_a_page_hold_what_was_measured(here: Any) -> None:
    saved = read_run("run.json")
    assert saved == made("small", (32, 32), variants={"wide": Subject(read_table("large"), (32, 32))})
    Path("page.htm").write_bytes(Path("page.html").read_bytes())
    for name in ("run.json", "page.html", "page.htm"):
        assert open_source(name) == Source(name, runs=(saved,))
        assert open_source(name).subject == saved.subject


def test_a_page_of_several_runs_is_several_networks_and_each_has_a_number(here: Any) -> None:
    pages = open_source("pages.html")
    assert [each.table.name for each in pages.subjects] == ["MobileNetV3-Small", "MobileNetV3-Large"]
    for number, each in enumerate(pages.runs, 1):
        assert open_source(f"pages.html#{number}").run == each
    with pytest.raises(InputError, match=r"pages\.html: holds 2 runs; expected one, e\.g\. pages\.html#1"):
        _ = pages.subject


def test_standard_input_of_several_runs_is_told_how_to_name_one(here: Any, typed: Any) -> None:
    typed(Path("pages.html").read_bytes())
    assert len(open_source("-").runs) == 2
    typed(Path("pages.html").read_bytes())
    with pytest.raises(InputError, match=r"standard input: holds 2 runs; expected one, e\.g\. FILE\.html#1"):
        _ = open_source("-").run


@pytest.mark.parametrize("command", ["table", "flops", "memory"])
def test_a_document_of_a_network_is_read_at_the_input_that_it_has(
    here: Any, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    for name, options in (("small", ["--input", "32x48"]), ("mine.toml", ["--input", "16", "--width", "2"])):
        Path("x.json").write_text(
            _printed([command, name, *options, "--format", "json"], capsys), encoding="utf-8"
        )
        assert _printed(["flops", "x.json"], capsys) == _printed(["flops", name, *options], capsys)
        assert _printed(["flops", "x.json", "--input", "64"], capsys) == _printed(
            ["flops", name, *options, "--input", "64"], capsys
        )


@pytest.mark.parametrize(
    "command", [["compare", "small", "large"], ["diff", "small", "large"], ["check", "small"]]
)
def test_a_document_that_holds_no_network_says_so(
    here: Any, capsys: pytest.CaptureFixture[str], command: list[Any]
) -> None:
    options = ["--budget", "macs=1G"] if command[0] == "check" else []
    Path("x.json").write_text(_printed([*command, *options, "--format", "json"], capsys), encoding="utf-8")
    assert run(["flops", "x.json"]) == 2
    assert (
        "x.json: holds no network; expected a table, a run, findings or a report" in capsys.readouterr().err
    )


def test_a_table_beside_a_run_is_compared_at_the_runs_input(
    here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(
        _printed(["compare", "large", "page.html", "mine.toml", "--format", "json"], capsys)
    )
    assert [each["input"] for each in document["networks"]] == [[32, 32]] * 3
    document = json.loads(
        _printed(["compare", "large", "run.json", "--input", "64", "--format", "json"], capsys)
    )
    assert [each["input"] for each in document["networks"]] == [[64, 64]] * 2


@pytest.mark.parametrize("number", ["0", "3", "", "-1", "x", "1.0", "٣", "1" * 5000])
def test_a_run_that_a_page_has_not(here: Any, number: Any) -> None:
    with pytest.raises(InputError, match=r"is not a run of pages\.html; expected #1 to #2"):
        open_source(f"pages.html#{number}")


@pytest.mark.parametrize("command", [*COMMANDS, "profile"])
def test_a_name_that_is_not_text_is_shown_as_far_as_it_can_be(
    here: Any, command: Any, capsysbinary: Any
) -> None:
    path = Path(os.fsdecode(b"bad\xff\x1b[1m.json"))
    try:
        path.write_bytes(Path("run.json").read_bytes())
    except OSError:
        pytest.skip("the file system has no such name")
    measuring = ["profile", "{}", "--on", "null", "--parts", "net", "--time-budget", "0.2", "-o", "out.json"]
    given = [word.format(path) for word in COMMANDS.get(command, measuring) if word != "--no-latency"]
    assert run(given) == 0
    assert b"\x1b" not in capsysbinary.readouterr().out
    assert run(["flops", os.fsdecode(b"no\xff\x1b[1m.json")]) == 2
    assert capsysbinary.readouterr().err.startswith(b"mnv3prof: no??[1m.json: no such file or preset; ")


def test_a_link_to_nothing_is_no_misspelling(here: Any) -> None:
    Path("dangling.toml").symlink_to("nowhere.toml")
    Path("loop.toml").symlink_to("loop.toml")
    with pytest.raises(InputError, match=r"dangling\.toml: is a link to a missing file"):
        open_source("dangling.toml")
    with pytest.raises(InputError, match=r"loop\.toml: "):
        open_source("loop.toml")


def test_a_page_of_findings_only_has_no_run_to_name(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["claims", "small", "K1", "-o", "found.json"]) == 0
    Path("f.html").write_text(embedded.embed(Path("found.json").read_bytes()), encoding="utf-8")
    with pytest.raises(InputError, match=r"f\.html holds findings, but no run"):
        open_source("f.html#1")


def test_a_file_may_be_called_with_a_hash(here: Any) -> None:
    for name in ("a#1.toml", "a.html#1.toml"):
        Path(name).write_bytes(TOML)
        assert read_table(name).name == "mine"


# Standard input


@given(tables)
@settings(max_examples=40)
def test_standard_input_holds_a_table_in_any_format(table: Table) -> None:
    for data in (
        to_csv(table).encode(),
        msgspec.json.encode(table_document(subject(table, 8))),
        to_toml(table).encode(),
    ):
        before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data))
        try:
            assert read_table("-") == table
        finally:
            sys.stdin = before


@pytest.mark.parametrize("name", ["run.json", "page.html"])
def test_standard_input_holds_a_run_or_a_page_too(here: Any, typed: Any, name: str) -> None:
    typed((here / name).read_bytes())
    assert open_source("-").runs == open_source(name).runs


def test_a_table_without_a_name_is_called_stdin(typed: Any) -> None:
    typed(b"\xef\xbb\xbf" + b"# a comment\n" * 2_000 + TOML.replace(b'name = "mine"\n', b""))
    assert read_table("-").name == "stdin"


@pytest.mark.parametrize("suffix", [".toml", ".csv", ".json", ".html", "-"])
def test_a_byte_order_mark_is_no_content_and_utf_16_is_refused(
    folder: Path, tmp_path: Path, typed: Any, suffix: str
) -> None:
    data = {
        ".csv": to_csv(read_table("small")).encode(),
        ".json": msgspec.json.encode(table_document(subject("small", 32))),
        ".html": (folder / "page.html").read_bytes(),
    }.get(suffix, TOML)
    for text in (data, b"\xef\xbb\xbf" + data, data.decode().encode("utf-16")):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(text)
        typed(text)
        name = "-" if suffix == "-" else str(path)
        if text.startswith(b"\xff\xfe"):
            with pytest.raises(InputError, match="line 1: the bytes are not UTF-8; save the file as UTF-8"):
                open_source(name)
        else:
            assert read_table(name).rows == (MINE if suffix in {".toml", "-"} else read_table("small").rows)


@pytest.mark.parametrize("data", [b"", b" \n\n"])
def test_an_empty_standard_input(typed: Any, data: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    typed(data)
    assert run(["flops", "-"]) == 2
    assert "standard input: is empty, or was read already; expected a table" in capsys.readouterr().err


def test_standard_input_is_read_once(typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed(TOML)
    assert run(["diff", "-", "-"]) == 2
    assert "standard input: is empty, or was read already" in capsys.readouterr().err


def test_a_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input: is closed"):
        open_source("-")


def test_a_standard_input_without_an_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        read_bytes = 0

        def readable(self) -> Any:
            return True

        def readinto(self, buffer: Any) -> Any:
            self.read_bytes += len(buffer)
            buffer[:] = b"y\n" * (len(buffer) // 2) + b"y" * (len(buffer) % 2)
            return len(buffer)

    endless = Endless()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(endless)))
    with pytest.raises(
        InputError, match="standard input: is too large for a table; expected at most 524,288 bytes"
    ):
        open_source("-")
    assert endless.read_bytes < 20_000_000


def test_a_standard_input_that_is_too_large_or_cannot_be_read(
    typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnv3prof.source.MAX_RUN_BYTES", 1_000)
    typed(b"{" + b" " * 1_000)
    with pytest.raises(InputError, match="standard input: is too large; expected at most 1,000 bytes"):
        open_source("-")
    with Path(os.devnull).open("wb") as closed:
        monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.FileIO(closed.fileno(), closefd=False)))
        )
    with pytest.raises(InputError, match="standard input: cannot be read"):
        open_source("-")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"rows = [[0, 16, 3, 1, false, 'RE']]", "standard input, row 1, column expand: 0 is not allowed"),
        (b"expand,out\n", "standard input, header: the column kernel is missing"),
        (b'{"rows": 3}', "standard input: the key rows is 3"),
        (b'{"timings": [], "schema": 2}', "standard input: is damaged: Object missing required field"),
        (b"<html></html>", "standard input: holds no run"),
        (b"\xff\xfe\x00", "standard input, line 1: the bytes are not UTF-8"),
    ],
)
def test_what_is_wrong_with_standard_input_is_said_of_it(typed: Any, data: bytes, sentence: str) -> None:
    typed(data)
    with pytest.raises(InputError) as refused:
        open_source("-")
    assert str(refused.value).startswith(sentence)


# Every command takes every kind


@pytest.mark.parametrize("source", ["run.json", "page.html", "pages.html#1", "-"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_what_was_saved(
    command: Any, source: str, here: Any, typed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    typed((here / "page.html").read_bytes())
    given = [word.format(source) for word in COMMANDS[command]]
    if command == "report":
        given.remove("--no-latency")
    else:
        given += ["--format", "json"]
    assert run(given) == 0
    out = capsys.readouterr().out
    if command == "report":
        assert open_source("out.html").run == read_run("run.json")
    else:
        assert (_network(json.loads(out))["table"]["name"], _network(json.loads(out))["input"]) == (
            "MobileNetV3-Small",
            [32, 32],
        )


def _network(document: Any) -> Any:
    """The network that a command's document is about, or the first of several."""
    named = [document[key] for key in ("new", "checked", "networks") if key in document] or [document]
    return named[0][0] if isinstance(named[0], list) else named[0]


@pytest.mark.parametrize("source", ["mine.toml", "-", "mobilenet_v3_small"])
@pytest.mark.parametrize("command", [*COMMANDS][:-1])
def test_every_command_takes_a_table(
    command: Any, source: str, here: Any, typed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(TOML)
    assert _printed([word.format(source) for word in COMMANDS[command]], capsys)


@pytest.mark.parametrize("command", ["flops", "memory", "check"])
def test_a_page_is_as_good_as_its_run_and_both_as_the_table_at_their_input(
    command: str, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(source: Any, *options: Any) -> Any:
        given = [word.format(source) for word in COMMANDS[command]]
        return _printed([*given, *options, "--format", "csv"], capsys)

    assert printed("page.html") == printed("run.json") == printed("small", "--input", "32")
    assert printed("page.html") != printed("small")


def test_a_saved_network_can_be_varied_like_its_table(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        _printed(["flops", *source, "--width", "0.5", "--format", "csv"], capsys)
        for source in (["page.html"], ["run.json"], ["small", "--input", "32"])
    ]
    assert found[0] == found[1] == found[2]
    assert _printed(["flops", "run.json", "--input", "224", "--format", "csv"], capsys) == _printed(
        ["flops", "small", "--format", "csv"], capsys
    )


def test_latency_shows_a_page_as_its_run(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shown = [_printed(["latency", name, "--format", "json"], capsys) for name in ("run.json", "page.html")]
    assert shown[0] == shown[1]
    assert run(["latency", "page.html", "--ops"]) == 2
    assert "--ops: page.html is a saved run" in capsys.readouterr().err


def test_a_page_of_two_runs_is_compared(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(_printed(["compare", "pages.html", "--format", "json"], capsys))
    assert [each["table"]["name"] for each in document["networks"]] == [
        "MobileNetV3-Small",
        "MobileNetV3-Large",
    ]
    for command in (["flops"], ["latency"], ["check", "--budget", "macs=1G"]):
        assert run([*command, "pages.html"]) == 2
        assert "pages.html: holds 2 runs; expected one, e.g. pages.html#1" in capsys.readouterr().err


def test_the_runs_of_pages_are_compared_in_time(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(_printed(["diff", "pages.html#1", "page.html", "--format", "json"], capsys))
    assert {each["verdict"] for each in document["times"]} == {"same"}
    judged = ["check", "page.html", "--baseline", "pages.html#1", "--budget", "latency.ort=+5%"]
    assert (
        json.loads(_printed([*judged, "--format", "json"], capsys))["verdicts"][0]["budget"]
        == "latency.onnxruntime"
    )


def test_the_plans_in_a_page_are_shown(here: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from mnv3prof.record.plan import RuntimePlan

    planned = msgspec.structs.replace(made(), plans=(RuntimePlan(backend="litert", bytes=12_345),))
    page = tmp_path / "p.html"
    page.write_text(embedded.embed(msgspec.json.encode(run_document(planned))), encoding="utf-8")
    assert "12.1 KiB" in _printed(["memory", str(page)], capsys)
    for other in (["--width", "0.5"], ["--input", "64"], ["--dtype", "int8"]):
        assert "12.1 KiB" not in _printed(["memory", str(page), *other], capsys)


def test_a_comparison_is_shown_again_from_its_page(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    saved, page = (_printed(["compare", name], capsys) for name in ("run.json", "page.html"))
    assert saved == page
    assert "MobileNetV3-Large" in saved


# Once


@pytest.mark.parametrize(
    "arguments",
    [
        *(COMMANDS[command] for command in COMMANDS if command != "report"),
        ["report", "{}", "-o", "out.html"],
        ["latency", "{}"],
        ["table", "{}"],
        ["claims", "{}", "K1"],
        ["check", "small", "--baseline", "{}", "--budget", "macs=+900%"],
    ],
)
@pytest.mark.parametrize("name", ["run.json", "page.html", "mine.toml"])
def test_a_file_is_opened_and_its_run_decoded_once(
    name: str, arguments: Any, here: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "mine.toml" and arguments[0] in {"report", "latency"}:
        arguments = ["compare", "{}", "--without-se"]
    opened: Counter[Any] = Counter()
    decoded: Counter[Any] = Counter()
    decode = msgspec.json.decode

    def counting(plainly: Any) -> Any:
        def counting_open(path: Path, *args: Any, **kwargs: Any) -> Any:
            opened[Path(path).name] += 1
            return plainly(path, *args, **kwargs)

        return counting_open

    def counting_decode(data: Any, **how: Any) -> Any:
        decoded[how["type"].__name__ if "type" in how else "any"] += 1
        return decode(data, **how)

    monkeypatch.setattr(Path, "open", counting(Path.open))
    monkeypatch.setattr(os, "open", counting(os.open))
    monkeypatch.setattr(msgspec.json, "decode", counting_decode)
    assert run([word.format(name) for word in arguments]) in (0, 1)
    assert opened[name] == 1
    assert decoded["Head"] == decoded["RunDocument"] == (name != "mine.toml")


# What is refused


@pytest.mark.parametrize(
    ("typed_name", "meant"),
    [
        ("smal", "small"),
        ("Large", "large"),
        ("mobilenet_v3_smal", "mobilenet_v3_small"),
        ("mobilenetv3-large", "mobilenet_v3_large"),
        ("small-minimall", "small-minimal"),
        ("mine.tml", "mine.toml"),
        ("mine", "mine.toml"),
        ("runs.json", "run.json"),
        ("./pag.html", "page.html"),
        ("./large", "large"),
    ],
)
@pytest.mark.parametrize("command", ["flops", "check"])
def test_a_missing_source_may_be_a_misspelling(
    command: str, typed_name: str, meant: str, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, typed_name, *(["--budget", "macs=1G"] if command == "check" else [])]) == 2
    sentence = capsys.readouterr().err
    assert f"mnv3prof: {typed_name}: no such file or preset; did you mean " in sentence
    assert meant in sentence


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["latency", "small", "--on", "tflit"], "tflite"),
        (["latency", "small", "--on", "onnx"], "onnxruntime"),
        (["latency", "small", "--on", "cpu,open-vino"], "openvino"),
        (["latency", "small", "--on", "vulkan"], "ncnn-vulkan"),
        (["export", "small", "-o", "x.onnx", "--to", "onx"], "onnx"),
        (["export", "small", "-o", "x.tflite", "--to", "tflit"], "tflite"),
        (["flops", "--format", "jsn"], "json"),
        (["report", "--format", "htm"], "html"),
        (["check", "small", "--budget", "latency.tflit=1s"], "tflite"),
        (["check", "small", "--budget", "latenc=1s"], "latency.BACKEND"),
        (["flops", "--as", "fvcor"], "fvcore"),
        (["flop"], "flops"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_right_one(
    arguments: list[Any], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"did you mean {meant}?" in err


def test_a_backend_by_another_name_is_the_same_backend() -> None:
    assert backend_names("torch,tflite,cpu,ort,litert") == ("cpu", "litert", "onnxruntime")
    assert backend_names("null,all") == ("null", *backend_names("all"))
    assert name_of("tflite") == "litert"


@pytest.mark.parametrize("name", ["a.html", "a.json", "a.toml", "a.csv"])
@pytest.mark.parametrize("kind", ["pipe", "endless", "folder"])
def test_what_is_no_regular_file_is_not_waited_for(
    tmp_path: Path, kind: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    no_regular_file(path, kind)
    with pytest.raises(InputError, match=r"is (not a regular file|a directory); expected .* or - for"):
        open_source(str(path))
    if name == "a.json":
        assert run(["profile", "small", "--on", "null", "--resume", "-o", str(path)]) == 2


@pytest.mark.parametrize(
    "document",
    [
        b'{"schema":1,"created":"x","host":{},"timings":[%s[]]}',
        b'{"schema":1,"created":"x","command":"","table":{"rows":[%s[]]},"input":[1,1],"host":{},"timings":[]}',
        b'{"schema":1,"findings":[%s[]],"table":{},"input":[1,1]}',
        b'{"schema":1,"findings":[1],"table":{},"input":[1,1],"runs":[%s[]]}',
        b'{"schema":1,"x":[%s[]],"host":{}}',
        b'{"table":[%s[]]}',
        b'{"table":[%s[]],"input":[1,1]}',
    ],
)
def test_millions_of_objects_are_not_made_to_be_refused(tmp_path: Path, document: bytes) -> None:
    data = document % (b"[]," * 3_500_000)
    (tmp_path / "b.json").write_bytes(data)
    (tmp_path / "b.html").write_text(embedded.embed(data), encoding="utf-8")
    for name in ("b.json", "b.html"):
        tracemalloc.start()
        try:
            with pytest.raises(InputError):
                open_source(str(tmp_path / name))
            assert tracemalloc.get_traced_memory()[1] < 6 * len(data)  # a list takes 56 bytes, and had 3
        finally:
            tracemalloc.stop()


def test_the_layers_are_looked_through_once_for_all_timings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tuple(Row(8, 8, 3, 1, False, "RE") for _ in range(1_000))
    large = Subject(Table(name="long", stem=8, rows=rows), (1, 1))
    parts = [f"features.{n}.block.{m}" for n in range(1, 1_001) for m in range(2)]
    timings = tuple(timing("null", part, threads=many, stopped="") for many in range(1, 6) for part in parts)
    path = kept(
        msgspec.structs.replace(made(), subjects={"": large}, timings=timings), tmp_path / "long.json"
    )
    looked, plainly = [], read._parts
    monkeypatch.setattr(read, "_parts", lambda graph: looked.append(graph) or plainly(graph))  # type: ignore[func-returns-value]
    assert len(read_run(path).timings) == 10_000
    assert looked == [large.graph]


def test_a_page_is_inflated_no_further_than_its_first_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflated, plainly = [], embedded._inflate
    monkeypatch.setattr(embedded, "_inflate", lambda *given: inflated.append(1) or plainly(*given))  # type: ignore[func-returns-value]
    page = tmp_path / "many.html"
    page.write_text(embedded.embed(b"{}") * 30_000, encoding="utf-8")
    with pytest.raises(InputError, match="document 1: is neither a run nor findings"):
        open_source(str(page))
    assert len(inflated) == 1


def test_all_documents_of_a_page_together_have_a_limit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_RUN_BYTES", 2 * (folder / "run.json").stat().st_size + 1_000_000)
    page = tmp_path / "a.html"
    page.write_text(embedded.embed((folder / "run.json").read_bytes() + b" " * 400_000) * 3, encoding="utf-8")
    with pytest.raises(InputError, match="its run is damaged: the page holds more than"):
        open_source(str(page))


def test_many_values_or_rows_are_refused_before_they_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads((folder / "run.json").read_bytes())
    network = {"table": {"name": "x", "rows": [[8, 8, 3, 1, False, "RE"]] * 1_000}, "input": [8, 8]}
    many = {**document, "graphs": {**document["graphs"], **{f"{n}": network for n in range(400)}}}
    small = json.dumps({**document, "graphs": {"": network}}).encode()
    monkeypatch.setattr(read, "MAX_ROWS", 4_500)
    values = json.dumps({**document, "notes": ["a"] * 1_600_000}).encode()
    names = ("rows.json", "rows.html", "values.json", "values.html", "together.html")
    data = (
        json.dumps(many).encode(),
        embedded.embed(json.dumps(many).encode()).encode(),
        values,
        embedded.embed(values).encode(),
        embedded.embed(small).encode() * 7,
    )
    for name, content in zip(names, data, strict=True):
        (tmp_path / name).write_bytes(content)
        begin = process_time()
        with pytest.raises(InputError, match=rf"{name}.*(rows|values); expected at most"):
            open_source(str(tmp_path / name))
        assert process_time() - begin < 10


@given(
    st.binary(max_size=300), st.sampled_from([".json", ".html", ".toml", ".csv", "-"]), st.integers(0, 300)
)
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_a_source_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: Any, suffix: Any, keep: Any
) -> None:
    """Bytes alone, after a good beginning, and in a page."""
    good = {".toml": TOML, ".csv": to_csv(read_table("small")).encode(), "-": TOML}.get(
        suffix, b'{"schema":1,"host":'
    )
    for content in (data, good[:keep] + data, embedded.embed(good[:keep] + data).encode()):
        if suffix == "-":
            before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(content))
            text = "-"
        else:
            before, path = sys.stdin, tmp_path_factory.getbasetemp() / f"any{suffix}"
            path.write_bytes(content)
            text = str(path)
        try:
            assert isinstance(open_source(text), Source)
        except InputError as error:
            assert str(error).startswith(text.replace("-", "standard input") if suffix == "-" else text)
            assert len(str(error)) - len(text) < 500
        finally:
            sys.stdin = before


@given(st.text(max_size=40).filter(lambda text: text not in {"-", *PRESETS, *PRESET_ALIASES}))
@settings(max_examples=100, deadline=None)
def test_any_other_text_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError):
        open_source(text)


def test_report_of_a_page_and_a_table_measures_only_the_table(here: Any) -> None:
    command = ["report", "page.html", "mine.toml", "--input", "16", "--on", "null", "--parts", "net"]
    assert run([*command, "--time-budget", "0.3", "-o", "both.html"]) == 0
    both = open_source("both.html")
    assert [each.subject.input for each in both.runs] == [(32, 32), (16, 16)]
    assert both.runs[0] == open_source("page.html").run
    assert {each.target.backend for each in both.runs[1].timings} == {"null"}


def test_findings_in_a_page_are_judged_again(
    here: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found, page = tmp_path / "found.json", tmp_path / "f.html"
    assert run(["claims", "small", "K1", "-o", str(found)]) == 0
    kept(reported(), tmp_path / "r.json")
    assert run(["report", str(tmp_path / "r.json"), str(found), "-o", str(page)]) == 0
    capsys.readouterr()
    again = [_printed(["claims", str(path), "--format", "csv"], capsys) for path in (found, page)]
    assert again[0] == again[1]
    assert run(["claims", str(page), "--width", "0.5"]) == 2
    assert "holds findings; options of the network cannot change them" in capsys.readouterr().err
    two = tmp_path / "two.html"
    documents = [run_document(reported()), *2 * [json.loads(found.read_bytes())]]
    two.write_text("".join(embedded.embed(msgspec.json.encode(each)) for each in documents), encoding="utf-8")
    assert run(["claims", str(two)]) == 2
    assert "two.html: holds findings of 2 networks; expected one" in capsys.readouterr().err
    assert len(open_source(f"{two}#1").evidence) == 2


def test_a_part_of_a_file_and_a_dtype_of_its_input(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"net\.onnx:0: no such file .* a part of a file is not named so"):
        open_source(f"{path}:0")
    with pytest.raises(InputError, match="int64 is not allowed as dtype, which the file has"):
        open_source(str(path), "3x8x8:int64")
    with pytest.raises(InputError, match=r"did you mean .*net\.onnx\?"):
        open_source(str(tmp_path / "nte.onnx"))
