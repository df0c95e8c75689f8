"""`mnv3prof report`: write a self-contained HTML report."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, Final, Literal, TypeGuard

import msgspec
import typer
from msgspec.structs import replace

from ...advice.advice import TITLE, advise
from ...advice.sheet import advice_lines
from ...analysis.view import views
from ...claims.cases.separable import STANDARD
from ...graph.errors import InputError, printable
from ...interface.pages import page_of
from ...page.summary import summary_sheets
from ...record.document import encoded
from ...record.run import Run, Subject
from ...record.target import labels
from ...render.markdown import to_markdown
from ...show.timing_notes import failures
from ...source import Source
from ..interrupts import stopped, what_is_saved
from ..latency_options import LatencyOptions, measured, refuse_options, time_budget_option
from ..network import Settings, WeightsOptions
from ..options import (
    CrossCheckOption,
    SourcesArgument,
    first_given,
    measuring_option,
    on_option,
    opened,
    output_option,
)
from ..output import Output, check_writable, chosen_format, emit_text, file_option, format_option, write
from ..progress import step
from ..runs import failed, with_readings
from ..spread import spread
from ..streams import say

_REPORTS: Final = Path("reports")
_LONGEST_NAME: Final = 80
_NO_READINGS: Final = "Other FLOP counters were not run: the measurement was interrupted."
_QUICK_S: Final = 20.0
_FULL_S: Final = 120.0


class ReportLatencyOptions(LatencyOptions, frozen=True):
    """LatencyOptions with the defaults of a report."""

    on: Annotated[str | None, on_option("all except cpu-compile, or all with --full")] = None
    time_budget: Annotated[float | None, time_budget_option(f"{_QUICK_S:g}, or {_FULL_S:g} with --full")] = (
        None
    )


class Rendered(msgspec.Struct, frozen=True):
    """The options of `Output`, with the formats of a report."""

    format: Annotated[
        Literal["html", "md", "json"] | None, format_option("from the suffix of FILE, else html")
    ] = None
    output: Annotated[Path | None, file_option(f"{_REPORTS}/NETWORK-INPUT.html")] = None

    def __post_init__(self) -> None:
        """Check the suffix before anything is measured."""
        self.output_format  # noqa: B018

    @property
    def output_format(self) -> str:
        """--format, or the format of the file's suffix."""
        suffixes = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}
        return chosen_format(self.format, self.output, suffixes, "html")


@spread
def report(
    sources: SourcesArgument = None,
    *,
    full: Annotated[
        bool,
        measuring_option(
            "--full/--quick",
            help="Measure every backend, for longer, and also the network with standard convolutions.",
        ),
    ] = False,
    no_latency: Annotated[bool, measuring_option("--no-latency", help="Do not measure latency.")] = False,
    cross_check: CrossCheckOption = False,
    open_it: Annotated[bool, output_option("--open", help="Open the report in the browser.")] = False,
    latency_options: ReportLatencyOptions,
    weights_options: WeightsOptions,
    settings: Settings,
    rendered: Rendered,
) -> None:
    """Write a self-contained HTML report.

    The path of the report is printed, and on standard error what to try. A table is measured first. Saved
    runs and reports are shown again, several of them side by side, with the findings that claims saved;
    --on, --parts, --dtype, ... select from them. --format md prints a summary for a
    pull request or a CI job, --format json the run.

    Example: mnv3prof report large --quick
    """
    given = [opened(source, settings.input) for source in sources or (None,)]
    chosen = rendered.output_format
    flags = {"--full": full, "--no-latency": no_latency, "--cross-check": cross_check}
    changing = next((name for name, is_given in flags.items() if is_given), "") or first_given(settings)
    _refuse(given, weights_options, changing)
    if open_it and chosen != "html":
        raise InputError(f"--open and --format {chosen} cannot be combined; --open requires html")
    selected = _selected(given, latency_options)
    if rendered.output or chosen == "html":
        check_writable(rendered.output or _reports() / "report.html")
    runs: list[Run] = []
    new: list[Run] = []
    for source, saved in zip(given, selected, strict=True):
        if _is_shown(source):
            runs += saved
        elif not any(run.was_interrupted for run in new):
            subject = weights_options.subject(source, settings)
            run = _measured(subject, latency_options, full, no_latency)
            new.append(_cross_checked(run) if cross_check else run)
            runs.append(new[-1])
    evidence = [one for source in given if source for one in source.evidence]
    path: Path | None
    if chosen == "html":
        path = rendered.output or _REPORTS / f"{_named(runs)}.html"
        with step("writing the report"):
            page = page_of(runs, evidence)
        write(path, page)
        screen = sys.stdout is not None and sys.stdout.isatty()
        emit_text(f"{printable(str(path)) if screen else path}\n", None)
        _say_advice(runs)
        if open_it:
            typer.launch(path.resolve().as_uri())
    else:
        path = rendered.output if chosen == "json" else None
        text = to_markdown(summary_sheets(runs)) if chosen == "md" else _only(runs)
        emit_text(text, rendered.output)
    if new and (last := new[-1]).was_interrupted:
        raise stopped(what_is_saved(last.timings, path, "", last.readings))
    if _say_failures(runs):
        raise typer.Exit(1)


def _say_advice(runs: Sequence[Run]) -> None:
    """Say what to try with the network of the last run."""
    *_, view = views(runs)
    if found := advise(view):
        say(f"{TITLE} with {view.called or view.name}:")
        for line in advice_lines(found, max(40, get_terminal_size().columns)):
            say(line)


def _only(runs: Sequence[Run]) -> str:
    """Return the run as JSON. Raises InputError for several runs."""
    if len(runs) > 1:
        raise InputError(f"--format json: holds one run, but there are {len(runs)}; expected html or md")
    return encoded(runs[0])


def _reports() -> Path:
    """Make and return the default folder of reports."""
    try:
        _REPORTS.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{_REPORTS}: cannot be created ({error.strerror}); use --output FILE.html"
        ) from None
    return _REPORTS


def _selected(given: Sequence[Source | None], latency_options: ReportLatencyOptions) -> list[Sequence[Run]]:
    """Return the runs of each source, with the timings that the options select if nothing is measured."""
    known: list[Sequence[Run]] = [source.runs if source else () for source in given]
    if not all(map(_is_shown, given)):
        return known
    names = [source.text if source else "" for source in given]
    return [
        tuple(latency_options.selected(run, name) for run in runs)
        for name, runs in zip(names, known, strict=True)
    ]


def _is_shown(source: Source | None) -> TypeGuard[Source]:
    """True for a source that is shown as it is; the network of any other is measured."""
    return source is not None and source.network is None


def _say_failures(runs: Sequence[Run]) -> bool:
    """Say why runs have no times, or wrong outputs. Return False if none failed."""
    failing = [run for run in runs if failed(run.timings)]
    for reason in dict.fromkeys(
        each for run in failing for each in failures(run.timings, labels(run.targets))
    ):
        say(reason)
    return bool(failing)


def _refuse(given: Sequence[Source | None], weights_options: WeightsOptions, changing: str) -> None:
    """Raise InputError if there is nothing to show, or if options would change saved runs.

    changing: an option that would, except --weights; "" for none.
    """
    shown = [source for source in given if _is_shown(source)]
    if len(shown) < len(given):
        return
    if not any(source.runs for source in shown):
        raise InputError(f"{shown[0].text}: holds only findings; expected also a run or a table")
    refuse_options(shown[0].text, weights_options, changing)


def _measured(subject: Subject, latency_options: LatencyOptions, full: bool, no_latency: bool) -> Run:
    from ...bench.profile import quick_here, usable_here
    from ...mobilenetv3.saving import all_are
    from ...mobilenetv3.variants import vary

    subjects = {"": subject}
    separable = subject.listed and all_are("separable", subject.listed)
    if full and not no_latency and subject.weights is None and separable:
        subjects[STANDARD] = subject.varied(vary(subject.table, standard_conv=True))
    if latency_options.time_budget is None:
        latency_options = replace(latency_options, time_budget=_FULL_S if full else _QUICK_S)
    notes = []
    if latency_options.on is None and not no_latency and (reason := _why_untimed(subject)):
        no_latency, notes = True, [f"{reason}."]
    if latency_options.on is None:
        names = usable_here() if full else quick_here()
        left_out = [name for name in usable_here() if name not in names]
        if left_out and not no_latency:
            notes.append(
                f"Not measured in the quick pass: {', '.join(left_out)}. Use --full or --on to measure them."
            )
        latency_options = replace(latency_options, on=",".join(names))
    request = latency_options.request(subjects)
    if no_latency:
        request = request._replace(targets=())
    run = measured(request, Output())
    return replace(run, notes=(*run.notes, *notes))


def _cross_checked(run: Run) -> Run:
    """Return the run with the results of other FLOP counters."""
    if run.was_interrupted:
        return replace(run, notes=(*run.notes, _NO_READINGS))
    return with_readings(run)


def _why_untimed(subject: Subject) -> str:
    """Return why a network cannot be timed, "" if it can."""
    try:
        if subject.captured:
            subject.captured.require_runnable()
    except InputError as error:
        return str(error)
    return ""


def _named(runs: Sequence[Run]) -> str:
    """Return the name of the file: "large-224", "large-224-and-small-224", "large-224-and-3-more"."""
    names = [_slug(run) for run in runs]
    if len(names) > 2:
        return f"{names[0]}-and-{len(names) - 1}-more"
    return "-and-".join(dict.fromkeys(names))


def _slug(run: Run) -> str:
    words = re.sub(r"[^a-z0-9.]+", "-", run.subject.name.lower())[:_LONGEST_NAME].strip("-.")
    height, width = run.subject.input
    size = f"{height}" if height == width else f"{height}x{width}"
    return f"{words.removeprefix('mobilenetv3-') or 'network'}-{size}"
