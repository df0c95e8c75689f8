"""Size and speed of the report: `pytest --benchmark-only tests/benchmarks/test_report_benchmarks.py -s`."""

import random
import shutil
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest
from runs import kept, launches, reported
from terminal import SCRIPT
from test_page import CHROMIUM, QUIET

from mnv3prof.workers.backends import names

CALLS = 20 * 9
MOST_BYTES = 1_600_000


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of Large on every backend there is, with as many bursts as a budget has, all different, in whole
    nanoseconds as measured times are.
    """
    chance = random.Random(0)
    run = reported("large", tuple(names()))
    timings = tuple(
        msgspec.structs.replace(
            t,
            launches=launches(
                [round(t.seconds * chance.gauss(1, 0.02), 9) for _ in range(CALLS)], [9] * (CALLS // 9)
            ),
        )
        for t in run.timings
    )
    return kept(msgspec.structs.replace(run, timings=timings), tmp_path_factory.mktemp("report") / "run.json")


def _render(run_file: Any) -> Any:
    page = run_file.with_suffix(".html")
    subprocess.run([SCRIPT, "report", str(run_file), "-o", str(page)], check=True, stdout=subprocess.DEVNULL)
    return page


def test_rendering_a_run_with_every_backend(run_file: Any, benchmark: Any) -> None:
    """The whole command, from a cold process."""
    page = benchmark.pedantic(_render, (run_file,), rounds=5, warmup_rounds=1)
    size = page.stat().st_size
    print(f"\n{benchmark.stats.stats.median:.2f} s, {size / 1e6:.2f} MB with {len(names())} backends")
    benchmark.extra_info |= {"bytes": size}
    assert benchmark.stats.stats.median <= 2.0
    assert size <= MOST_BYTES


def test_a_report_without_times(benchmark: Any, tmp_path: Path) -> None:
    """The whole command for Large, from a cold process."""
    words = [SCRIPT, "report", "large", "--no-latency", "-o", str(tmp_path / "large.html")]

    def once() -> None:
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    benchmark.pedantic(once, rounds=7, warmup_rounds=1)
    found = benchmark.stats.stats
    print(f"\n{found.median:.2f} s ({found.min:.2f} to {found.max:.2f})")
    assert found.median <= 1.0


def test_the_page_is_interactive_and_drawn(run_file: Any, benchmark: Any) -> None:
    """From the navigation's start: until the controls answer and plotly's script has run, and until every
    chart of a run with every backend stands.
    """
    from playwright.sync_api import sync_playwright

    page_file = _render(run_file)
    interactive, drawn = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)

        def visit() -> None:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(page_file.as_uri())
            page.wait_for_selector("html[data-drawn=yes]")
            interactive.append(
                page.evaluate("() => performance.getEntriesByName('interactive')[0].startTime")
            )
            drawn.append(page.evaluate("() => performance.getEntriesByName('drawn')[0].startTime"))
            page.close()

        visit()
        benchmark.pedantic(visit, rounds=5)
        browser.close()
    print(f"\ninteractive after {median(interactive):.0f} ms, all drawn after {median(drawn):.0f} ms")
    benchmark.extra_info |= {"interactive_ms": interactive, "drawn_ms": drawn}
    assert median(interactive) <= 1000


def test_the_browser_is_there() -> None:
    assert shutil.which(CHROMIUM)  # type: ignore[arg-type]
