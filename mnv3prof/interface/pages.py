"""The report as one page, with its style, script and data."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from ..analysis.view import views
from ..claims.claim import judge
from ..graph.errors import InputError
from ..page import html
from ..page.claims import ClaimRun, claims_section
from ..page.html import Assets, page
from ..page.report import sections
from ..record.document import run_document
from ..record.findings import Evidence, findings_document
from ..record.run import Run
from ..show.comparison import label


def page_of(runs: Sequence[Run], evidence: Sequence[Evidence]) -> str:
    """Return the report of at least one run, with the findings of claims, as a page."""
    names = list(dict.fromkeys(view.name for view in views(runs)))
    title = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    hosts = ", ".join(dict.fromkeys(run.processors for run in runs))
    created = ", ".join(dict.fromkeys(run.created for run in runs))
    judged = [(one, judge(one)) for one in evidence]
    claim_runs = [ClaimRun(label(one.subject.graph), findings, one.trials) for one, findings in judged]
    documents = [
        *map(run_document, runs),
        *(findings_document(one, findings, runs[0].created) for one, findings in judged),
    ]
    shown = sections(runs, [claims_section(claim_runs)] if claim_runs else [])
    return page(title, f"on {hosts}, {created}", shown, list(map(msgspec.json.encode, documents)), _assets())


def _assets() -> Assets:
    """Return the style and script of the page, and the script of plotly."""
    here = Path(html.__file__).parent
    spec = find_spec("plotly")  # importing plotly is slow
    folder = Path(((spec and spec.submodule_search_locations) or [""])[0])
    files = (here / "page.css", here / "page.js", folder / "package_data" / "plotly.min.js")
    try:
        return Assets(*(file.read_text(encoding="utf-8") for file in files))
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); reinstall plotly") from None
