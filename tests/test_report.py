"""The report's sentences, charts and documents, without a browser; the page itself is in test_page.py."""

import gzip
import json
import re
import subprocess
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from runs import exact, kept, launches, reported, run_of
from subjects import read_run

from mnv3prof.analysis.grid import part_costs
from mnv3prof.analysis.view import views
from mnv3prof.bench.host import commit
from mnv3prof.bench.profile import quick_here, usable_here
from mnv3prof.cli.main import run as run_command
from mnv3prof.cost.conventions import Reading, counted_as, reconcile
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.published import PUBLISHED, published
from mnv3prof.page.charts.chart import color, label, symbol
from mnv3prof.page.charts.overview import net_chart, shares_chart
from mnv3prof.page.claims import curve_chart, verdicts
from mnv3prof.page.html import Assets, Content, page
from mnv3prof.page.report import Listed, Panel, Section, sections
from mnv3prof.page.rows import rows_of
from mnv3prof.page.summary import changed_sheet
from mnv3prof.record.document import run_document
from mnv3prof.record.embedded import embed, embedded
from mnv3prof.record.findings import Finding, Series, read_saved
from mnv3prof.record.run import SCHEMA, Subject
from mnv3prof.record.target import Target
from mnv3prof.record.timing import Operator
from mnv3prof.render.numbers import compact, milliseconds
from mnv3prof.render.sheet import Column, Sheet
from mnv3prof.show import sentences
from mnv3prof.source import read_table

REPORTS = Path(__file__).parent.parent / "reports"


def _view(run: Any) -> Any:
    (found,) = views([run])
    return found


def _charts(run: Any) -> Any:
    return [chart for section in sections([run]) for panel in section.panels for chart in panel.charts]


def test_the_headline_names_the_fastest_backend_and_how_much_faster_than_eager_it_is() -> None:
    said = sentences.headline(_view(reported()))
    assert "has 56.5 M MACs and 2.5 M parameters" in said
    assert "Latency: 10.0 ms on fast, the fastest of 2 backends; compared with PyTorch eager: ×0.5 (" in said


def test_a_noisy_headline_says_so() -> None:
    run = reported()
    noisy = msgspec.structs.replace(run.timings[-1], launches=launches((5e-3, 6e-3, 10e-3, 11e-3, 30e-3)))
    run = msgspec.structs.replace(run, timings=(*run.timings[:-1], noisy))
    assert "ms on fast (noisy)" in sentences.headline(_view(run))


@pytest.mark.parametrize("block", ["3", "8", "classifier"])
def test_two_runs_whose_outliers_differ_give_sentences_that_name_each_its_own(block: str) -> None:
    said = sentences.matrix(_view(reported(odd=("fast", block))))
    named = f"Block {block}" if block.isdecimal() else f"The {block}"
    # 14 blocks of Small: 5 ms of 18 on fast, 1 of 14 on cpu.
    assert said == f"{named}: {5 / 18:.1%} of latency on fast, {1 / 14:.1%} on cpu."


def test_backends_that_spend_alike_have_no_outlier() -> None:
    said = sentences.matrix(_view(reported(odd=("none", "3"))))
    assert said == (
        "All backends have a similar breakdown; the largest difference is the stem: 7.1% of latency on cpu, "
        "7.1% on fast."
    )


def test_the_others_are_compared_by_their_median() -> None:
    said = sentences.matrix(_view(reported(backends=("cpu", "fast", "slow"))))
    assert said.endswith(" on fast, 7.1% on the others (median).")


def test_no_block_is_called_dear_that_takes_no_larger_share_of_the_time_than_of_the_macs() -> None:
    """Of 41 blocks of 1 ms, one with 9 % of the MACs takes 2 ms: a high share, but not inefficient."""
    run = reported("small", backends=("fast",))
    table = msgspec.structs.replace(run.subject.table, rows=run.subject.table.rows[8:] * 13)
    graph = expand(table)
    macs = part_costs(graph, "fp32")
    slow = max((b for b in graph.block_names if b.isdecimal()), key=lambda b: macs[b].macs)
    timings = tuple(exact("fast", b, 2e-3 if b == slow else 1e-3) for b in graph.block_names)
    view = _view(
        msgspec.structs.replace(run, subjects={"": Subject(table, (224, 224))}, timings=timings, readings=())
    )
    times, shares = view.time_shares(Target(backend="fast")), view.mac_shares()
    assert times[slow] > 0.03
    assert times[slow] < shares[slow]
    assert sentences.shares(view) == (
        f"Slowest: block {slow}, {times[slow]:.1%} of latency on fast ({shares[slow]:.1%} of MACs)."
    )


def test_a_single_block_backend_and_counter_are_told_of_in_the_singular() -> None:
    run = reported(backends=("cpu",), odd=("none", "1"))
    table = msgspec.structs.replace(run.subject.table, rows=run.subject.table.rows[:1])
    graph = expand(table)
    # One standard 3x3 convolution, 16 to 16 channels, for depthwise and project, with SE or not.
    timings = (exact("cpu", "1", 1e-3), exact("cpu", NET, 5e-3))
    readings = (Reading("fvcore", "1", "ok", printed=sum(counted_as(graph, "fvcore"))),)  # type: ignore[arg-type]
    subject = Subject(table, (224, 224))
    view = _view(msgspec.structs.replace(run, subjects={"": subject}, timings=timings, readings=readings))
    assert sentences.headline(view).endswith(" Latency: 5.00 ms on cpu.")
    assert re.search(r"times the MACs, ×5\.\d in its one block\.", sentences.saving(view))
    said = sentences.counters(reconcile(graph, readings))
    assert re.fullmatch(r"fvcore reports [\d,]+; fully reconciled\.", said)
    one = view._replace(grid=view.grid._replace(parts=["1"]))
    assert re.fullmatch(
        r"Of 1 timings without noise, compute limits 0 and memory 0\. "
        r"Share of the roofline: [\d.]+% \(block 1 on cpu\)\.",
        sentences.roofline(one),
    )


def test_side_by_side_compares_the_last_with_the_first() -> None:
    runs = [reported(odd=("none", "1")) for _ in range(3)]
    assert re.fullmatch(
        r"\(3\) has as many MACs as \(1\)\. Latency of \(3\) compared with \(1\) on fast: ×1 \(0\.9\d+ to "
        r"1\.0\d+\), same\.",
        sentences.side_by_side(views(runs)),
    )


def test_runs_are_called_by_what_differs() -> None:
    one = reported()
    later = msgspec.structs.replace(one, created="2026-02-02T00:00:00+00:00")
    faster = msgspec.structs.replace(one, hosts={"": msgspec.structs.replace(one.host, cpu="another")})
    changed = msgspec.structs.replace(one, commit="0123456789abcdef")
    for others, names in [
        ((reported("large"),), ["MobileNetV3-Small", "MobileNetV3-Large"]),
        ((later,), ["2026-01-02T03:04:05+00:00", "2026-02-02T00:00:00+00:00"]),
        ((faster,), ["a processor", "another"]),
        ((changed,), ["(1)", "0123456789"]),
        ((one,), ["(1)", "(2)"]),
        ((), [""]),
    ]:
        assert [view.called for view in views([one, *others])] == names


def test_a_run_knows_the_commit_that_it_was_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert commit() == ""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert commit() == ""  # there is none yet
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    told = subprocess.run([*git, "log", "--format=%H"], capture_output=True, text=True, check=True)
    assert commit() == told.stdout.strip() != ""


def test_noise_takes_the_sentences_that_it_hides() -> None:
    """With noise of 100 % there is no fastest backend, slowest block or difference between backends."""
    run = reported()
    loud = [
        msgspec.structs.replace(t, launches=launches([t.seconds * f for f in (0.5, 2, 0.6, 1.8, 0.7, 1.9)]))
        for t in run.timings
    ]
    view = _view(msgspec.structs.replace(run, timings=tuple(loud)))
    assert "fast (noisy); compared" in sentences.headline(view)
    assert sentences.shares(view) == "Noise hides the blocks' shares of latency on fast."
    assert sentences.matrix(view) == "Noise hides the differences between the backends in shares of latency."
    assert "without noise" in sentences.additivity(view)
    why = "all 26 that are drawn are noisy"
    assert sentences.roofline(view) == f"No rate is compared with the machine's peak rates: {why}."


def test_the_block_that_is_least_efficient_is_named() -> None:
    view = _view(reported(odd=("fast", "1")))
    # Block 1 of Small has 1,254,400 - 46,144 + ... MACs, 2.2 %; 5 of 18 ms is 12.6 times that.
    said = sentences.shares(view)
    assert said == ("Slowest and least efficient: block 1, 27.8% of latency on fast (2.2% of MACs, 12.5×).")


def test_additivity_says_by_how_much_the_parts_differ_from_the_whole() -> None:
    # cpu: 14 × 1 ms against 20 ms; fast: 13 × 1 + 5 = 18 ms against 10.
    said = sentences.additivity(_view(reported()))
    assert re.fullmatch(
        r"Sum of the blocks' latencies ÷ the whole network's: ×0\.7 \(0\.6\d+ to 0\.7\d+\) on cpu and "
        r"×1\.8 \(1\.7\d+ to 1\.8\d+\) on fast\.",
        said,
    )


def test_few_bars_are_cut_not_most(tmp_path: Path) -> None:
    """Of Large the classifier, with 46 % of the parameters; of four blocks none for the sake of one low bar."""
    cut = [note["text"] for note in shares_chart([_view(reported("large"))], "x").layout["annotations"]]
    assert "46% ↑" in cut
    table = tmp_path / "three.toml"
    table.write_text(
        'name = "three"\nstem = 8\nrows = [[16, 8, 3, 1, true, "RE"]]\nlast = 16\nclasses = 10\n'
    )
    (small,) = views([run_of(Subject(read_table(str(table)), (64, 64)))])
    notes = [note["text"] for note in shares_chart([small], "x").layout["annotations"]]
    assert not [note for note in notes if note.endswith("↑")]


def test_the_saving_is_the_exact_ratio_and_the_measured_one() -> None:
    said = sentences.saving(_view(reported(standard=True)))
    assert f"convolutions: {410_116_352 / 56_510_400:.1f} times the MACs" in said  # as the paper has them
    assert re.search(r" Latency on fast: ×4 \(3\.\d+ to 4\.\d+\), slower\.$", said)
    assert "was not measured" in sentences.saving(_view(reported()))
    run = reported(backends=("a", "b", "cpu", "fast"), standard=True)
    others = [
        exact(b, NET, s, variant=next(iter(run.variants)))
        for b, s in (("a", 0.06), ("b", 0.05), ("cpu", 0.02))
    ]
    said = sentences.saving(_view(msgspec.structs.replace(run, timings=(*run.timings, *others))))
    ends = r"×1 \([\d.]+ to [\d.]+\) on cpu to ×4 \([\d.]+ to [\d.]+\) on fast"
    assert re.search(rf" Latency {ends}; slower on 3 and same on 1 of 4 targets\.$", said)


def test_what_was_not_measured_is_said_not_drawn() -> None:
    run = msgspec.structs.replace(reported(readings=False), timings=())
    text = json.dumps([p.sentences for s in sections([run]) for p in s.panels])
    for sentence in ("Latency was not measured", "was not measured"):
        assert sentence in text
    assert not any(chart.key.startswith("latency") for chart in _charts(run))


def test_every_chart_is_a_figure_that_plotly_accepts() -> None:
    go = pytest.importorskip("plotly.graph_objects")
    for chart in _charts(reported("large", standard=True)):
        text = re.sub(
            r'"var:[a-z0-9-]+"', '"#123456"', json.dumps({"data": chart.data, "layout": chart.layout})
        )
        go.Figure(json.loads(text))
        assert chart.marks > 0
        assert chart.alt


def test_a_text_in_a_chart_is_no_markup() -> None:
    assert label("<b>&") == "&lt;b&gt;&amp;"
    run = reported(backends=("cpu", "<b>x</b>"))
    assert "<b>x" not in json.dumps([[c.data, c.layout] for c in _charts(run)])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (216_589_760, "216.6 M"),
        (5_483_032, "5.5 M"),
        (999, "999"),
        (1.2e9, "1.2 G"),
        (12_345, "12.3 k"),
        (999_949, "999.9 k"),
        (999_951, "1.0 M"),
        (999_999_999, "1.0 G"),
    ],
)
def test_counts_in_sentences(value: float, text: str) -> None:
    assert compact(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.214e-3, "3.21 ms"),
        (85.7e-3, "85.7 ms"),
        (0.412, "412 ms"),
        (41.2e-6, "41.2 µs"),
        (9.996e-3, "10.0 ms"),
        (0.99996e-3, "1.00 ms"),
        (99.96e-3, "100 ms"),
        (1.2344, "1,234 ms"),
        (0.0, "0.00 µs"),
    ],
)
def test_times_in_sentences(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


def test_published_figures_stand_beside_the_same_configuration_only() -> None:
    run = reported("large")

    def of(run: Any) -> Any:
        return published(run.subject.table, run.subject.input)

    assert of(run).madds_m == 217
    assert of(reported("large", width=0.75)).madds_m == 155
    assert of(reported("large", width=0.75, width_rule="torchvision")) is None
    assert of(reported("large", classes=10)) is None
    assert of(reported("large-minimal")) is None


def test_every_published_count_is_the_exact_one_within_a_million() -> None:
    """The figures are the paper's; the counts ours."""
    from mnv3prof.cost.counts import count, total
    from mnv3prof.mobilenetv3.expand import expand
    from mnv3prof.mobilenetv3.variants import vary
    from mnv3prof.source import read_table

    for row in PUBLISHED:
        table = vary(read_table(row.net), width=row.width)
        assert abs(total(count(expand(table, row.side))).macs / 1e6 - row.madds_m) <= 1, row
        assert published(table, (row.side, row.side)) == row


def test_a_page_is_made_again_from_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = reported("large", standard=True)
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    assert run_command(["report", str(kept(run, tmp_path / "run.json")), "-o", str(first)]) == 0
    assert run_command(["report", str(first), "-o", str(second)]) == 0
    assert capsys.readouterr().out.split() == [str(first), str(second)]
    assert first.read_bytes() == second.read_bytes()
    (document,) = embedded(first.read_bytes(), "a.html")
    assert read_saved(document, "a.html") == run


def test_the_run_in_a_page_is_taken_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = reported()
    page, out = tmp_path / "a.html", tmp_path / "b.json"
    path = str(kept(run, tmp_path / "run.json"))
    assert run_command(["report", path, "-o", str(page)]) == 0
    assert run_command(["report", str(page), "-o", str(out)]) == 0
    assert read_run(out) == run
    assert run_command(["report", path, path, "--format", "json"]) == 2
    assert "holds one run, but there are 2" in capsys.readouterr().err


def test_several_runs_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [kept(reported(net), tmp_path / f"{net}.json") for net in ("large", "small")]
    assert run_command(["report", *map(str, paths)]) == 0
    assert capsys.readouterr().out.strip() == str(Path("reports") / "large-224-and-small-224.html")
    text = (tmp_path / "reports" / "large-224-and-small-224.html").read_text(encoding="utf-8")
    assert "Side by side" in text
    assert "MobileNetV3-Small has 0.26 times the MACs of MobileNetV3-Large. Latency of" in text
    assert "8 → 5" in text
    assert "Changes of latency from MobileNetV3-Large, by block" in text


def test_the_short_form_is_markdown_with_bars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["report", str(kept(reported(), tmp_path / "run.json")), "--format", "md"]) == 0
    out = capsys.readouterr().out
    assert "### MobileNetV3-Small at 224×224: metrics" in out
    assert "| stem | █ 9.6% | 5,419,008 |" in out
    assert "Block 3: 27.8% of latency on fast, 7.1% on cpu." in out
    assert len(out) < 10_000


def test_claims_are_a_section_where_there_are_findings_and_these_stay_in_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings, page, again = (tmp_path / name for name in ("found.json", "a.html", "b.html"))
    run = kept(reported("large"), tmp_path / "run.json")
    assert run_command(["report", str(run), "-o", str(page)]) == 0
    assert "Claims" not in page.read_text(encoding="utf-8")
    assert run_command(["claims", "small", "-o", str(findings)]) == 0
    assert run_command(["report", str(run), str(findings), "-o", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "18,432 and 2,336, ×7.89." in text
    assert "Claims of an article on MobileNetV3" in text
    assert "Claims of the article: MobileNetV3-Small at 224×224" in text
    assert run_command(["report", str(page), "-o", str(again)]) == 0
    assert page.read_bytes() == again.read_bytes()
    capsys.readouterr()
    assert run_command(["report", str(findings)]) == 2
    assert "found.json: holds only findings; expected also a run or a table" in capsys.readouterr().err


def test_verdicts_are_counted() -> None:
    def found(claim: Any, verdict: Any, sentence: str = "") -> Any:
        return Finding(claim=claim, sentence=sentence, article="", found="", how="", verdict=verdict)

    each = ("holds", "does not hold", "does not hold", "no evidence")
    several = [found(f"K{n}", verdict) for n, verdict in enumerate(each)]
    assert verdicts(several) == ("Of 4 claims of the article, 1 holds, 2 do not hold and 1 has no evidence.")
    of_one = [
        found("K1", "holds"),
        found("K1", "hidden by noise"),
        found("K1", "does not hold", "What was timed."),
    ]
    assert verdicts(of_one) == "Of 1 claim of the article, 1 is hidden by noise."


def test_a_curve_is_drawn_with_its_intervals() -> None:
    series = Series("cpu", "channels", "ns", ((8.0, 2.0, 1.5, 3.0), (9.0, 4.0, 4.0, 4.5)))
    finding = Finding(
        claim="K9", sentence="", article="", found="", how="", verdict="holds", series=(series,)
    )
    chart = curve_chart(finding, "c")
    (trace,) = chart.data
    assert (trace["x"], trace["y"]) == ([8.0, 9.0], [2.0, 4.0])
    assert (trace["error_y"]["array"], trace["error_y"]["arrayminus"]) == ([1.0, 0.5], [0.5, 0.0])
    assert chart.marks == 2


def test_a_table_is_reported_without_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["report", "small", "--no-latency", "--width", "0.5", "--input", "96x128"]) == 0
    path = Path("reports") / "small-width-0.5-96x128.html"
    assert capsys.readouterr().out.strip() == str(path)
    (document,) = embedded(path.read_bytes(), "it")
    run = read_saved(document, "it")
    assert (run.timings, run.readings) == ((), ())  # type: ignore[union-attr]


def test_other_counters_run_on_request(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert run_command(["report", "small", "--no-latency", "--cross-check", "-o", str(path)]) == 0
    run = read_saved(path.read_bytes(), "it")
    assert {r.tool for r in run.readings if r.status == "ok"} >= {"torch", "fvcore", "thop"}  # type: ignore[union-attr]


def test_a_quick_report_leaves_out_what_compiles() -> None:
    assert {*usable_here()} - {*quick_here()} == {"cpu-compile"}


def test_a_table_is_measured_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["report", "small", "--input", "32", "--on", "cpu,null", "--time-budget", "0.5", "-o", "x.html"]
    assert run_command(command) == 0
    (document,) = embedded(Path("x.html").read_bytes(), "it")
    assert {t.target.backend for t in read_saved(document, "it").timings} == {"cpu", "null"}  # type: ignore[union-attr]
    assert capsys.readouterr().out.strip() == "x.html"


def test_a_wrong_output_is_shown_and_exits_with_1(tmp_path: Path) -> None:
    run = reported()
    bad = msgspec.structs.replace(run.timings[0], status="mismatch", reason="it is off")
    run = msgspec.structs.replace(run, timings=(bad, *run.timings[1:]))
    path = tmp_path / "x.html"
    assert run_command(["report", str(kept(run, tmp_path / "run.json")), "-o", str(path)]) == 1
    assert "it is off" in path.read_text(encoding="utf-8")


def test_an_interrupt_that_is_long_over_is_no_failure(tmp_path: Path) -> None:
    run = reported()
    cut = msgspec.structs.replace(run.timings[0], stopped="interrupted")
    run = msgspec.structs.replace(run, timings=(cut, *run.timings[1:]))
    assert run_command(["report", str(kept(run, tmp_path / "run.json")), "-o", str(tmp_path / "x.html")]) == 0


@pytest.mark.parametrize(
    "options", [["--input", "96"], ["--full"], ["--no-latency"], ["--width", "0.5"], ["--timeout", "9"]]
)
def test_options_that_a_saved_run_cannot_follow_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[Any]
) -> None:
    path = kept(reported(), tmp_path / "run.json")
    assert run_command(["report", str(path), *options, "-o", str(tmp_path / "x.html")]) == 2
    err = capsys.readouterr().err
    assert f"mnv3prof: {options[0]}: " in err
    assert "is a saved run, which is only shown; expected only options that select" in err
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-o", "missing/x.html"], "missing/x.html: cannot be written (No such file or directory)"),
        (["-o", "."], ".: is a directory"),
        (["-o", "-"], "-: --output takes a file name"),
        (["--format", "md", "--open"], "--open and --format md cannot be combined"),
        ([], "reports: cannot be created (File exists)"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_measured(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[Any],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reports").touch()
    monkeypatch.setattr("mnv3prof.cli.commands.report._measured", lambda *_: pytest.fail("it measured"))
    assert run_command(["report", "small", *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"mnv3prof: {sentence}")


def test_latency_says_that_it_cannot_write_before_it_measures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnv3prof.bench.profile.profile", lambda *_, **__: pytest.fail("it measured"))
    assert run_command(["latency", "small", "--on", "null", "-o", "missing/x.md"]) == 2
    assert "missing/x.md: cannot be written" in capsys.readouterr().err


def test_long_names_are_cut_to_make_a_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The longest names that tables have, two of them, are longer than a file's may be."""
    monkeypatch.chdir(tmp_path)
    paths = []
    for letter in "xy":
        run = reported()
        table = msgspec.structs.replace(run.subject.table, name=letter * 200)
        run = msgspec.structs.replace(run, subjects={"": Subject(table, run.subject.input)})
        paths.append(str(kept(run, tmp_path / f"{letter}.json")))
    assert run_command(["report", *paths]) == 0
    assert capsys.readouterr().out == f"reports/{'x' * 80}-224-and-{'y' * 80}-224.html\n"


def test_operators_are_titled_with_the_target_that_they_were_timed_on() -> None:
    run = reported()
    targets = [msgspec.structs.replace(t.target, dtype="int8") for t in run.timings]
    int8 = [msgspec.structs.replace(t, target=target) for t, target in zip(run.timings, targets, strict=True)]
    told = [
        Operator(target=Target(backend="cpu", dtype=dtype), part="4", name="c", kind="Conv", seconds=1e-3)
        for dtype in ("fp32", "int8")
    ]
    both = msgspec.structs.replace(run, timings=(*run.timings, *int8), operators=tuple(told))
    found = next(section for section in sections([both]) if section.key == "latency")
    (titles,) = [[one.sheet.title for one in panel.sheets] for panel in found.panels]
    operators = [title.partition(": ")[2] for title in titles if "operators of 4" in title]
    assert operators == ["operators of 4, reported by fp32", "operators of 4, reported by int8"]


def test_no_two_backends_look_alike() -> None:
    looks = {(color(number), symbol(number)) for number in range(64)}
    assert len(looks) == 64


def test_a_heat_map_without_shares_still_shows_its_figures() -> None:
    run = reported(backends=("fast",))
    run = msgspec.structs.replace(run, timings=run.timings[:3])
    chart = next(c for c in _charts(run) if c.key == "latencym")
    (trace,) = chart.data
    assert [row[0] is None for row in trace["z"]] == [False] * 3
    assert trace["text"][0] == ["1.00 ms ±0%"]
    assert trace["showscale"] is False


@pytest.mark.parametrize(
    ("value", "kind", "key"),
    [
        ("1.0e-06", "figure", "1.0e-06"),
        ("12.5 ±3.0% ~", "figure", "12.5"),
        ("crashed", "figure", ""),
        ("+1,234.5", "figure", "1234.5"),
        (None, "text", ""),
        (None, "figure", ""),
        (0.25, "share", "0.25"),
    ],
)
def test_cells_sort_by_their_numbers_and_what_is_absent_by_none(
    value: str | float | None, kind: Any, key: str
) -> None:
    sheet = Sheet("t", (Column("a", "A", "text"), Column("b", "B", kind)), (("x", value),))
    section = Section("s", "S", (Panel("", (), sheets=(Listed(sheet),)),))
    text = page(Content("t", "s", (section,), ()), Assets("", "", gzip.compress(b"")))
    assert re.findall(r'data-v="(.*?)"', text) == [key]


def _document() -> Any:
    return json.loads(msgspec.json.encode(run_document(reported())))


def _burst(document: Any) -> Any:
    return document["timings"][0]["launches"][0]["bursts"][0]


def _broken(change: Any) -> Any:
    document = _document()
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (_broken(lambda d: d.update(schema=SCHEMA + 1)), "has the schema 3; this version reads 2"),
        (_broken(lambda d: d.update(schema=0)), "has the schema 0; this version reads 2"),
        (_broken(lambda d: d.update(schema=None)), "has the schema null; this version reads 2"),
        (_broken(lambda _: None)[:-2000], "is not valid JSON"),
        (_broken(lambda d: _burst(d).update(wall_s=[1e308])), "is damaged"),
        (_broken(lambda d: _burst(d).update(wall_s=[-1])), "is damaged"),
        (_broken(lambda d: _burst(d).update(wall_s="x")), "is damaged"),
        (_broken(lambda d: d["timings"][0].update(part="99")), "which is not in its network"),
        (_broken(lambda d: d["timings"][0]["target"].update(batch=10**400)), "is damaged"),
        (_broken(lambda d: d["hosts"][""].update(memory_bytes=10**300)), "is damaged"),
        (_broken(lambda d: d["hosts"][""]["peak_rates"][0].update(bytes_per_s=0)), "is damaged"),
        (_broken(lambda d: d["readings"][0].update(printed=10**400)), "expected an integer from 0 to 2^63"),
        (_broken(lambda d: d["graphs"][""].update(input=[0, 5])), "is not an image size"),
        (_broken(lambda d: d["graphs"][""].update(table={"rows": []})), "0 rows are not allowed"),
        (_broken(lambda d: d.pop("hosts")), "is damaged: Object missing required field `hosts`"),
        (_broken(lambda d: d.pop("timings")), "is damaged: Object missing required field `timings`"),
        (_broken(lambda d: d.update(hosts=3)), "is damaged"),
        (
            _broken(lambda d: d.update(readings=[{"tool": "x", "version": None, "status": "ok"}])),
            "is not known",
        ),
        (_broken(lambda d: _burst(d).update(wall_s=[float("nan")])), "is not valid JSON"),
        ('{"created": "2026"', "is not valid JSON"),
    ],
)
def test_a_hostile_run_gets_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: Any, sentence: str
) -> None:
    path = tmp_path / "run.json"
    path.write_text(text, encoding="utf-8")
    assert run_command(["report", str(path), "-o", str(tmp_path / "x.html")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert sentence in err
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("<html></html>", "holds no run"),
        ("", "holds no run"),
        (embed(b'{"x": 1}').replace(">eJ", ">!!", 1), "its run is damaged"),
        (embed(b"x" * 1000), "is not valid JSON"),
        (embed(bytes(range(256)))[:82] + "</script>", "its run is damaged: it is cut off"),
        (embed(b"[1, "), "is neither a run nor findings"),
        (embed(b"{}"), "old.html, document 1: is neither a run nor findings"),
        (embed(b'{"host": [[]]}'), "has the schema null"),
        (embed(b'{"schema": 2, "host": [[]]}'), "old.html, document 1: is damaged"),
    ],
)
def test_a_hostile_page_gets_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], page: Any, sentence: str
) -> None:
    path = tmp_path / "old.html"
    path.write_text(page, encoding="utf-8")
    assert run_command(["report", str(path)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_run_in_a_page_that_would_fill_all_memory_is_refused() -> None:
    bomb = zlib.compress(b"0" * 200_000_001, 9)
    page = embed(b"{}").replace(b64encode(zlib.compress(b"{}")).decode(), b64encode(bomb).decode())
    with pytest.raises(InputError, match="holds more than 50,000,000 bytes"):
        list(embedded(page.encode(), "a.html"))


@pytest.mark.parametrize("name", ["missing.html", "missing.json", "."])
def test_a_source_that_is_not_there_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["report", name]) == 2
    assert capsys.readouterr().err.startswith(f"mnv3prof: {name}")


def test_gaps_are_named_in_the_report() -> None:
    """The report names missing parts and backends that are not available."""
    run = reported()
    missing = exact("slow", "1", 1e-3, status="not available", reason="it is not installed")
    missing = msgspec.structs.replace(missing, launches=())
    partial = tuple(
        t for t in run.timings if (t.target.backend, t.part) not in {("fast", "2"), ("cpu", "net")}
    )
    run = msgspec.structs.replace(run, timings=(*partial, missing))
    notes = [alert for s in sections([run]) for p in s.panels for alert in p.alerts]
    assert "slow not available: it is not installed (parts: 1)." in notes
    assert sentences.matrix(_view(run)).endswith(" on cpu, the only backend with latencies of all blocks.")


def test_the_example_report_is_of_this_schema() -> None:
    """It is made by the tool: reports/README.md says how."""
    example = REPORTS / "example.json"
    assert read_run(example).readings
    (document,) = embedded(example.with_suffix(".html").read_bytes(), "the example")
    assert read_saved(document, "the example") == read_run(example)


def test_the_ranking_has_the_quickest_above_and_names_what_has_no_time() -> None:
    run = reported(backends=("cpu", "fast", "slow"))
    failed = [
        msgspec.structs.replace(t, launches=(), status="crashed", reason="it was killed")
        if t.target.backend == "slow"
        else t
        for t in run.timings
    ]
    chart = net_chart(views([msgspec.structs.replace(run, timings=tuple(failed))]), "t")
    assert chart.layout["yaxis"]["categoryarray"] == ["slow: crashed", "cpu, 20.0 ms", "fast, 10.0 ms"]
    several = net_chart(views([run, reported("large", ("fast", "cpu"))]), "t")
    assert several.layout["yaxis"]["categoryarray"] == ["slow", "cpu", "fast"]
    assert [trace["text"] for trace in several.data] == [
        ["20.0 ms", "10.0 ms"],
        ["20.0 ms", "20.0 ms", "10.0 ms"],
    ]


def test_blocks_of_several_runs_have_the_address_and_the_name_of_the_first() -> None:
    seen = views([reported("large"), reported("large"), reported("small")])
    rows = rows_of(seen)
    assert len({*rows.anchors}) == len(rows.anchors)
    place = next(n for n, names in enumerate(rows.names) if names[0] == "8")
    assert rows.anchors[place] == "block-8"
    titles = {row[0] for row in changed_sheet(seen).rows}
    assert {*rows.titles} <= titles
