"""`diff` and `check` as a comment on a pull request: verdict, at most 25 lines, the rest folded."""

import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace
from runs import HOST, kept, made

from mnv3prof.budgets.diff import Diff, diff
from mnv3prof.budgets.figures import Side
from mnv3prof.cli.main import run
from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record.run import Run, Subject
from mnv3prof.render.markdown import to_markdown
from mnv3prof.render.terminal import to_terminal
from mnv3prof.show.comment import diff_comment, verdict_sheet
from mnv3prof.show.diff import diff_sheets
from mnv3prof.show.load import busy_sheets
from mnv3prof.source import read_table

MOST_LINES = 25
MOST_CHARACTERS = 65_536
"""GitHub's limit."""
TARGETS = ("cpu", "onnxruntime", "litert")
SMALL = read_table("small")


def _side(found: Run | Table, source: str = "a.json", size: tuple[int, int] = (32, 32)) -> Side:
    if isinstance(found, Run):
        return Side(source, found.subject, *found.measured_as, found)
    return Side(source, Subject(found, size))


def _comment(old: Any, new: Any) -> str:
    before, after = _side(old), _side(new)
    busy = (*busy_sheets(before.run, "old run"), *busy_sheets(after.run, "new run"))
    return to_markdown(diff_comment(diff(before, after), busy))


def _unfolded(text: str) -> list[str]:
    """The lines that are not folded, blank ones and the summary included."""
    return re.sub(r"(?<=</summary>)\n.*?</details>\n", "", text, flags=re.DOTALL).splitlines()


def _rows(text: str, begin: str) -> list[list[str]]:
    """The cells of the unfolded rows that begin with a text."""
    rows = [line for line in _unfolded(text) if line.startswith(f"| {begin}")]
    return [row.strip("| ").split(" | ") for row in rows]


def _deep(rows: int, expand: int) -> Table:
    return Table(name="deep", rows=tuple(Row(expand + n, 16, 3, 1, False, "RE") for n in range(rows)))


# What it says


def test_a_diff_of_tables_is_its_verdict_four_metrics_and_the_largest_changes() -> None:
    """Worked from the published counts: 56,510,400 / 216,589,760 = 0.26091, 2,542,856 / 5,483,032 = 0.46377."""
    text = to_markdown(diff_comment(diff(*(_side(read_table(n), n, (224, 224)) for n in ("large", "small")))))
    lines = _unfolded(text)
    assert lines[0] == (
        "**MobileNetV3-Large → MobileNetV3-Small: 73.9 % fewer MACs, 53.6 % fewer parameters, 65 % less arena.**"
    )
    assert lines[2] == "| Metric | Old | New | Change | Verdict |"
    assert lines[4:8] == [
        "| MACs | 216,589,760 | 56,510,400 | -160,079,360 (-73.9 %) | fewer |",
        "| Parameters | 5,483,032 | 2,542,856 | -2,940,176 (-53.6 %) | fewer |",
        "| Arena, fp32, batch 1 | 3.83 MiB | 1.34 MiB | -2.49 MiB (-65 %) | fewer |",
        "| Weights, fp32 | 20.87 MiB | 9.68 MiB | -11.19 MiB (-53.6 %) | fewer |",
    ]
    assert lines[9] == "**17 blocks changed: the 8 largest changes, and 9 more in the details**"
    assert _rows(text, "12 → –") == [["12 → –", "30,914,688 → –", "386,120 → –"]]
    assert "| 10 → 7 | 6,094,816 | 2,665,440 |" in text


def test_the_verdict_of_each_target_has_its_ratio_and_interval() -> None:
    old = made(backends=TARGETS)
    new = made(seed=1, backends=TARGETS, slower={NET: 0.9, "3": 0.8})
    noisy = made(seed=2, backends=TARGETS, slower={NET: 1.05}, noise=0.2)
    timings = [t for t in new.timings if t.target.backend != "litert"]
    timings += [t for t in noisy.timings if t.target.backend == "litert"]
    text = _comment(old, replace(new, timings=tuple(timings)))
    number = r"[\d.]+"
    assert re.fullmatch(
        r"\*\*MobileNetV3-Small: same MACs, same parameters; latency "
        rf"faster on cpu \(×0\.9{number}?, 0\.8{number} to 0\.9{number}\) "
        rf"and onnxruntime \(×{number}, {number} to {number}\), unclear on litert\.\*\*",
        _unfolded(text)[0],
    )
    ((name, before, after, change, verdict),) = _rows(text, "Latency")
    assert name == "Latency, cpu, fp32, batch 1, 1 thread"  # the fastest of the three
    assert re.fullmatch(r"20\.\d ms ±[\d.]+%", before)
    assert re.fullmatch(r"1[78]\.\d ms ±[\d.]+%", after)
    assert re.fullmatch(rf"×0\.{number} \({number} to {number}\)", change)
    assert verdict == "faster"


def test_a_block_that_is_faster_with_the_same_costs_has_changed() -> None:
    text = _comment(made(), made(seed=1, slower={"3": 0.8}))
    assert "| Block | MACs | Parameters | Latency, cpu |" in _unfolded(text)
    ((_, macs, params, latency),) = _rows(text, "3 |")
    assert "→" not in macs + params
    assert re.fullmatch(r"×0\.[78]\d* \(.* to .*\) faster", latency)
    assert "**1 block changed**" in text


def test_an_identical_block_has_the_latency_of_the_one_that_was_measured() -> None:
    """6 is identical to 5, 11 to 10."""
    text = _comment(made(), made(seed=1, slower={"5": 1.5}))
    assert [row[0] for row in _rows(text, "")[6:]] == ["Block", "---", "5", "6"]
    assert _rows(text, "5 |")[0][1:] == _rows(text, "6 |")[0][1:]


def test_flops_are_shown_where_they_alone_changed() -> None:
    text = _comment(SMALL, vary(SMALL, activation="relu"))
    assert "| Block | MACs | FLOPs | Parameters |" in _unfolded(text)
    assert "same MACs, same parameters" in _unfolded(text)[0]


def test_nothing_changed() -> None:
    found = made()
    lines = _unfolded(_comment(found, found))
    assert lines[0] == (
        "**MobileNetV3-Small: same MACs, same parameters; latency same on cpu and onnxruntime.**"
    )
    assert [line.split(" | ")[-2:] for line in lines[4:7]] == [["0", "same |"]] * 3
    assert (
        lines[9] == "**No block has other MACs, FLOPs or parameters, and none is clearly faster or slower.**"
    )
    table = _unfolded(_comment(SMALL, SMALL))
    assert table[9] == "**No block has other MACs, FLOPs or parameters.**"


def test_what_is_not_comparable_has_no_ratio() -> None:
    text = _comment(made(), made(host=replace(HOST, cpu="Another")))
    assert _unfolded(text)[0].endswith(
        "; latency not comparable: measured on different machines: processor a processor and Another.**"
    )
    assert _rows(text, "Latency")[0][3:] == ["–", "not comparable"]
    assert "×" not in "".join(_unfolded(text))


@pytest.mark.parametrize("sides", [(made(), SMALL), (SMALL, made())])
def test_a_table_has_no_times(sides: tuple[Any, Any]) -> None:
    text = _comment(*sides)
    assert "latency not comparable: a.json is a table, which has no times." in _unfolded(text)[0]
    ((_, before, after, change, verdict),) = _rows(text, "Latency")
    assert [before == "–", after == "–"] == [side is SMALL for side in sides]
    assert (change, verdict) == ("–", "not comparable")


def test_a_run_without_the_whole_network_has_weights_and_latencies_of_blocks() -> None:
    old, new = (
        replace(each, timings=tuple(t for t in each.timings if t.part != NET))
        for each in (made(), made(seed=1, slower={"3": 1.4}))
    )
    text = _comment(old, new)
    assert "latency" not in _unfolded(text)[0]
    assert _rows(text, "Weights, fp32")
    assert _rows(text, "3 |")[0][-1].endswith("slower")


def test_dtypes_batches_and_threads_that_are_compared_are_named() -> None:
    text = _comment(made(backends=("cpu",)), made(backends=("cpu",), how={"dtype": "int8", "batch": 4}))
    assert _rows(text, "Arena")[0][0] == "Arena, fp32, batch 1 → int8, batch 4"
    assert _rows(text, "Latency")[0][0] == (
        "Latency per image, cpu, fp32, batch 1, 1 thread → int8, batch 4, 1 thread"
    )
    assert "on cpu fp32 batch 1 → cpu int8 batch 4 (×0.25, " in _unfolded(text)[0]


@pytest.mark.parametrize(
    ("new", "said"), [(10**6 + 1, "under 0.01 %"), (10**6 + 500, "0.05 %"), (10**8, "9,900 %")]
)
def test_small_and_large_changes_are_in_percent_of_the_old_value(new: int, said: str) -> None:
    found = diff(_side(SMALL), _side(SMALL))
    figures = [
        replace(f, old=10**6, new=new) if f.name == "macs" and not f.block else f for f in found.figures
    ]
    text = to_markdown(diff_comment(replace(found, figures=tuple(figures))))
    assert f": {said} more MACs" in text
    sign = "" if said.startswith("under") else "+"
    assert _rows(text, "MACs")[0][3:] == [f"+{new - 10**6:,} ({sign}{said})", "more"]


# How long it is


def _large_diff() -> Diff:
    """62 blocks, three targets, two variants, two busy machines; every block changed."""
    sides = []
    for expand, factor in ((32, 1.0), (96, 1.5)):
        subject = Subject(_deep(60, expand), (32, 32))
        found = made(subject=subject, backends=TARGETS, seed=factor, slower={NET: factor}, how={"cpu": 0.6})
        variants = {
            name: subject.varied(vary(subject.table, width=w)) for name, w in (("v", 0.5), ("w", 2.0))
        }
        timings = [replace(t, variant=name) for name in variants for t in found.timings if t.part == NET]
        sides.append(
            replace(found, subjects={**found.subjects, **variants}, timings=(*found.timings, *timings))
        )
    return diff(*map(_side, sides))


def test_a_large_diff_on_a_busy_machine_has_25_lines() -> None:
    found = _large_diff()
    busy = (*busy_sheets(found.old.run, "old run"), *busy_sheets(found.new.run, "new run"))
    text = to_markdown(diff_comment(found, busy))
    lines = _unfolded(text)
    assert len(lines) <= MOST_LINES
    assert len(text) < MOST_CHARACTERS
    (line,) = (line for line in lines if "Busy machine" in line)
    assert line.startswith("**Busy machine, old run:** The machine was busy: ")
    assert "Busy machine, new run: The machine was busy: " in line
    assert any(
        re.fullmatch(r"\*\*6\d blocks changed: the 8 largest changes, and 5\d more .*\*\*", x) for x in lines
    )
    assert lines[-1] == (
        "<details><summary>All totals, blocks, latencies and notes, also of 2 variants</summary>"
    )
    assert "### Latency of v" in text


def test_a_table_that_github_would_refuse_is_left_out_and_said_to_be() -> None:
    targets = ("cpu", "onnxruntime", "litert", "mnn", "ncnn", "openvino")
    host = replace(HOST, runtimes=dict.fromkeys(targets, HOST.runtimes["cpu"]))
    old, new = (
        made(subject=Subject(_deep(150, expand), (32, 32)), backends=targets, host=host, count=6)
        for expand in (32, 232)
    )
    found = diff(_side(old), _side(new))
    text = to_markdown(diff_comment(found))
    assert len(text) < MOST_CHARACTERS
    assert len(_unfolded(text)) <= MOST_LINES
    whole = {sheet.title: sheet for sheet in diff_sheets(found)}
    rows = [int(n) for n in re.findall(r"The table of (\d+) rows is too long for a comment", text)]
    assert rows
    assert set(rows) <= {len(sheet.rows) for sheet in whole.values()}
    assert whole["Latency"].notes[0].partition(".")[0] in text  # notes stay


@pytest.mark.parametrize("baseline", [[], ["--baseline", "old.json"]])
def test_a_check_of_many_budgets_has_25_lines(
    baseline: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    kept(made(how={"cpu": 0.6}), tmp_path / "old.json")
    kept(made(seed=1, slower={NET: 3.0}, how={"cpu": 0.6}), tmp_path / "new.json")
    limits = [f"{name}={limit}" for name in ("macs", "params", "arena", "flops") for limit in (1, 2, 10**9)]
    options = [x for limit in [*limits, "latency.mnn=1s"] for x in ("--budget", limit)]
    assert run(["check", "new.json", *options, *baseline, "--format", "md"]) == 1
    text = capsys.readouterr().out
    lines = _unfolded(text)
    assert len(lines) <= MOST_LINES
    assert lines[0] == (
        "**MobileNetV3-Small at 32×32: 8 of 13 budgets exceeded: macs ≤ 1, macs ≤ 2, params ≤ 1 and 5 others; "
        "1 not measured: latency.mnn ≤ 1s.**"
    )
    assert any(line.startswith("**Busy machine") for line in lines)
    assert "### MobileNetV3-Small at 32×32: within 4 of 13 budgets" in text
    if baseline:
        assert _rows(text, "Latency")[0][-1] == "slower"
        assert "### Latency" in text
    else:
        assert [row[-1] for row in _rows(text, "")[2:]] == ["exceeded"] * 8
        assert "5 more in the details." in lines


def test_a_warning_and_the_settings_of_a_budget_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    both = [t for how in ({}, {"dtype": "int8"}) for t in made(how=how).timings]
    kept(replace(made(), timings=tuple(both)), tmp_path / "new.json")
    (tmp_path / "b.toml").write_text('arena = { limit = "20KiB", level = "warn" }\n', encoding="utf-8")
    assert run(["check", "new.json", "--budgets", "b.toml", "--format", "md"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "**MobileNetV3-Small at 32×32: 1 of 2 checks of 1 budget exceeded: arena ≤ 20KiB (fp32, batch 1, "
        "warning).**"
    )


# What a file could do to it

HOSTILE = "</details>|x @octocat `y` <!-- **z** #1"


def test_a_name_from_a_file_is_text() -> None:
    old, new = (replace(each, name=HOSTILE) for each in (SMALL, vary(SMALL, width=0.5)))
    before, after = _side(old, HOSTILE), _side(new, HOSTILE)
    text = to_markdown(diff_comment(diff(before, after)))
    assert len(_unfolded(text)) <= MOST_LINES
    assert text.count("</details>") == 1
    assert text.startswith(r"**\</details\>\|x @&#8203;octocat \`y\` \<!-- \*\*z\*\* \#&#8203;1: ")
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert html.startswith("<p><strong>&lt;/details&gt;|x @\u200boctocat `y` &lt;!-- **z** #\u200b1: ")
    assert not re.search(r"<(code|em|h1|h2)\b|(?<!\w)@\w|<!--", html)
    assert html.count("<details>") == html.count("</details>") == 1


def test_a_reason_from_a_file_is_text() -> None:
    text = _comment(made(), made(how={"status": "crashed", "reason": HOSTILE}))
    assert text.count("</details>") == 1
    assert r"\</details\>\|x @&#8203;octocat" in _unfolded(text)[0]
    assert _rows(text, "Latency")[0][2] == "crashed"
    assert len(_unfolded(text)) <= MOST_LINES


def test_tables_are_tables_also_where_they_are_folded() -> None:
    text = _comment(made(), made(seed=1, slower={"3": 1.5}))
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    shown, _, folded = html.partition("<details>")
    assert shown.count("<table>") == 2
    assert folded.count("<table>") == 2  # totals and latencies: no block has other costs
    assert folded.endswith("</details>\n")


def test_other_formats_are_as_without_a_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["diff", "large", "small"]) == 0
    found = diff(*(_side(read_table(n), n, (224, 224)) for n in ("large", "small")))
    assert capsys.readouterr().out == to_terminal((verdict_sheet(found), *diff_sheets(found)))
