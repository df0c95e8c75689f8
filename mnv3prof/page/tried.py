"""The report's section on the article's claims: their verdicts, and the curves that some rest on."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..record.findings import Finding, Trial, Verdict
from ..render.sheet import words
from ..show.claims import claims_sheets
from .charts import Chart, Trace, colour, label
from .report import Panel, Section


class Tried(NamedTuple):
    """What became of the claims for one network. what: the network and its input."""

    what: str
    findings: tuple[Finding, ...]
    trials: tuple[Trial, ...] = ()


def claims_section(tried: Sequence[Tried]) -> Section:
    """A panel for each network that the claims were tried on."""
    panels = tuple(_panel(one, f"claims{number}", len(tried) > 1) for number, one in enumerate(tried))
    return Section("claims", "The article's claims", panels)


def _panel(tried: Tried, key: str, several: bool) -> Panel:
    table, *rest = claims_sheets(tried.findings, tried.what, tried.trials)
    charts = [
        curve_chart(finding, f"{key}c{number}")
        for number, finding in enumerate(f for f in tried.findings if f.series)
    ]
    said = (verdicts(tried.findings),)
    return Panel(
        tried.what if several else "", said, charts=tuple(charts), sheets=tuple(rest), open_sheets=(table,)
    )


_WORSE: Final[tuple[Verdict, ...]] = (
    "holds", "holds only if", "not testable here", "no evidence yet", "hidden by noise", "does not hold",
)  # fmt: skip


def verdicts(findings: Sequence[Finding]) -> str:
    """How many statements got which verdict, in one sentence."""
    found = Counter(_of_statements(findings))
    told: dict[Verdict, tuple[str, str]] = {
        "holds": ("holds", "hold"), "holds only if": ("holds on a condition", "hold on a condition"),
        "does not hold": ("does not hold", "do not hold"),
        "hidden by noise": ("is hidden by noise", "are hidden by noise"),
        "not testable here": ("cannot be tested here", "cannot be tested here"),
        "no evidence yet": ("has no evidence yet", "have no evidence yet"),
    }  # fmt: skip
    counts = [
        f"{found[verdict]} {forms[found[verdict] > 1]}" for verdict, forms in told.items() if found[verdict]
    ]
    many = found.total()
    return f"Of {many} statement{'' if many == 1 else 's'} of the article, {words(counts)}."


def _of_statements(findings: Sequence[Finding]) -> list[Verdict]:
    """One verdict a statement: of several findings on it, the one furthest down in _WORSE."""
    first: dict[str, Finding] = {}
    found: dict[str, Verdict] = {}
    for finding in findings:
        if finding.sentence == first.setdefault(finding.claim, finding).sentence:
            known = found.get(finding.claim, finding.verdict)
            found[finding.claim] = max(known, finding.verdict, key=_WORSE.index)
    return list(found.values())


def curve_chart(finding: Finding, key: str) -> Chart:
    """A finding's curves with their 95 % intervals."""
    first = finding.series[0]
    data: list[Trace] = [
        {
            "type": "scatter", "mode": "lines+markers", "name": label(series.name),
            "x": [point[0] for point in series.points], "y": [point[1] for point in series.points],
            "error_y": {
                "type": "data", "symmetric": False, "thickness": 1, "width": 3,
                "array": [high - y for _, y, _, high in series.points],
                "arrayminus": [y - low for _, y, low, _ in series.points],
            },
            "line": {"color": colour(number), "width": 1.5},
            "marker": {"color": colour(number), "size": 7, "symbol": number % 8},
        }
        for number, series in enumerate(finding.series)
    ]  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": label(first.x)}},
        "yaxis": {"title": {"text": label(first.y)}, "rangemode": "tozero"},
    }
    marks = sum(len(series.points) for series in finding.series)
    return Chart(key, f"{finding.claim}: {first.y} by {first.x}", data, layout, marks)
