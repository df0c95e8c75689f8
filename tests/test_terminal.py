import re
from typing import Any

import pytest
from rich.cells import cell_len
from subjects import subject
from terminal import on_terminal, without_escapes

from mnv3prof.cost.comparison import network_costs
from mnv3prof.cost.conventions import COUNTERS, Reading, reconcile
from mnv3prof.cost.counts import count
from mnv3prof.cost.memory import arena, fit, peaks
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.render.sheet import NUMERIC, Column, Sheet, bar, format_value, join_words
from mnv3prof.render.terminal import to_terminal
from mnv3prof.show import comparison, costs, memory
from mnv3prof.show.readings import convention_sheet, reconciliation_sheet
from mnv3prof.source import read_table

GRAPH = expand(read_table("large"))
COSTS = count(GRAPH)
PEAKS, ARENA = peaks(GRAPH), arena(GRAPH)
READINGS = [Reading(tool, "1.2.3", "ok", printed=226_012_345) for tool in COUNTERS]
SHEETS = {
    "table": costs.table_sheet(subject("large")),
    "block": costs.cost_sheet(GRAPH, COSTS),
    "op": costs.cost_sheet(GRAPH, COSTS, "op"),
    "layer": costs.cost_sheet(GRAPH, COSTS, "layer"),
    "summary": memory.summary_sheet(GRAPH, PEAKS, ARENA, 4, "fp32", 1, image=True),
    "alive": memory.alive_sheet(PEAKS),
    "blocks": memory.blocks_sheet(GRAPH, PEAKS),
    "arena": memory.arena_sheet(GRAPH, ARENA),
    "fits not": memory.fit_sheets(GRAPH, ARENA, fit(ARENA, PEAKS.fused, GRAPH.block_names, 1000), (), 0)[0],
    "fits": memory.fit_sheets(GRAPH, ARENA, fit(ARENA, PEAKS.fused, GRAPH.block_names, 10**9), (), 0)[0],
    "totals": comparison.totals_sheet([network_costs(GRAPH)] * 3),
    "side by side": comparison.blocks_sheet([network_costs(GRAPH)] * 3, {}),
    "five totals": comparison.totals_sheet([network_costs(GRAPH)] * 5),
    "cross-check": reconciliation_sheet(GRAPH, reconcile(GRAPH, READINGS)),
    "as thop": convention_sheet(GRAPH, "thop", "block"),
}
TINY = Sheet(
    "tiny",
    (
        Column("a", "A", "text"),
        Column("b", "B", importance=1),
        Column("c", "C", importance=2),
        Column("d", "D"),
    ),
    (("one", 1_234_567, 7, 1_000_000),),
    (("total", 1_234_567, 7, 1_000_000),),
    ("A note.",),
)


def _cells(sheet: Sheet) -> Any:
    """Every cell as it must stand in the text, with its column."""
    return [
        (column, format_value(value, column.kind).strip())
        for row in (*sheet.rows, *sheet.totals)
        for column, value in zip(sheet.columns, row, strict=True)
    ]


@pytest.mark.parametrize("name", SHEETS)
def test_a_pipe_shows_every_cell_of_every_column(name: str) -> None:
    sheet = SHEETS[name]
    lines = to_terminal([sheet]).splitlines()
    text = "\n".join(lines)
    assert lines[0] == sheet.title
    assert all(column.title in text for column in sheet.columns)
    assert all(cell in text for _, cell in _cells(sheet))
    assert "Not shown" not in text
    assert len(lines) >= len(sheet.rows)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 132, 200, 400])
@pytest.mark.parametrize("name", SHEETS)
def test_a_figure_is_whole_or_its_column_is_named_as_left_out(name: str, width: int) -> None:
    sheet = SHEETS[name]
    text = to_terminal([sheet], width)
    lines = text.splitlines()
    left_out = re.sub(r"\s+", " ", text).partition("Not shown at this width: ")[2]
    kept = [c for c in sheet.columns if not c.title or c.title not in re.split(r", | and |\. ", left_out)]
    tokens = set(re.split(r"  +|\n", text)) | {line.strip() for line in lines}
    for column, cell in _cells(sheet):
        if column in kept and column.kind in NUMERIC and column.title:
            assert any(
                token == cell or token.endswith(f" {cell}") or token.endswith(cell) for token in tokens
            )
    assert len(kept) == len(sheet.columns) or left_out
    assert all(column.importance for column in sheet.columns if column not in kept)


@pytest.mark.parametrize("width", [80, 100, 132, 200])
@pytest.mark.parametrize("name", SHEETS)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    for line in to_terminal([SHEETS[name]], width).splitlines():
        assert cell_len(line) <= width, line


@pytest.mark.parametrize("name", SHEETS)
def test_a_wider_terminal_never_shows_fewer_columns(name: str) -> None:
    left_out = [
        to_terminal([SHEETS[name]], width).partition("Not shown")[2].count(",") for width in range(20, 227, 7)
    ]
    assert left_out == sorted(left_out, reverse=True)


def test_columns_leave_by_importance() -> None:
    assert to_terminal([TINY], 33).splitlines()[1:4] == [
        "A              B  C          D",
        "──────────────────────────────",
        "one    1,234,567  7  1,000,000",
    ]
    without_c = to_terminal([TINY], 29)
    assert "Not shown at this width: C." in without_c.replace("\n", " ")
    assert "1,234,567" in without_c
    without_b = re.sub(r"\s+", " ", to_terminal([TINY], 20))
    assert "Not shown at this width: B and C. A wider terminal or a pipe shows all." in without_b
    assert "1,000,000" in without_b


def test_what_stacks_shows_every_column_at_every_width() -> None:
    sheet = SHEETS["cross-check"]
    for width in (40, 80, 120):
        text = to_terminal([sheet], width)
        assert "Not shown" not in text
        heads = [line for line in text.splitlines() if line.startswith("Class of operation")]
        assert len(heads) > 1
        assert all(re.search(rf"\b{re.escape(tool)}\b", " ".join(heads)) for tool in COUNTERS)


@pytest.mark.parametrize("name", ["totals", "side by side", "table"])
def test_columns_that_stay_and_do_not_fit_are_stacked(name: str) -> None:
    sheet = SHEETS[name]
    lines = to_terminal([sheet], 45).splitlines()
    assert max(map(cell_len, lines)) <= 45
    heads = [line for line in lines if line.startswith(sheet.columns[0].title)]
    assert len(heads) > 1
    shown = re.split(r"  +", "  ".join(heads))
    assert all(column.title in shown for column in sheet.columns if not column.importance)


@pytest.mark.parametrize("name", SHEETS)
def test_ascii_where_the_terminal_knows_nothing_else(name: str) -> None:
    assert to_terminal([SHEETS[name]], 120, ascii_only=True).isascii()


def test_text_from_a_file_is_shown_not_obeyed() -> None:
    sheet = Sheet(
        "[red]a[/red] :smile:", (Column("x", "[b]", "text"),), (("[link=x]y[/link]",),), notes=("[/]",)
    )
    text = to_terminal([sheet], 80, color=True)
    for shown in ("[red]a[/red] :smile:", "[b]", "[link=x]y[/link]", "[/]"):
        assert shown in without_escapes(text)


def test_a_failed_check_is_red_in_color_only() -> None:
    sheet = SHEETS["cross-check"]
    assert sheet.highlighted == {len(sheet.rows) + 2}
    lines = to_terminal([sheet], 200, color=True).splitlines()
    (remainder,) = [line for line in lines if "remainder " in line and "is" not in without_escapes(line)]
    assert re.search(r"\x1b\[1;31m", remainder)
    assert not [line for line in lines if "31m" in line and "remainder" not in line]
    assert "\x1b" not in to_terminal([sheet], 200)


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("command", ["table", "flops", "memory", "compare"])
def test_on_a_real_terminal(command: str, columns: int) -> None:
    arguments = [command, *(["--standard-conv"] if command == "compare" else [])]
    code, screen = on_terminal(arguments, columns)
    assert code == 0
    assert "\x1b[1m" in screen
    lines = without_escapes(screen).splitlines()
    assert max(map(cell_len, lines)) <= columns
    code, plain_screen = on_terminal(arguments, columns, NO_COLOR="1")
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain_screen)  # bold may stay, colors may not
    assert without_escapes(plain_screen).splitlines() == lines


@pytest.mark.parametrize(
    ("value", "kind", "text", "ascii_text"),
    [
        (1_234_567, "count", "1,234,567", "1,234,567"),
        (1023, "bytes", "1023 B", "1023 B"),
        (1024, "bytes", "1.0 KiB", "1.0 KiB"),
        (1_048_575, "bytes", "1,024.0 KiB", "1,024.0 KiB"),
        (1_048_576, "bytes", "1.00 MiB", "1.00 MiB"),
        (-2048, "bytes", "-2.0 KiB", "-2.0 KiB"),
        (0.1234, "share", "  12.3%", "  12.3%"),
        (1.0, "share", " 100.0%", " 100.0%"),
        (2.5, "ratio", "×2.500", "x2.500"),
        (1234.5, "ratio", "×1,234", "x1,234"),
        (3.14159, "number", "3.14", "3.14"),
        ((3, 224, 160), "shape", "3×224×160", "3x224x160"),
        (None, "count", "–", "-"),
        ("24→72", "text", "24→72", "24->72"),
    ],
)
def test_values_are_written_for_people(value: Any, kind: Any, text: str, ascii_text: str) -> None:
    assert format_value(value, kind) == text
    assert format_value(value, kind, ascii_only=True) == ascii_text


@pytest.mark.parametrize(
    ("share", "drawn", "ascii_drawn"),
    [
        (0, "", ""),
        (0.0125, "▏", ""),
        (0.5, "█████", "#####"),
        (0.55, "█████▌", "######"),
        (1, "█" * 10, "#" * 10),
        (1.7, "█" * 10, "#" * 10),
        (-1, "", ""),
    ],
)
def test_bars(share: float, drawn: Any, ascii_drawn: Any) -> None:
    assert bar(share) == drawn
    assert bar(share, ascii_only=True) == ascii_drawn


def test_words() -> None:
    assert join_words(["a"]) == "a"
    assert join_words(["a", "b"]) == "a and b"
    assert join_words(["a", "b", "c"]) == "a, b and c"
