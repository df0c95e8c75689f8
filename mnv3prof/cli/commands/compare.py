"""`mnv3prof compare`: compare the cost of networks."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from msgspec.structs import replace

from ...budgets.figures import LATENCY
from ...budgets.matching import Scaled
from ...cost.comparison import network_costs
from ...graph.errors import InputError, quote
from ...mobilenetv3.saving import separable_savings
from ...record.document import comparison_document
from ...record.run import Run, Subject
from ...render.sheet import Sheet
from ...show.answers import variant_sheets
from ...show.comparison import MOST_NETWORKS, blocks_sheet, label, totals_sheet
from ...source import Source, at_one_input
from ..latency_options import LatencyOptions, measured
from ..matching import latency_match_sheet, match_sheet, matched_by_latency, matched_networks
from ..network import Settings
from ..options import DEFAULT_SOURCE, SourcesArgument, measuring_option, open_source, places
from ..output import Output, Result, emit
from ..runs import emit_run
from ..spread import spread


@spread
def compare(
    sources: SourcesArgument = None,
    *,
    latency: Annotated[
        bool, measuring_option("--latency", help="Also measure latency, on the backends of --on.")
    ] = False,
    match: Annotated[
        str | None,
        measuring_option(
            "--match",
            metavar="METRIC",
            help="Scale the other networks to the first's macs, params, arena, ... or latency.BACKEND.",
        ),
    ] = None,
    latency_options: LatencyOptions,
    settings: Settings,
    output: Output,
) -> None:
    """Compare the cost of networks, per block and in total.

    Ratios are relative to the first network. With several sources, the options change all of them; a
    table is compared with a saved run at the run's input. One source is compared with its variant: the
    network changed by --standard-conv, --dense-depthwise, --without-se or --activation, or by the other
    options if none of these is given. --latency shows the latency ratio next to the MAC ratio, for each
    part and target. Bytes are for the first of --dtype and --batch. A saved run of several networks is
    shown again. --match finds the width at which each other network costs as much as the first; a latency
    is measured for that.

    Example: mnv3prof compare --standard-conv
    """
    by_latency = match is not None and match.startswith(LATENCY)
    if match is not None and by_latency:
        latency, latency_options = True, _timed_for(match, latency_options)
    sizes = LatencyOptions(dtype=latency_options.dtype, batch=latency_options.batch)
    if not latency and latency_options != sizes:
        raise InputError("compare: the options of measuring, e.g. --on, require --latency")
    size = sizes.size()
    given = [open_source(source, settings.input) for source in sources or [DEFAULT_SOURCE]]
    saved = None if latency or match else _saved_comparison(given, settings)
    subjects = [*saved.subjects.values()] if saved else _subjects(given, settings)
    before: tuple[Sheet, ...] = ()
    if match is not None:
        scaled = _scaled(given, settings, len(subjects))
        if by_latency:
            found, changes, latency_options = matched_by_latency(subjects, scaled, latency_options)
            before = (latency_match_sheet(found, changes, match),)
        else:
            found = matched_networks(subjects, scaled, match, size)
            before = (match_sheet(found, match),)
        subjects = [subjects[0], *(each.subject for each in found)]
    if saved:
        size = saved.measured_as
    networks = [network_costs(subject.graph, *size) for subject in subjects]
    blocks = blocks_sheet(networks, separable_savings([subject.listed for subject in subjects]))
    sheets = (*before, totals_sheet(networks), blocks)
    document = partial(comparison_document, subjects, networks)
    if saved or latency:
        run = saved or measured(latency_options.request(_by_variant(subjects)), output)
        sheets = sheets if match else (*variant_sheets(run), *sheets)
        emit_run(
            run, output, before=sheets, also={"networks": document()["networks"]}, again=saved is not None
        )
    else:
        emit(Result(sheets, blocks, document), output)


def _saved_comparison(sources: Sequence[Source], settings: Settings) -> Run | None:
    """Return the run of several networks that is the only source, or None."""
    runs = [run for source in sources for run in source.runs]
    alone = len(sources) == len(runs) == 1 and settings == Settings()
    return runs[0] if alone and runs[0].variants else None


def _by_variant(subjects: Sequence[Subject]) -> dict[str, Subject]:
    """Name the first network "", the others by name and input; number equal names."""
    named = {"": subjects[0]}
    for subject in subjects[1:]:
        name, number = label(subject.graph), 1
        while name in named:
            number += 1
            name = f"{label(subject.graph)} ({number})"
        named[name] = subject
    return named


def _timed_for(match: str, options: LatencyOptions) -> LatencyOptions:
    """Return the options that measure what is matched. Raises InputError for more than one target."""
    backend = match.removeprefix(LATENCY)
    options = replace(options, on=backend if options.on is None else options.on)
    if len(options.targets()) > 1 or places(backend) != places(str(options.on)):
        raise InputError(f"--match: {quote(match)} needs one target; expected --on {backend}, or no --on")
    return options


def _scaled(given: Sequence[Source], settings: Settings, count: int) -> list[Scaled]:
    """Return each network after the first as a function of its width."""
    if settings.width != 1:
        raise InputError("--match and --width cannot be combined; --match finds the width")
    known = [subject for source in at_one_input(given) for subject in source.subjects]
    others = known[1:] if len(known) > 1 else known

    def scaled(subject: Subject) -> Scaled:
        return lambda width: replace(settings, width=width).variant(subject)

    assert len(others) == count - 1
    return [scaled(subject) for subject in others]


def _subjects(sources: Sequence[Source], settings: Settings) -> list[Subject]:
    known = [subject for source in at_one_input(sources) for subject in source.subjects]
    if len(known) > MOST_NETWORKS:
        raise InputError(f"compare: {len(known)} networks are too many; expected at most {MOST_NETWORKS}")
    if len(known) > 1:
        return [settings.variant(subject) for subject in known]
    base = settings.without_structure() if settings.changes_structure() else Settings(input=settings.input)
    if base == settings:  # --input alone is the change
        base = Settings()
    if base == settings:
        raise InputError(
            "compare: there is nothing to compare; expected two sources, or one and a change, "
            "e.g. --standard-conv or --width 0.75"
        )
    return [each.variant(known[0]) for each in (base, settings)]
