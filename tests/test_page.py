"""The report in a browser: charts, no errors, no requests, keyboard, print."""

import io
import json
import re
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from runs import kept, reported, run_of

from mnv3prof.cli.main import run as run_command

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = [360, 768, 1440, 1920]
ROWS = ".network > .scroll > table > tbody > tr[data-block]"
HOSTILE = "<script>window.taken = 1</script><img src=x onerror='window.taken = 1'>\"'&"


def _page(folder: Path, name: str, *runs: Any) -> Any:
    """The path of the page of `runs`."""
    paths = [kept(run, folder / f"{name}-{number}.json") for number, run in enumerate(runs)]
    page = folder / f"{name}.html"
    assert run_command(["report", *map(str, paths), "-o", str(page)]) == 0
    return page


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("pages")
    run = reported("large", ("cpu", "fast", "slow"), standard=True)
    return {
        "one": _page(folder, "one", run),
        "two": _page(folder, "two", reported("large"), reported("small", odd=("fast", "5"))),
        "bare": _page(folder, "bare", msgspec.structs.replace(reported(readings=False), timings=())),
        "hostile": _page(folder, "hostile", _hostile()),
        "cut": _page(
            folder, "cut", msgspec.structs.replace(run, timings=_cut(run), subjects={"": run.subject})
        ),
    }


def _cut(run: Any) -> Any:
    """The first three timings, and one without samples: no backend has run every block."""
    missing = msgspec.structs.replace(
        run.timings[3], status="not available", reason="it is not here", launches=()
    )
    return (*run.timings[:3], missing)


def _hostile() -> Any:
    """A run with HTML that would inject scripts in every text."""
    run = reported("small", ("cpu", HOSTILE), odd=(HOSTILE, "3"))
    table = msgspec.structs.replace(run.subject.table, name=HOSTILE)
    host = msgspec.structs.replace(
        run.host, cpu=HOSTILE, os=HOSTILE, gpu=HOSTILE, versions={HOSTILE: HOSTILE}
    )
    bad = msgspec.structs.replace(run.timings[0], status="crashed", reason=HOSTILE)
    readings = [msgspec.structs.replace(r, version=HOSTILE, reason=HOSTILE) for r in run.readings]
    return run_of(
        msgspec.structs.replace(run.subject, listed=table),
        (bad, *run.timings[1:]),
        host=host,
        created=HOSTILE,
        command=HOSTILE,
        readings=tuple(readings),
        notes=(HOSTILE,),
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "the page's tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def show(browser: Any, pages: Any) -> Iterator[Any]:
    """Opens a page and waits for its charts; then checks that there were no requests or errors."""
    contexts, said, fetched = [], [], []

    def open_page(name: str, width: int = 1440, theme: str = "light", **how: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **how)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(pages[name].as_uri())
        page.wait_for_selector("html[data-drawn=yes]", timeout=60_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in fetched if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len([url for url in fetched if url.startswith("file:")]) == len(contexts)


def _charts(page: Any) -> Any:
    return json.loads(page.locator("#charts").text_content())


@pytest.mark.parametrize("name", ["one", "two", "cut"])
def test_every_chart_has_as_many_marks_as_its_data(show: Any, name: str) -> None:
    page = show(name)
    charts = _charts(page)
    assert len(charts) == {"one": 9, "two": 14, "cut": 8}[name]
    for chart in charts:
        place = page.locator(f"#{chart['key']}")
        shown = [trace for trace in chart["data"] if trace.get("visible") != "legendonly"]
        along = {"h": "x", "v": "y"}
        values = [t[along[t.get("orientation", "v")]] for t in shown if t["type"] == "bar"]
        bars = sum(value is not None for each in values for value in each)
        points = sum(len(t["x"]) for t in shown if "markers" in t.get("mode", ""))
        lines = sum("lines" in t.get("mode", "") for t in shown)
        maps = [trace["text"] for trace in chart["data"] if trace["type"] == "heatmap"]
        cells = sum(bool(text) for rows in maps for row in rows for text in row)
        assert place.locator(".bars .point").count() == bars
        assert place.locator(".scatterlayer .points path").count() == points
        assert place.locator(".scatterlayer path.js-line").count() == lines
        assert place.locator(".heatmap-label").count() == cells
        assert bars + points + lines + cells > 0
    drawn = page.locator(".network svg").count()
    assert drawn == {"one": 18, "two": 18 + 13, "cut": 18}[name]  # the stems are the same


def test_the_network_is_drawn_stage_by_stage_to_scale(show: Any) -> None:
    page = show("one")
    row = page.locator(ROWS).nth(4)  # block 4: 24→72→40 with SE, squeezed to 24
    widths = row.locator("polygon").evaluate_all(
        "shapes => shapes.map(s => { const b = s.getBBox(); return b.width })"
    )
    assert len(widths) == 4
    expand, depthwise, squeeze, project = widths
    assert expand == depthwise == project
    assert squeeze / depthwise == pytest.approx(24 / 72, rel=0.01)
    assert page.locator(ROWS).nth(5).locator(".identity").count() == 1
    assert row.locator(".identity").count() == 0


def test_the_metric_switch_works_by_keyboard(show: Any) -> None:
    page = show("one")
    stage = page.locator(".network polygon").first

    def state() -> Any:
        said = page.locator(".network .say").filter(visible=True).all_inner_texts()
        key = page.locator(".network .key span").filter(visible=True).all_inner_texts()
        return stage.evaluate("s => getComputedStyle(s).fill"), (*said, *key)

    seen = [state()]
    page.locator("input[value=macs]").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        seen.append(state())
    assert len({text for _, text in seen}) == 4
    assert len({fill for fill, _ in seen}) >= 3
    assert seen[0][1] == ("Most MACs: block 12, 30.9 M (14.3%).", "0", "14.8 M MACs in a stage")


def test_keyboard_reaches_every_control(show: Any) -> None:
    page = show("one")
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    wanted = page.locator("a[href], button, summary, input:checked, [tabindex='0']").evaluate_all(
        "all => all.filter(one => one.checkVisibility())"
        ".map((one, n) => { one.dataset.stop = n; return String(n) })"
    )
    reached = set()
    for _ in range(len(wanted) + 20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.dataset.stop"))
    assert set(wanted) <= reached


def test_a_table_sorts_both_ways_and_keeps_its_total(show: Any) -> None:
    page = show("one")
    table = page.locator("#shares table").first
    page.locator("#shares summary").first.click()
    head = table.locator("th", has_text=re.compile("^MACs"))
    column = head.evaluate("h => h.cellIndex")

    def values() -> Any:
        return [
            int(text.replace(",", ""))
            for text in table.locator(f"tbody tr > :nth-child({column + 1})").all_inner_texts()
        ]

    unsorted = values()
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"  # the largest numbers first
    assert values() == sorted(unsorted, reverse=True) != unsorted
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(unsorted)
    assert "216,589,760" in table.locator("tfoot").inner_text()


def test_a_table_is_copied_with_tabs(show: Any) -> None:
    page = show("one", permissions=["clipboard-read", "clipboard-write"])
    page.locator("#shares summary").first.click()
    page.locator("#shares button.copy").first.click()
    page.wait_for_selector("#shares button.copy:text('Copied')")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert re.search(r"\nstem\t.*\t5419008\t", copied)  # as a number
    assert page.get_by_role("status").text_content() == "Copied."
    page.locator("#shares button.copy", has_text="Markdown").first.click()
    page.wait_for_selector("#shares button.copy[data-as=markdown]:text('Copied')")
    copied = page.evaluate("() => navigator.clipboard.readText()").splitlines()
    assert copied[0].startswith("| Block |")
    assert set(copied[1]) == set("| -:")
    assert "| 5,419,008 |" in copied[2]


def test_a_command_is_copied(show: Any) -> None:
    page = show("one", permissions=["clipboard-read", "clipboard-write"])
    page.locator(".advice li").first.locator("button").click()
    page.wait_for_selector(".advice button:text('Copied')")
    assert page.evaluate("() => navigator.clipboard.readText()") == "mnv3prof compare large --reduced-tail"


def test_a_chart_is_saved_as_a_picture(show: Any) -> None:
    page = show("one")
    with page.expect_download() as download:
        page.locator("figure button.image").first.click()
    path = Path(download.value.path())
    assert download.value.suggested_filename == "Latency-of-MobileNetV3-Large-at-224-224-on-3-targets.png"
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert path.stat().st_size > 5_000


def _chosen(page: Any) -> Any:
    """What is highlighted: rows of tables by section, charts, and the layers that are open."""
    rows = page.locator("tr.chosen").evaluate_all("all => all.map(row => row.closest('section').id)")
    charts = page.locator(".plot").evaluate_all(
        "all => all.filter(p => p.layout.shapes.length || p.data.some(t => t.selectedpoints)).map(p => p.id)"
    )
    opened = page.locator("tr.inside").filter(visible=True).evaluate_all("all => all.map(row => row.id)")
    return sorted({*rows}), sorted(charts), opened


def test_the_address_of_a_block_opens_its_layers_and_marks_it_everywhere(browser: Any, pages: Any) -> None:
    page = browser.new_page()
    page.goto(pages["one"].as_uri() + "#block-12")
    page.wait_for_selector("html[data-drawn=yes]")
    rows, charts, opened = _chosen(page)
    assert opened == ["block-12"]
    assert rows == ["latency", "memory", "network", "saving", "shares"]
    assert charts == ["headlinew", "latencym", "latencyr", "memorya0", "memorym0", "saving0", "sharesc"]
    assert "features.12.block.1.0" in page.locator("#block-12").inner_text()
    page.locator(f"{ROWS} a", has_text=re.compile("^12$")).click()  # again: closed
    assert _chosen(page) == ([], [], [])
    page.close()


def test_a_block_is_opened_from_every_place(show: Any) -> None:
    page = show("one")

    def after(click: Any) -> Any:
        page.evaluate("() => { location.hash = '' }")
        click()
        page.wait_for_function("() => location.hash.length > 2")
        return _chosen(page)[2]

    def at(chart: str, selector: str, number: int) -> Any:
        """Click the middle of a mark, through what plotly lays over it."""
        place = page.locator(f"#{chart} {selector}").nth(number)
        place.scroll_into_view_if_needed()
        box = place.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    assert after(lambda: at("headlinew", ".bars .point", 3)) == ["block-3"]
    assert after(lambda: at("sharesc", ".bars .point", 12)) == ["block-12"]
    assert after(lambda: at("latencym", ".heatmap-label", 3 * 4)) == ["block-4"]
    page.locator("#shares summary").first.click()
    assert after(page.locator("#shares td, #shares th a", has_text=re.compile("^7$")).first.click) == [
        "block-7"
    ]
    row = page.locator(f"{ROWS} a", has_text=re.compile("^9$"))
    assert after(lambda: (row.focus(), page.keyboard.press("Enter"))) == ["block-9"]


def test_arrow_keys_choose_a_mark_of_a_chart_and_enter_opens_its_block(show: Any) -> None:
    page = show("one")

    def at(chart: str, *keys: str) -> str:
        place = page.locator(f"figure .scroll:has(> #{chart})")
        place.focus()
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_selector(f"#{chart} .hoverlayer .hovertext")
        page.wait_for_timeout(250)  # a label of an earlier key may still be there
        return str(page.locator("#told").text_content())

    assert at("headlinew", "ArrowRight", "ArrowRight", "ArrowRight").startswith("latency, 2: ")
    last = at("headlinew", "End")
    assert last.startswith("latency, classifier: ")
    assert at("headlinew", "ArrowRight") == last
    at("headlinew", "Home", "ArrowRight", "ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-block=block-2].chosen")
    assert _chosen(page)[2] == ["block-2"]
    page.wait_for_timeout(1500)  # all charts are drawn again
    assert "on slow" in at("latencym", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowRight")
    page.keyboard.press("Enter")
    assert _chosen(page)[2] == ["block-1"]
    assert "fast, 10.0 ms" in at("headlinet", "ArrowDown")  # the fastest is at the top
    assert "20.0 ms" in at("headlinet", "End")
    at("latencyr", "ArrowRight")


def test_two_networks_are_told_apart_where_they_differ(show: Any) -> None:
    page = show("two")
    tiles = dict(
        zip(*(page.locator(f".tiles {each}").all_inner_texts() for each in ("dt", "dd")), strict=True)
    )
    assert tiles["MACs"] == "216.6 M → 56.5 M\n×0.261"
    assert tiles["Parameters"] == "5.5 M → 2.5 M\n×0.464"
    marks = page.locator(".network thead .mark").evaluate_all("all => all.map(one => one.style.background)")
    assert len({*marks}) == 2
    rows = page.locator(ROWS)
    assert rows.nth(0).locator(".mark").count() == 0  # the stems are the same
    assert rows.nth(2).locator(".mark").evaluate_all("all => all.map(one => one.style.background)") == marks


def test_one_target_is_on_the_roofline_at_first(show: Any) -> None:
    page = show("one")

    def shown() -> Any:
        return page.locator("#latencyr .scatterlayer .points path").count()

    assert shown() == 18 + 1
    page.locator("#latencyr .legendtoggle").first.click()
    page.wait_for_timeout(600)  # plotly waits for a second click
    assert shown() == 2 * 19
    assert page.locator("#latencyr .annotation").count() == 3
    page.locator("#theme").click()
    assert shown() == 2 * 19  # what was switched on stays so


def test_what_went_wrong_is_on_the_first_screen(show: Any) -> None:
    page = show("cut")
    alerts = page.locator("#headline .alerts")
    assert "it is not here" in alerts.inner_text()
    assert alerts.bounding_box()["y"] < 450
    assert show("one").locator(".alerts").count() == 0


def test_what_has_no_number_is_sorted_last_both_ways(show: Any) -> None:
    page = show("cut")
    page.locator("#latency summary").first.click()
    table = page.locator("#latency table").first
    head = table.locator("th", has_text=re.compile("^cpu, ms"))
    column = head.evaluate("h => h.cellIndex")
    for _ in range(2):
        head.locator("button").click()
        cells = table.locator(f"tbody tr > :nth-child({column + 1})").all_inner_texts()
        assert [cell == "not available" for cell in cells] == [False, False, False, True]


def test_the_theme_s_button_says_what_it_does_when_the_system_s_theme_changes(show: Any) -> None:
    page = show("bare", theme="light")
    button = page.locator("#theme")
    assert button.inner_text() == "Dark theme"
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("#theme:text('Light theme')")
    button.click()
    assert (button.inner_text(), page.locator("html").get_attribute("data-theme")) == ("Dark theme", "light")


def test_without_script_all_but_the_charts_is_there(browser: Any, pages: Any) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 900})
    page = context.new_page()
    page.goto(pages["one"].as_uri())
    assert "Without script there are no charts" in page.locator("body").inner_text()
    assert page.locator(".network svg").first.is_visible()
    assert page.locator(".advice li").first.is_visible()
    assert not page.locator("figure, button.tool").filter(visible=True).count()
    page.locator("#shares summary").first.click()
    assert "216,589,760" in page.locator("#shares table").inner_text()
    page.locator(f"{ROWS} a", has_text=re.compile("^12$")).click()
    assert "features.12.block.1.0" in page.locator("#block-12").inner_text()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one", "two", "bare"])
def test_nothing_is_inaccessible(show: Any, name: str, theme: str) -> None:
    """axe's rules, all tables open; of the dark theme the contrast that WCAG AA asks for, the rest is the same."""
    from axe_playwright_python.sync_playwright import Axe

    page = show(name, theme=theme, bypass_csp=True)
    assert page.evaluate("() => document.documentElement.dataset.theme") == theme
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    rules = ["color-contrast"]
    if theme == "light":
        rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    found = Axe().run(page, options={"runOnly": rules})
    told = [(v["id"], v["nodes"][0]["html"][:200]) for v in found.response["violations"]]
    assert told == []


def _contrast(one: Any, other: Any) -> Any:
    def luminance(color: Any) -> Any:
        parts = [int(x) / 255 for x in re.findall(r"\d+", color)[:3]]
        low = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * low[0] + 0.7152 * low[1] + 0.0722 * low[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_in_charts_can_be_read(show: Any, theme: str) -> None:
    """axe ignores charts: text against the background and both ends of the heat map's scale."""
    page = show("one", theme=theme)
    ink, *grounds = page.evaluate(
        """() => ["ink", "paper", "low", "high"].map(name => {
            const probe = document.createElement("i");
            probe.style.color = `var(--${name})`;
            document.body.append(probe);
            const found = getComputedStyle(probe).color;
            probe.remove();
            return found;
        })"""
    )
    fills = page.locator(".plot text").evaluate_all(
        "all => [...new Set(all.map(t => getComputedStyle(t).fill))]"
    )
    assert fills == [ink]
    assert all(_contrast(ink, ground) >= 4.5 for ground in grounds)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["one", "two", "hostile"])
def test_the_page_never_scrolls_sideways(show: Any, name: str, width: Any) -> None:
    page = show(name, width)
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_the_charts_follow_the_theme_and_the_width(show: Any) -> None:
    page = show("one", theme="light")
    texts = page.locator("#sharesc text").first
    before = texts.evaluate("t => getComputedStyle(t).fill")
    page.locator("#theme").click()
    assert page.locator("#sharesc text").first.evaluate("t => getComputedStyle(t).fill") != before
    page.set_viewport_size({"width": 768, "height": 900})
    page.wait_for_timeout(300)
    room = page.locator("#shares .scroll").first.evaluate(
        "s => [s.clientWidth, s.querySelector('svg').clientWidth]"
    )
    assert room[1] == pytest.approx(max(room[0], 24 * 18), abs=2)


@pytest.mark.parametrize("name", ["one", "two"])
def test_on_paper_every_heading_stands_and_no_chart_is_clipped(show: Any, name: str) -> None:
    from pypdf import PdfReader

    page = show(name, theme="dark")
    headings = page.locator("h1, h2, h3").all_inner_texts()
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 680, "height": 960})
    edges = page.locator(".plot").evaluate_all(
        "all => all.map(p => { const s = p.querySelector('svg'); const b = s.getBoundingClientRect();"
        " return [b.left, b.right, p.parentElement.getBoundingClientRect().right] })"
    )
    assert all(left >= 0 and right <= 680 and right <= parent + 1 for left, right, parent in edges)
    paper = PdfReader(io.BytesIO(page.pdf(format="A4", prefer_css_page_size=True)))
    text = _plain(" ".join(sheet.extract_text() for sheet in paper.pages))
    assert headings
    for heading in headings:
        assert _plain(heading) in text
    assert "Color by" not in text


def _plain(text: str) -> Any:
    """Words with single spaces, joined at hyphens and without ligatures such as fi."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).replace("- ", "-")


def test_hostile_texts_are_shown_as_they_are(show: Any) -> None:
    page = show("hostile")
    assert page.evaluate("() => window.taken") is None
    assert page.locator("h1").inner_text() == f"{HOSTILE} at 224×224"
    assert page.locator("main img").count() == 0
    ticks = page.locator("#latencym .xtick text").all_text_contents()
    assert f"{HOSTILE[:39]}…" in ticks
