"""Section of the report on the article's claims: verdicts and curves."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..record.findings import ClaimVerdict, Finding, Trial
from ..render.sheet import join_words
from ..show.claims import claims_sheets
from .charts.chart import Chart, Trace, color, label
from .report import Listed, Panel, Section


class ClaimRun(NamedTuple):
    """Findings and trainings of one network. what: the network and its input."""

    what: str
    findings: tuple[Finding, ...]
    trials: tuple[Trial, ...] = ()


def claims_section(claim_runs: Sequence[ClaimRun]) -> Section:
    """Return a panel per network that the claims were tested on."""
    panels = tuple(
        _panel(run, f"claims{number}", len(claim_runs) > 1) for number, run in enumerate(claim_runs)
    )
    return Section("claims", "Claims of an article on MobileNetV3", panels)


def _panel(run: ClaimRun, key: str, several: bool) -> Panel:
    table, *rest = claims_sheets(run.findings, run.what, run.trials)
    charts = [
        curve_chart(finding, f"{key}c{number}")
        for number, finding in enumerate(f for f in run.findings if f.series)
    ]
    return Panel(
        run.what if several else "",
        (verdicts(run.findings),),
        charts=tuple(charts),
        sheets=tuple(map(Listed, rest)),
        open_sheets=(Listed(table),),
    )


_WORSE: Final[tuple[ClaimVerdict, ...]] = (
    "holds",
    "holds if",
    "not testable here",
    "no evidence",
    "hidden by noise",
    "does not hold",
)


def verdicts(findings: Sequence[Finding]) -> str:
    """Count the verdicts, one per claim, in one sentence."""
    counts = Counter(_of_statements(findings))
    forms: dict[ClaimVerdict, tuple[str, str]] = {
        "holds": ("holds", "hold"),
        "holds if": ("holds on a condition", "hold on a condition"),
        "does not hold": ("does not hold", "do not hold"),
        "hidden by noise": ("is hidden by noise", "are hidden by noise"),
        "not testable here": ("cannot be tested here", "cannot be tested here"),
        "no evidence": ("has no evidence", "have no evidence"),
    }
    each = [
        f"{counts[verdict]} {form[counts[verdict] > 1]}" for verdict, form in forms.items() if counts[verdict]
    ]
    many = counts.total()
    return f"Of {many} claim{'' if many == 1 else 's'} of the article, {join_words(each)}."


def _of_statements(findings: Sequence[Finding]) -> list[ClaimVerdict]:
    """Return one verdict per claim: of several findings on its statement, the last one in _WORSE."""
    first: dict[str, Finding] = {}
    worst: dict[str, ClaimVerdict] = {}
    for finding in findings:
        if finding.sentence == first.setdefault(finding.claim, finding).sentence:
            known = worst.get(finding.claim, finding.verdict)
            worst[finding.claim] = max(known, finding.verdict, key=_WORSE.index)
    return list(worst.values())


def curve_chart(finding: Finding, key: str) -> Chart:
    """Return the curves of a finding with their 95 % intervals."""
    first = finding.series[0]
    data: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label(series.name),
            "x": [point[0] for point in series.points],
            "y": [point[1] for point in series.points],
            "error_y": {
                "type": "data",
                "symmetric": False,
                "thickness": 1,
                "width": 3,
                "array": [high - y for _, y, _, high in series.points],
                "arrayminus": [y - low for _, y, low, _ in series.points],
            },
            "line": {"color": color(number), "width": 1.5},
            "marker": {"color": color(number), "size": 7, "symbol": number % 8},
        }
        for number, series in enumerate(finding.series)
    ]
    layout = {
        "xaxis": {"title": {"text": label(first.x)}},
        "yaxis": {"title": {"text": label(first.y)}, "rangemode": "tozero"},
    }
    marks = sum(len(series.points) for series in finding.series)
    return Chart(key, f"{first.y} by {first.x} ({finding.claim})", data, layout, marks)
