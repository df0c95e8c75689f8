import csv
import io
import re

import pytest
from markdown_it import MarkdownIt
from subjects import subject

from mnv3prof.cost.counts import count, subtotals
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.render.markdown import to_csv, to_markdown
from mnv3prof.render.sheet import Column, Sheet
from mnv3prof.show.costs import cost_sheet, table_sheet
from mnv3prof.source import read_table

GRAPH = expand(read_table("small"), (192, 256))
COSTS = count(GRAPH)
HOSTILE = "<script>alert(1)</script> | a_b*c* `x` [l](http://h) # ~s~ \\ \n second line"


def _rendered(markdown):
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)


def test_markdown_is_one_table_a_sheet():
    sheets = [cost_sheet(GRAPH, COSTS), table_sheet(subject("small", (192, 256)))]
    html = _rendered(to_markdown(sheets))
    assert html.count("<h3>") == html.count("<table>") == 2
    assert html.count("<th") == sum(len(sheet.columns) for sheet in sheets) + html.count("<thead>")
    assert html.count("<tr>") == sum(1 + len(sheet.rows) + len(sheet.totals) for sheet in sheets)
    assert "<strong>total</strong>" in html
    assert re.search(r'<td style="text-align:right">█+[▏▎▍▌▋▊▉]? [0-9.]+%</td>', html)
    assert "Not shown" not in html


def test_text_from_a_file_stays_text():
    sheet = Sheet(
        HOSTILE, (Column("a", HOSTILE, "text"), Column("b", "B", "text")), ((HOSTILE, "b"),), notes=(HOSTILE,)
    )
    html = _rendered(to_markdown([sheet]))
    assert not re.search(r"<(script|a|em|strong|code|s|h1)\b", html)
    assert html.count("&lt;script&gt;") == 4
    assert html.count("<tr>") == 2
    assert html.count("<td>") == 2


def test_a_sheet_without_columns_is_a_sentence():
    html = _rendered(to_markdown([Sheet("It fits", (), (), notes=("So be it.",))]))
    assert html == "<h3>It fits</h3>\n<p>So be it.</p>\n"


def test_csv_is_exact():
    header, *rows = csv.reader(io.StringIO(to_csv(cost_sheet(GRAPH, COSTS))))
    groups = subtotals(GRAPH, COSTS)
    assert [row[0] for row in rows] == list(GRAPH.block_names)
    for key in ("macs", "flops", "params", "weight_bytes", "read_bytes", "write_bytes"):
        at = header.index(key)
        assert [int(row[at]) for row in rows] == [getattr(group, key) for group in groups]
    assert [float(row[header.index("intensity")]) for row in rows] == [group.intensity for group in groups]
    assert rows[0][header.index("out_shape")] == "16x96x128"


def test_csv_quotes_what_would_break_it_and_leaves_the_absent_empty():
    sheet = Sheet("x", (Column("a", "A", "text"), Column("b", "B")), (('say "a, b"\nc', None),))
    assert list(csv.reader(io.StringIO(to_csv(sheet)))) == [["a", "b"], ['say "a, b"\nc', ""]]


@pytest.mark.parametrize("by", ["block", "op", "layer"])
def test_csv_has_one_row_for_each_group(by):
    assert to_csv(cost_sheet(GRAPH, COSTS, by)).count("\n") == 1 + len(subtotals(GRAPH, COSTS, by))
