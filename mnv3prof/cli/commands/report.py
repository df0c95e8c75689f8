"""`mnv3prof report`: everything about a network in one HTML file."""

import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal, TypeGuard

import msgspec
import typer
from msgspec.structs import replace

from ...analysis.view import views
from ...claims.cases.separable import STANDARD
from ...claims.claim import judge
from ...graph.errors import InputError, printable
from ...page import html
from ...page.html import Assets, page
from ...page.report import sections
from ...page.summary import summary_sheets
from ...page.tried import Tried, claims_section
from ...record.document import run_document
from ...record.findings import Evidence, findings_document
from ...record.run import Run, Subject
from ...render.markdown import to_markdown
from ...show.comparison import label
from ...source import Source
from ..interrupts import stopped, what_is_saved
from ..measuring import Measuring, measured, refuse_options
from ..network import Checkpoint, Settings
from ..options import SourcesArgument, opened
from ..output import FORMAT_HELP, Output, OutputOption, check_writable, chosen_format, emit_text, write
from ..runs import encoded, failed, was_interrupted, with_readings
from ..spread import spread

_REPORTS: Final = Path("reports")
_LONGEST_NAME: Final = 80
_QUICK_S: Final = 20.0
_FULL_S: Final = 120.0


class Rendered(msgspec.Struct, frozen=True):
    """The options of `Output`, with the forms that a report has."""

    format: Annotated[Literal["html", "md", "json"] | None, typer.Option("--format", help=FORMAT_HELP)] = None
    output: OutputOption = None

    def __post_init__(self) -> None:
        """Raise InputError before anything is measured."""
        self.form  # noqa: B018

    @property
    def form(self) -> str:
        """The format asked for, or that the file's suffix means."""
        suffixes = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}
        return chosen_format(self.format, self.output, suffixes, "html")


@spread
def report(
    sources: SourcesArgument = None,
    *,
    full: Annotated[
        bool,
        typer.Option(
            "--full/--quick", help="Measure every backend for longer, and standard convolutions beside."
        ),
    ] = False,
    no_latency: Annotated[bool, typer.Option("--no-latency", help="Measure nothing.")] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    measuring: Measuring,
    checkpoint: Checkpoint,
    settings: Settings,
    rendered: Rendered,
) -> None:
    """Write what there is to know of a network into one HTML file, and print the file's path.

    Without --output the file is reports/NETWORK-INPUT.html. A table is measured first, in a quick pass
    over the backends that are installed; saved runs and older reports are shown again, several side
    by side, with the findings that claims wrote. --format md prints a short form for a pull request or
    a job's summary, --format json the run itself. --weights measures the network that train trained,
    with its weights.

    Example: mnv3prof report large --quick
    """
    given = [opened(source) for source in sources or (None,)]
    form = rendered.form
    asked = full or no_latency or (measuring, settings) != (Measuring(), Settings())
    _refuse(given, checkpoint, asked)
    if open_it and form != "html":
        raise InputError(f"--open: opens the page, and {form} is none; leave one of them out")
    if rendered.output or form == "html":
        check_writable(rendered.output or _reports() / "report.html")
    new = {
        place: _measured(checkpoint.network(source, settings), measuring, full, no_latency)
        for place, source in enumerate(given)
        if not _is_shown(source)
    }
    runs = [
        run
        for place, source in enumerate(given)
        for run in (source.runs if _is_shown(source) else (new[place],))
    ]
    evidence = [one for source in given if source for one in source.evidence]
    path: Path | None
    if form == "html":
        path = rendered.output or _REPORTS / f"{_named(runs)}.html"
        write(path, _page(runs, evidence))
        screen = sys.stdout is not None and sys.stdout.isatty()
        emit_text(f"{printable(str(path)) if screen else path}\n", None)
        if open_it:
            typer.launch(path.resolve().as_uri())
    else:
        path = rendered.output if form == "json" else None
        text = to_markdown(summary_sheets(runs)) if form == "md" else _only(runs)
        emit_text(text, rendered.output)
    if cut := [run for run in new.values() if was_interrupted(run)]:
        raise stopped(what_is_saved(cut[0].timings, path, ""))
    if any(failed(run.timings) for run in runs):
        raise typer.Exit(1)


def _only(runs: Sequence[Run]) -> str:
    """The document of the run. Raises InputError where there are several."""
    if len(runs) > 1:
        raise InputError(f"--format json: is one run, and there are {len(runs)}; allowed are html and md")
    return encoded(runs[0])


def _reports() -> Path:
    """The folder of the reports that no --output names, which is made."""
    try:
        _REPORTS.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{_REPORTS}: cannot be made ({error.strerror}); --output names another file"
        ) from None
    return _REPORTS


def _is_shown(source: Source | None) -> TypeGuard[Source]:
    """Whether a source is shown as it is; the network of any other is measured."""
    return source is not None and source.network is None


def _refuse(given: Sequence[Source | None], checkpoint: Checkpoint, asked: bool) -> None:
    """Raises InputError where there is nothing to show, or options ask to measure what is only shown."""
    shown = [source for source in given if _is_shown(source)]
    if len(shown) < len(given):
        return
    if not any(source.runs for source in shown):
        raise InputError(f"{shown[0].text}: holds findings only; expected a run or a table beside them")
    refuse_options(shown[0].text, checkpoint, asked)


def _measured(subject: Subject, measuring: Measuring, full: bool, no_latency: bool) -> Run:
    from ...bench.profile import quick_here, usable_here
    from ...mobilenetv3.variants import vary

    subjects = {"": subject}
    if full and not no_latency and subject.weights is None and subject.table.conv == "separable":
        subjects[STANDARD] = subject.varied(vary(subject.table, standard_conv=True))
    if measuring.time_budget is None:
        measuring = replace(measuring, time_budget=_FULL_S if full else _QUICK_S)
    notes = []
    if measuring.on is None:
        names = usable_here() if full else quick_here()
        left_out = [name for name in usable_here() if name not in names]
        if left_out and not no_latency:
            notes.append(
                f"Left out of the quick pass, which --full or --on would measure: {', '.join(left_out)}."
            )
        measuring = replace(measuring, on=",".join(names))
    request = measuring.request(subjects)
    if no_latency:
        request = request._replace(targets=())
    run = measured(request, Output())
    return with_readings(replace(run, notes=(*run.notes, *notes)))


def _page(runs: Sequence[Run], kept: Sequence[Evidence]) -> str:
    seen = views(runs)
    names = list(dict.fromkeys(view.name for view in seen))
    title = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    hosts = ", ".join(dict.fromkeys(run.processors for run in runs))
    created = ", ".join(dict.fromkeys(run.created for run in runs))
    tried = [Tried(label(one.subject.graph), judge(one), one.trials) for one in kept or [_evidence(runs)]]
    documents = [
        *map(run_document, runs),
        *(findings_document(one, judge(one), runs[0].created) for one in kept),
    ]
    shown = sections(runs, [claims_section(tried)])
    return page(title, f"on {hosts}, {created}", shown, list(map(msgspec.json.encode, documents)), _assets())


def _evidence(runs: Sequence[Run]) -> Evidence:
    """What the first network on paper, and its runs, say of the claims."""
    first = runs[0].subject
    return Evidence(subject=first, runs=tuple(run for run in runs if run.subject == first))


def _assets() -> Assets:
    """The page's style and script, and plotly's, which its package brings."""
    here = Path(html.__file__).parent
    spec = find_spec("plotly")  # importing it would take longer than all else
    folder = Path(((spec and spec.submodule_search_locations) or [""])[0])
    files = (here / "page.css", here / "page.js", folder / "package_data" / "plotly.min.js")
    try:
        return Assets(*(file.read_text(encoding="utf-8") for file in files))
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}); install plotly again"
        ) from None


def _named(runs: Sequence[Run]) -> str:
    """The page's name: "large-224", "large-224-and-small-224", "large-224-and-3-more"."""
    names = [_slug(run) for run in runs]
    if len(names) > 2:
        return f"{names[0]}-and-{len(names) - 1}-more"
    return "-and-".join(dict.fromkeys(names))


def _slug(run: Run) -> str:
    words = re.sub(r"[^a-z0-9.]+", "-", run.subject.table.name.lower())[:_LONGEST_NAME].strip("-.")
    height, width = run.subject.input
    size = f"{height}" if height == width else f"{height}x{width}"
    return f"{words.removeprefix('mobilenetv3-') or 'network'}-{size}"
