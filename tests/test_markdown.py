import csv
import io
import re
from typing import Any

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace
from subjects import subject

from mnv3prof.cost.counts import count, subtotals
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.render.html import to_html
from mnv3prof.render.markdown import to_csv, to_markdown
from mnv3prof.render.sheet import Column, Sheet, Sheets
from mnv3prof.render.terminal import to_terminal
from mnv3prof.show.costs import cost_sheet, table_sheet
from mnv3prof.source import read_table

GRAPH = expand(read_table("small"), (192, 256))
COSTS = count(GRAPH)
HOSTILE = "<script>alert(1)</script> | a_b*c* `x` [l](http://h) # ~s~ \\ \n second line"


def _rendered(markdown: Any) -> Any:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)


def test_markdown_is_one_table_a_sheet() -> None:
    sheets = [cost_sheet(GRAPH, COSTS), table_sheet(subject("small", (192, 256)))]
    html = _rendered(to_markdown(sheets))
    assert html.count("<h3>") == html.count("<table>") == 2
    assert html.count("<th") == sum(len(sheet.columns) for sheet in sheets) + html.count("<thead>")
    assert html.count("<tr>") == sum(1 + len(sheet.rows) + len(sheet.totals) for sheet in sheets)
    assert "<strong>total</strong>" in html
    assert re.search(r'<td style="text-align:right">█+[▏▎▍▌▋▊▉]? [0-9.]+%</td>', html)
    assert "Not shown" not in html


def test_text_from_a_file_stays_text() -> None:
    sheet = Sheet(
        HOSTILE, (Column("a", HOSTILE, "text"), Column("b", "B", "text")), ((HOSTILE, "b"),), notes=(HOSTILE,)
    )
    html = _rendered(to_markdown([sheet]))
    assert not re.search(r"<(script|a|em|strong|code|s|h1)\b", html)
    assert html.count("&lt;script&gt;") == 4
    assert html.count("<tr>") == 2
    assert html.count("<td>") == 2


def test_a_sheet_without_columns_is_a_sentence() -> None:
    html = _rendered(to_markdown([Sheet("It fits", (), (), notes=("So be it.",))]))
    assert html == "<h3>It fits</h3>\n<p>So be it.</p>\n"


def test_folded_sheets_of_one_summary_are_in_one_details_that_other_formats_ignore() -> None:
    columns = (Column("a", "A"),)
    first, second = (Sheet(title, columns, ((1,),)) for title in ("first", "second"))
    shown = Sheet("shown", columns, ((1,),), notes=("A note.",), heading=False)
    folded = [replace(each, folded="<all> #1") for each in (first, second)]
    text = to_markdown([shown, *folded])
    assert text == (
        "**shown**\n\n| A |\n| ---: |\n| 1 |\n\nA note.\n\n"
        "<details><summary>&lt;all&gt; #&#8203;1</summary>\n\n"
        f"{to_markdown([first, second])}\n</details>\n"
    )
    assert to_terminal(folded) == to_terminal([first, second])
    assert to_html(folded[0]) == to_html(first)
    assert str(Sheets(folded)) == to_markdown(folded)


def test_a_sheet_without_heading_and_columns_is_one_line() -> None:
    sheet = Sheet("Busy:", (), (), notes=("Much.", "Wait\nfor it."), heading=False)
    assert to_markdown([sheet]) == "**Busy:** Much. Wait for it.\n"


@pytest.mark.parametrize("text", ["@octocat", "(@octocat)", "a\n@octocat", "é@octocat", "fix #12", "x/y#12"])
def test_a_name_notifies_nobody_and_links_to_no_issue(text: str) -> None:
    html = _rendered(to_markdown([Sheet(text, (), (), notes=(text,))]))
    assert not re.search(r"@octocat|#12", html)
    assert html.replace("\u200b", "").count(" ".join(text.split())) == 2


@pytest.mark.parametrize("text", ["litert@pi", "a @ b", "# a", "report.html#two"])
def test_what_is_no_reference_is_left_as_it_is(text: str) -> None:
    assert "\u200b" not in _rendered(to_markdown([Sheet(text, (), ())]))


def test_csv_is_exact() -> None:
    header, *rows = csv.reader(io.StringIO(to_csv(cost_sheet(GRAPH, COSTS))))
    groups = subtotals(GRAPH, COSTS)
    assert [row[0] for row in rows] == list(GRAPH.block_names)
    for key in ("macs", "flops", "params", "weight_bytes", "read_bytes", "write_bytes"):
        at = header.index(key)
        assert [int(row[at]) for row in rows] == [getattr(group, key) for group in groups]
    assert [float(row[header.index("intensity")]) for row in rows] == [group.intensity for group in groups]
    assert rows[0][header.index("out_shape")] == "16x96x128"


def test_csv_quotes_what_would_break_it_and_leaves_the_absent_empty() -> None:
    sheet = Sheet("x", (Column("a", "A", "text"), Column("b", "B")), (('say "a, b"\nc', None),))
    assert list(csv.reader(io.StringIO(to_csv(sheet)))) == [["a", "b"], ['say "a, b" c', ""]]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t=", "\r@", " =", "＝"])
def test_no_text_is_a_formula_and_numbers_stay_numbers(begin: str) -> None:
    formula = f"{begin}cmd|' /C calc'!A0"
    sheet = Sheet("x", (Column(begin, "A", "text"), Column("b", "B", "number")), ((formula, -1.5),))
    (title, _), (text, number) = csv.reader(io.StringIO(to_csv(sheet)))
    assert text.startswith("'")
    assert title.startswith("'")
    assert number == "-1.5"


ESCAPES = "\x1b]0;owned\x07\x1b]8;;http://x\x1b\\\x9b2J\u202e\u2066\u200f\x00\r\n\ud800 \ufeff"


@pytest.mark.parametrize(
    "render", [to_markdown, to_terminal, lambda s: to_csv(s[0]), lambda s: to_html(s[0])]
)
def test_every_format_prints_printable_text(render: Any) -> None:
    columns = (Column(ESCAPES, ESCAPES, "text"), Column("b", "B", "prose"))
    text = render([Sheet(ESCAPES, columns, ((ESCAPES, ESCAPES),), ((ESCAPES, ESCAPES),), notes=(ESCAPES,))])
    assert "owned" in text
    assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize("by", ["block", "op", "layer"])
def test_csv_has_one_row_for_each_group(by: Any) -> None:
    assert to_csv(cost_sheet(GRAPH, COSTS, by)).count("\n") == 1 + len(subtotals(GRAPH, COSTS, by))


def test_the_name_of_a_network_of_a_space_can_be_copied() -> None:
    sheet = Sheet("ofa#12", (Column("network", "Network", "text"),), (("ofa#12",), ("my space#1",)))
    html = _rendered(to_markdown([sheet]))
    assert "<td><code>ofa#12</code></td>" in html
    assert "<td>my space#\u200b1</td>" in html
