"""Parts: named in one way in every command."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from random_tables import small_sizes, tables

from mnv3prof.budgets.figures import NAMES, part_figure, split_name
from mnv3prof.cli.main import run
from mnv3prof.cost.counts import count, total
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.graph import Graph
from mnv3prof.graph.parts import BACKBONE, NET, part_layers, selected_parts
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.table import Table
from mnv3prof.source import open_source

SMALL = open_source("small").subject.graph
BLOCKS = ("stem", *map(str, range(1, 12)), "head", "classifier")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["net"], ("net",)),
        (["blocks"], BLOCKS),
        (["all"], (*BLOCKS, "net")),
        (["backbone", "classifier"], ("backbone", "classifier")),
        (["3-5", "4", "stem"], ("3", "4", "5", "stem")),
        (["features.4.block.2"], ("features.4.block.2",)),
    ],
)
def test_names_select_parts(names: list[str], expected: tuple[str, ...]) -> None:
    assert selected_parts(SMALL, names, "parts") == expected


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "",
            r"'' is not a part of MobileNetV3-Small; expected net, blocks, backbone, all, a block \(stem, 1-11, ",
        ),
        ("5-3", "'5-3' is not a part of"),
        ("0-3", "'0-3' is not a part of"),
        ("3-12", "'3-12' is not a part of"),
        ("backbon", r"did you mean backbone\?"),
        ("features", None),
        ("features.99", "'features.99' is not a part of"),
        ("12", "'12' is not a part of"),
    ],
)
def test_what_is_no_part_is_refused(name: str, says: str | None) -> None:
    if says is None:
        assert len(part_layers(SMALL, name)) > 100
        return
    with pytest.raises(InputError, match=says):
        selected_parts(SMALL, [name], "parts")


def test_a_network_without_a_classifier_has_no_backbone() -> None:
    *blocks, _ = SMALL.blocks
    headless = Graph("headless", SMALL.inputs, (blocks[-1].layers[-1].name,), tuple(blocks))
    assert part_layers(headless, BACKBONE) == ()
    with pytest.raises(
        InputError, match=r"'backbone' is not a part of headless; expected net, blocks, all, a "
    ):
        selected_parts(headless, [BACKBONE], "parts")


@given(tables, small_sizes)
def test_backbone_and_classifier_are_the_network(table: Table, size: Any) -> None:
    assume(table.classes)
    graph = expand(table, size)
    layers = (*part_layers(graph, BACKBONE), *part_layers(graph, "classifier"))
    assert layers == graph.layers
    for metric in NAMES[:6]:
        parts = [part_figure(graph, metric, part).value for part in (BACKBONE, "classifier")]
        assert sum(value or 0 for value in parts) == part_figure(graph, metric, NET).value
    for metric in ("peak.eager", "peak.unfused", "peak.fused"):
        parts = [part_figure(graph, metric, part).value for part in (BACKBONE, "classifier")]
        assert max(value or 0 for value in parts) == part_figure(graph, metric, NET).value


def test_costs_of_parts_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """Small's classifier: 576 × 1024 + 1024 and 1024 × 1000 + 1000 weights; its head 96 × 576 at 7 × 7."""
    assert run(["flops", "small", "--parts", "classifier,head,backbone", "--format", "csv"]) == 0
    rows = csv.DictReader(capsys.readouterr().out.splitlines())
    found = {row["block"]: (int(row["macs"]), int(row["params"])) for row in rows}
    assert found["classifier"] == (576 * 1024 + 1024 * 1000, 576 * 1024 + 1024 + 1024 * 1000 + 1000)
    assert found["head"] == (96 * 576 * 49, 96 * 576 + 2 * 576)
    assert found["backbone"][0] == 56_510_400 - found["classifier"][0]


def test_bytes_are_those_of_a_batch_and_macs_those_of_an_image() -> None:
    one, four = (total(count(SMALL, "int8", batch=batch)) for batch in (1, 4))
    assert (one.macs, one.flops, one.params) == (four.macs, four.flops, four.params)
    assert four.write_bytes == 4 * one.write_bytes
    assert four.read_bytes == one.weight_bytes + 4 * (one.read_bytes - one.weight_bytes)
    moved = four.read_bytes + four.write_bytes
    assert four.intensity == pytest.approx(4 * four.flops / moved)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("macs", ("macs", NET)),
        ("macs.head", ("macs", "head")),
        ("macs.features.4.block.0", ("macs", "features.4.block.0")),
        ("peak.fused", ("peak.fused", NET)),
        ("peak.fused.12", ("peak.fused", "12")),
        ("latency.litert", ("latency.litert", NET)),
        ("latency.litert.features.1", ("latency.litert", "features.1")),
    ],
)
def test_a_limit_is_of_the_network_or_of_a_part(name: str, expected: tuple[str, str]) -> None:
    assert split_name(name) == expected


BUDGETS = """
[macs]
net = "60M"
head = "2M"
[params]
classifier = { limit = "2M", level = "warn" }
[peak.fused]
2 = "1.1MiB"
"""


def test_limits_of_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The head has 2,709,504 MACs, the classifier 1,615,848 parameters, block 2 4 × 282,240 live bytes."""
    path = tmp_path / "budgets.toml"
    path.write_text(BUDGETS, encoding="utf-8")
    assert run(["check", "small", "--budgets", str(path), "--format", "json"]) == 1
    found = {each["budget"]: each for each in json.loads(capsys.readouterr().out)["verdicts"]}
    assert {name: (each["value"], each["status"]) for name, each in found.items()} == {
        "macs.net": (56_510_400, "within"),
        "macs.head": (2_709_504, "exceeded"),
        "params.classifier": (1_615_848, "within"),
        "peak.fused.2": (1_128_960, "within"),
    }
    assert [each["block"] for each in found["macs.head"]["contributors"]] == ["features.12.0"]


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ("macs.hed=1M", "budget macs.hed: 'hed' is not a part of MobileNetV3-Small; did you mean head?"),
        ("arena.2=1M", "--budget: 'arena.2' is not allowed; the arena is of the whole network"),
        ("latency.onnx.2=1ms", "--budget, budget 'latency.onnx.2': "),
        ("latency.cpu.99=1ms", "budget latency.cpu.99: '99' is not a part of MobileNetV3-Small"),
        ("mac.head=1M", "the budget 'mac.head' is unknown"),
    ],
)
def test_limits_of_what_is_no_part(budget: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "small", "--budget", budget]) == 2
    assert says in capsys.readouterr().err


def test_parts_are_timed_checked_and_limited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    parts = "backbone,classifier,features.4"
    arguments = [
        "small",
        "--input",
        "32",
        "--on",
        "cpu,onnxruntime",
        "--parts",
        parts,
        "--time-budget",
        "0.5",
    ]
    assert run(["profile", *arguments, "-o", str(path)]) == 0
    found = open_source(str(path)).run
    assert found is not None
    assert {(t.target.backend, t.part, t.status) for t in found.timings} == {
        (backend, part, "ok") for backend in ("cpu", "onnxruntime") for part in parts.split(",")
    }
    assert all((t.max_rel_err or 0) < 1e-4 for t in found.timings)
    capsys.readouterr()
    limits = ["--budget", "latency.onnxruntime.backbone=1s", "--budget", "latency.cpu.features.4=1ns"]
    assert run(["check", str(path), *limits]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"latency.onnxruntime.backbone ≤ 1s .* within", printed)
    assert re.search(r"latency.cpu.features.4 ≤ 1ns .* (exceeded|unclear)", printed)  # if busy
    assert run(["check", str(path), "--budget", "latency.cpu=1s"]) == 1
    assert "has only other parts on cpu, not the whole network" in capsys.readouterr().out
