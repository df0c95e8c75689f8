"""The report as one page, with its style, script and data."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ..analysis.view import views
from ..claims.claim import judge
from ..graph.errors import InputError
from ..page import html
from ..page.claims import ClaimRun, claims_section
from ..page.front import Drawn, front_sections
from ..page.html import Assets, Content, page
from ..page.report import sections
from ..record.document import run_document
from ..record.findings import Evidence, findings_document
from ..record.run import Run
from ..show.comparison import label
from ..show.points import NO_ACCURACY


def page_of(runs: Sequence[Run], evidence: Sequence[Evidence]) -> str:
    """Return the report of at least one run, with the findings of claims, as a page."""
    names = list(dict.fromkeys(view.name for view in views(runs)))
    title = " and ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1} more"
    hosts = ", ".join(dict.fromkeys(run.processors for run in runs))
    created = ", ".join(dict.fromkeys(_shown(run.created) for run in runs))
    judged = [(one, judge(one)) for one in evidence]
    claim_runs = [ClaimRun(label(one.subject.graph), findings, one.trials) for one, findings in judged]
    documents = [
        *map(run_document, runs),
        *(findings_document(one, findings, runs[0].created) for one, findings in judged),
    ]
    shown = sections(runs, [claims_section(claim_runs)] if claim_runs else [])
    encoded = list(map(msgspec.json.encode, documents))
    return page(Content(title, f"on {hosts}, {created}", shown, encoded), _assets())


def front_page(drawn: Drawn) -> str:
    """Return the page of a front."""
    title = f"{drawn.name}: Pareto front"
    return page(Content(title, NO_ACCURACY, front_sections(drawn), []), _assets())


def _shown(created: str) -> str:
    """Return a time as a person writes it: "2026-01-02 03:04 UTC"."""
    try:
        return f"{datetime.fromisoformat(created).astimezone(UTC):%Y-%m-%d %H:%M UTC}"
    except ValueError:
        return created


def _assets() -> Assets:
    """Return the style and script of the page, and the script of plotly."""
    here = Path(html.__file__).parent
    try:
        css, js = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
        return Assets(css, js, (here / "vendor" / "plotly.min.js.gz").read_bytes())
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); reinstall mnv3prof") from None
