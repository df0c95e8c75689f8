"""The tables of --cross-check and --as are complete."""

from typing import Any

import pytest

from mnv3prof.cost.conventions import COUNTERS, TERMS, Reading, counted_as, reconcile
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.show.readings import convention_sheet, reconciliation_sheet
from mnv3prof.source import open_source, read_table

GRAPH = expand(read_table("small"))
FVCORE = sum(counted_as(GRAPH, "fvcore"))  # type: ignore[arg-type]
READINGS = [
    Reading("torch", "2.13.0", "ok", printed=sum(counted_as(GRAPH, "torch"))),  # type: ignore[arg-type]
    Reading("fvcore", "0.2", "ok", printed=FVCORE - 3),
    Reading(
        "calflops-macs", None, "not available", "calflops is not installed; pip install 'mnv3prof[counters]'"
    ),
    Reading(
        "calflops-flops", None, "not available", "calflops is not installed; pip install 'mnv3prof[counters]'"
    ),
    Reading("thop", "0.1", "crashed", "ValueError: boom"),
]


@pytest.fixture
def sheet() -> Any:
    return reconciliation_sheet(GRAPH, reconcile(GRAPH, READINGS))


def test_a_row_for_each_class_a_column_for_each_tool(sheet: Any) -> None:
    assert [column.key for column in sheet.columns] == ["term", "quantity", *(r.tool for r in READINGS)]
    assert [row[0] for row in sheet.rows] == [
        TERMS[term]
        for term in (
            "conv",
            "depthwise",
            "pointwise",
            "linear",
            "conv_bias",
            "linear_bias",
            "batch_norm",
            "batch_norm_channels",
            "relu",
            "hardswish",
            "hardsigmoid",
            "pool_in",
            "pool_out",
            "mul",
            "add",
        )
    ]
    norm = next(row for row in sheet.rows if row[0] == TERMS["batch_norm"])
    assert norm[2:] == (None, 2, None, 2, 4)


def test_the_sums_meet_or_the_remainder_is_an_alarm(sheet: Any) -> None:
    printed, explained, remainder = sheet.totals
    assert [row[0] for row in sheet.totals] == ["counter result", "reconciled", "remainder"]
    assert printed[3] + 3 == explained[3] == FVCORE
    assert remainder[2:] == (0, -3, None, None, None)
    assert sheet.highlighted == {len(sheet.rows) + 2}
    fine = reconciliation_sheet(GRAPH, reconcile(GRAPH, READINGS[:1]))
    assert fine.highlighted == frozenset()


def test_each_missing_or_unlike_tool_is_said_once(sheet: Any) -> None:
    said = " ".join(sheet.notes)
    assert "Tools: torch 2.13.0 and fvcore 0.2." in said
    assert "fvcore is not reconciled (remainder -3): the coefficients are of 0.1.5.post20221221." in said
    assert "thop crashed: ValueError: boom." in said
    assert said.count("calflops is not installed") == 2  # two figures of one tool, each by its name


def test_a_missing_convention_is_the_reason_of_a_remainder() -> None:
    graph = open_source("networks:Attends", "[4x6],[4x6]").subject.graph
    results = [
        Reading(tool, version, "ok", printed=1)
        for tool, version in (("torch", "2.13.0+cpu"), ("thop", "0.2"))
    ]
    said = reconciliation_sheet(graph, reconcile(graph, results)).notes[1:]
    assert [note.partition(".")[0] for note in said] == [
        "Not reconciled: torch and thop",
        f"thop is not reconciled (remainder {1 - reconcile(graph, results).tools[1].explained:,}): "
        "the coefficients are of 0",
    ]
    assert "No convention is known for" in said[0]


def test_no_tool_at_all_is_said_too() -> None:
    sheet = reconciliation_sheet(GRAPH, reconcile(GRAPH, READINGS[2:]))
    assert "Tools: none." in sheet.notes[0]


@pytest.mark.parametrize("tool", COUNTERS)
@pytest.mark.parametrize("by", ["block", "op", "layer"])
def test_a_convention_adds_up_and_says_its_closed_form(tool: Any, by: Any) -> None:
    sheet = convention_sheet(GRAPH, tool, by)
    assert sum(row[2] for row in sheet.rows) == sheet.totals[0][2] == sum(counted_as(GRAPH, tool))  # type: ignore[arg-type]
    assert sum(row[1] for row in sheet.rows) == pytest.approx(1)
    assert f"{tool} {COUNTERS[tool].version} counts as" in sheet.notes[0]
    assert len(sheet.rows) == {"block": 14, "layer": len(GRAPH.layers)}.get(by, len(sheet.rows))
