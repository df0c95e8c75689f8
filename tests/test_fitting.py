"""What would fit, and what would cost as much."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tables import small_sizes, tables

from mnv3prof.budgets.figures import figures
from mnv3prof.budgets.matching import matched, next_width
from mnv3prof.cli.main import run
from mnv3prof.cost.fitting import largest
from mnv3prof.cost.memory import Arena, arena, peaks
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.graph import Graph
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.table import Table
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record.run import Subject
from mnv3prof.source import open_source, read_table

SMALL = open_source("small").subject
V2 = """
name = "MobileNetV2"
stem = 32
stem_activation = "relu6"
head_activation = "relu6"
last = 1280
rows = [
  [32, 16, 3, 1, false, "relu6"],
  [96, 24, 3, 2, false, "relu6"], [144, 24, 3, 1, false, "relu6"],
  [144, 32, 3, 2, false, "relu6"], [192, 32, 3, 1, false, "relu6"], [192, 32, 3, 1, false, "relu6"],
  [192, 64, 3, 2, false, "relu6"], [384, 64, 3, 1, false, "relu6"],
]
"""


def test_mobilenetv2_with_in_place_depthwise_convolutions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MCUNet gives 1,372 KiB at 224 × 224, int8: 16 and 96 channels at 112 × 112; else 96 at 112 and 56."""
    path = tmp_path / "v2.toml"
    path.write_text(V2, encoding="utf-8")
    needs = {}
    for option in ([], ["--in-place-depthwise"]):
        assert run(["memory", str(path), "--dtype", "int8", "--format", "json", *option]) == 0
        needs[len(option)] = json.loads(capsys.readouterr().out)["arena"]["bytes"]
    assert needs == {0: 96 * (112**2 + 56**2), 1: (16 + 96) * 112**2}
    assert needs == {0: 1_505_280, 1: 1372 * 1024}


def _overlap(plan: Arena) -> bool:
    return any(
        a.offset < b.offset + b.bytes
        and b.offset < a.offset + a.bytes
        and a.first <= b.last
        and b.first <= a.last
        for n, a in enumerate(plan.placements)
        for b in plan.placements[:n]
    )


@given(tables, small_sizes)
@settings(max_examples=60)
def test_an_in_place_convolution_has_the_buffer_of_its_input(table: Table, size: Any) -> None:
    """Every tensor that is left is as large as all that write into it, and what shares a buffer is depthwise."""
    graph = expand(table, size)
    plain, shared = arena(graph), arena(graph, in_place_depthwise=True)
    assert not _overlap(shared)
    own, left = ({p.tensor for p in each.placements} for each in (plain, shared))
    assert left <= own
    ops = {layer.name: layer for layer in graph.layers}
    for tensor in own - left:
        assert ops[tensor].op == "depthwise"
        assert graph.elements[tensor] <= max(graph.elements[name] for name in ops[tensor].inputs)
    assert shared.lower_bound == peaks(graph, in_place_depthwise=True).fused.bytes


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(0, 60), st.data())
def test_the_largest_size_that_fits(bounds: list[int], budget: int, data: st.DataObject) -> None:
    bounds.sort()
    needed = [bound + data.draw(st.integers(0, 10)) for bound in bounds]
    sizes = range(len(bounds))
    fitting = [size for size in sizes if needed[size] <= budget]
    found = largest(sizes, lambda n: bounds[n] <= budget, lambda n: needed[n] <= budget)
    assert found == (fitting[-1] if fitting else None)


def _needed(graph: Graph) -> int:
    return arena(graph, "int8").bytes


@pytest.mark.parametrize("budget", [300_000, 150_000, 60_000])
def test_what_would_fit_is_the_largest_of_all(budget: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Against every input and every width, tried one by one."""
    assert run(["memory", "small", "--dtype", "int8", "--fit", str(budget), "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    found = {each["change"].split()[0]: each for each in document["remedies"]}
    side = max(side for side in range(1, 224) if _needed(expand(SMALL.table, side)) <= budget)
    assert found["--input"]["change"] == f"--input {side}x{side}"
    widths = [
        n / 100 for n in range(1, 100) if _needed(expand(vary(SMALL.table, width=n / 100), 224)) <= budget
    ]
    if widths:
        assert found["--width"]["change"] == f"--width {widths[-1]:g}"
        assert found["--width"]["macs"] == figures(expand(vary(SMALL.table, width=widths[-1])))["macs"].value
    else:
        assert "--width" not in found
    assert all(each["fits"] is (each["arena_bytes"] <= budget) for each in found.values())


def test_a_change_that_is_proposed_fits(capsys: pytest.CaptureFixture[str]) -> None:
    fit = ["memory", "small", "--width", "1.5", "--input", "160x96", "--fit", "300K", "--batch", "2"]
    assert run([*fit, "--format", "json"]) == 1
    for each in json.loads(capsys.readouterr().out)["remedies"]:
        changed = [*fit, *each["change"].split()]
        assert run([*changed, "--format", "json"]) == (0 if each["fits"] else 1)
        assert json.loads(capsys.readouterr().out)["arena"]["bytes"] == each["arena_bytes"]


def test_what_fits_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["memory", "small", "--dtype", "int8", "--fit", "343K", "--flash", "2.5M"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "MobileNetV3-Small fits: the fused arena of 351,232 bytes leaves 0 of 343.0 KiB"
    )
    assert "in 2.50 MiB (2,621,440 bytes) of flash: they fit, with 51,736 bytes left" in printed
    assert "What would fit" not in printed
    assert run(["memory", "small", "--dtype", "int8", "--flash", "2M"]) == 1
    assert "they do not fit: 472,552 bytes over" in capsys.readouterr().out


def _scaled(width: float) -> Subject:
    return SMALL.varied(vary(SMALL.table, width=width))


@pytest.mark.parametrize("metric", ["macs", "params", "arena", "weights"])
def test_no_width_is_nearer(metric: str) -> None:
    """Against every hundredth; the search uses thousandths."""
    base = open_source("large").subject
    found = matched(base, _scaled, metric)
    wanted = figures(base.graph)[metric].value
    assert found.wanted == wanted
    assert found.value == figures(found.subject.graph)[metric].value
    others = [figures(_scaled(n / 100).graph)[metric].value for n in range(150, 360, 2)]
    assert abs(found.value - found.wanted) <= min(abs((value or 0) - found.wanted) for value in others)


def test_a_network_matches_itself_at_its_own_width() -> None:
    found = matched(SMALL, _scaled, "macs")
    assert found.value == found.wanted == 56_510_400
    assert found.subject.graph.keys == SMALL.graph.keys or found.width != 1


def test_what_no_width_can_match_is_refused() -> None:
    tiny = Subject(vary(read_table("small"), width=0.05), (16, 16))
    with pytest.raises(InputError, match=r"macs: no width up to 10 gives MobileNetV3-Small "):
        matched(tiny, _scaled, "macs")


def test_the_next_width_follows_the_ratios() -> None:
    assert next_width([1.0], [2.0]) == 0.5  # a time that is proportional to the width
    assert next_width([1.0, 0.5], [4.0, 1.0]) == 0.5
    assert next_width([1.0, 0.5], [2.0, 0.5]) == pytest.approx(0.5**0.5, abs=1e-3)  # to its square


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["large", "small", "--match", "mac"], "--match: 'mac' is not known; did you mean macs?"),
        (["large", "small", "--match", "macs", "--width", "0.5"], "--match and --width cannot be combined"),
        (["large", "--match", "macs"], "there is nothing to compare"),
        (["large", "small", "--match", "latency.nul"], "backend: 'nul' is not known; did you mean null?"),
        (
            ["large", "small", "--match", "latency.null", "--on", "cpu"],
            "needs one target; expected --on null",
        ),
        (["large", "small", "--match", "peak.eager", "--dtype", "int8"], "PyTorch eager does not run int8"),
        (["large", "small", "--dtype", "int8", "--threads", "2"], "require --latency"),
    ],
)
def test_what_cannot_be_matched(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_networks_are_matched_by_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """The null backend takes the same time for every network, so the first width is right."""
    arguments = [
        "compare",
        "small",
        "large",
        "--input",
        "32",
        "--match",
        "latency.null",
        "--time-budget",
        "2",
    ]
    assert run(arguments) == 0
    printed = capsys.readouterr().out
    start = matched(
        Subject(SMALL.table, (32, 32)),
        lambda w: Subject(vary(read_table("large"), width=w), (32, 32)),
        "macs",
    )
    assert f"Width for equal latency.null: {start.width:g}\n" in printed
    assert " same" in printed


def test_compare_has_the_bytes_of_a_dtype_and_batch(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "large", "small", "--dtype", "int8", "--batch", "2", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["dtype"], document["batch"]) == ("int8", 2)
    assert [each["arena_bytes"] for each in document["networks"]] == [2 * 1_003_520, 2 * 351_232]
    assert [each["totals"]["macs"] for each in document["networks"]] == [216_589_760, 56_510_400]
    assert run(["diff", "large", "small", "--dtype", "int8", "--batch", "2", "--format", "json"]) == 0
    totals = {each["figure"]: each for each in json.loads(capsys.readouterr().out)["totals"]}
    assert (totals["arena"]["old"], totals["arena"]["new"]) == (2 * 1_003_520, 2 * 351_232)
    assert run(["check", "small", "--dtype", "int8", "--budget", "arena=343K"]) == 0
