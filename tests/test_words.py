"""Modules that are called as a group of parts: net, blocks, backbone, all."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import onnx
import pytest

import mnv3prof
from mnv3prof.budgets.figures import part_figure
from mnv3prof.cli.main import run
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.graph import Graph
from mnv3prof.graph.parts import identical_blocks, part_layers, selected_parts
from mnv3prof.source import open_source

WORDS = ["networks:Words", "--input", "[8]"]
TIMED = ["--on", "cpu", "--time-budget", "0.2"]


def _graph(name: str) -> Graph:
    return open_source(f"networks:{name}", "[8]").subject.graph


def test_blocks_have_names_of_their_own() -> None:
    graph = _graph("Words")
    names = ("self.net", "self.blocks", "self.all", "total.3-7", "forward", "self.backbone")
    assert graph.block_names == names
    assert {*identical_blocks(graph)} == {*names, "net"}
    assert selected_parts(graph, ["blocks"], "parts") == names
    assert selected_parts(graph, ["all"], "parts") == (*names, "net")


@pytest.mark.parametrize(
    ("part", "selected", "macs"),
    [
        ("net", "net", 512 + 1024 + 128 + 96 + 288 + 24),
        ("self.net", "self.net", 512),
        ("self.blocks", "self.blocks", 1024),
        ("self.all", "self.all", 128),
        ("backbone", "self.backbone", 24),
        ("total", "self.total", 96),
        ("self.total.3-7", "total.3-7", 96),
        ("forward", "forward", 288),
    ],
)
def test_a_group_of_parts_wins_over_a_module(part: str, selected: str, macs: int) -> None:
    graph = _graph("Words")
    assert selected_parts(graph, [part], "parts") == (selected,)
    assert part_figure(graph, "macs", part).value == macs
    assert sum(layer.macs for layer in part_layers(graph, selected)) == macs


def test_a_module_of_several_blocks_has_a_path() -> None:
    graph = _graph("Wrapped")
    assert graph.block_names == ("net.0", "net.2", "last")
    assert [layer.path for layer in part_layers(graph, "self.net")] == ["net.0", "net.1", "net.2"]
    assert selected_parts(graph, ["self.net", "self.net.0"], "parts") == ("self.net", "net.0")
    assert part_figure(graph, "macs", "self.net").value == 512 + 256
    with pytest.raises(InputError, match=r"'self\.nit' is not a part of networks:Wrapped"):
        selected_parts(graph, ["self.nit"], "parts")


def test_a_module_of_one_that_is_called_self_has_a_name_of_its_own(tmp_path: Path) -> None:
    graph = _graph("Named")
    assert graph.block_names == ("self.self.net", "self.net")
    assert [layer.macs for layer in part_layers(graph, "self.net")] == [64 * 4]
    assert part_layers(graph, "self.self.net")[0].macs == 8 * 64
    assert selected_parts(graph, ["self.net"], "parts") == ("self.net",)
    kept = tmp_path / "run.json"
    assert run(["profile", "networks:Named", "--input", "[8]", *TIMED, "-o", str(kept)]) == 0
    assert mnv3prof.read_run(kept).subject.graph == graph


def test_parts_that_a_saved_run_lacks_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = str(tmp_path / "run.json")
    assert run(["profile", *WORDS, *TIMED, "--parts", "self.net,net", "-o", kept]) == 0
    capsys.readouterr()
    for parts, lacks in (
        ("self.net,self.all,net", "self.all"),
        ("self.all,self.blocks,net", "self.all, self.blocks"),
        ("blocks,self.all", "self.all"),
    ):
        assert run(["latency", kept, "--parts", parts]) == 2
        assert f"has no timing of {lacks}; expected self.net or net" in capsys.readouterr().err
    for parts in ("self.net,net", "blocks", "all"):
        assert run(["latency", kept, "--parts", parts]) == 0


def test_shapes_and_shares_are_those_of_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flops", *WORDS]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"self\.net +8→64 +64 .* 24\.7% +512 ", printed)
    assert run(["flops", *WORDS, "--parts", "self.net,net", "--format", "csv"]) == 0
    rows = {row["block"]: row["macs"] for row in csv.DictReader(capsys.readouterr().out.splitlines())}
    assert (rows["self.net"], rows["net"]) == ("512", "2072")


@pytest.mark.parametrize("network", ["Words", "Wrapped"])
def test_each_is_timed_as_itself(network: str, tmp_path: Path) -> None:
    kept = tmp_path / "run.json"
    parts = "all" if network == "Words" else "self.net,net"
    options = ["--input", "[8]", *TIMED, "--parts", parts]
    assert run(["profile", f"networks:{network}", *options, "-o", str(kept)]) == 0
    made = mnv3prof.read_run(kept)
    assert {(timing.part, timing.status) for timing in made.timings} == {
        (part, "ok") for part in selected_parts(_graph(network), parts.split(","), "parts")
    }
    assert made.subject.graph == _graph(network)


def test_budgets_are_of_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", *WORDS, "--budget", "macs.self.net=600", "--budget", "macs.net=600"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"macs\.self\.net ≤ 600 .* 512 .* within", printed)
    assert re.search(r"macs\.net ≤ 600 .* 2,072 .* exceeded", printed)
    for word in ("blocks", "all"):
        assert run(["check", *WORDS, "--budget", f"macs.{word}=600"]) == 2
        assert f"'{word}' is several parts; expected one" in capsys.readouterr().err


def test_each_is_exported_as_itself(tmp_path: Path) -> None:
    template = tmp_path / "{part}.onnx"
    assert run(["export", *WORDS, "--parts", "self.net,net,self.all", "-o", str(template)]) == 0
    ends = {
        file.stem: [
            [dim.dim_value for dim in end[0].type.tensor_type.shape.dim]
            for graph in [onnx.load(file).graph]
            for end in (graph.input, graph.output)
        ]
        for file in tmp_path.iterdir()
    }
    assert ends == {"self-net": [[1, 8], [1, 64]], "net": [[1, 8], [1, 2]], "self-all": [[1, 16], [1, 8]]}


def test_a_run_with_such_blocks_is_read(tmp_path: Path) -> None:
    kept = tmp_path / "run.json"
    assert run(["profile", *WORDS, *TIMED, "-o", str(kept)]) == 0
    made = mnv3prof.read_run(kept)
    document: Any = json.loads(kept.read_text())
    for block in document["graphs"][""]["captured"]["graph"]["blocks"]:
        block["name"] = block["name"].removeprefix("self.")
    for timing in document["timings"]:
        timing["part"] = timing["part"].removeprefix("self.")
    document["timings"] = [*{json.dumps([t["part"], t["target"]]): t for t in document["timings"]}.values()]
    kept.write_text(json.dumps(document))
    read = mnv3prof.read_run(kept)
    assert read.subject.graph == made.subject.graph
    assert {timing.part for timing in read.timings} == {timing.part for timing in made.timings} - {"self.net"}
