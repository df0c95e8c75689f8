"""`mnv3prof compare`: compare the cost of networks."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from ...cost.comparison import network_costs
from ...graph.errors import InputError
from ...mobilenetv3.table import separable_savings
from ...record.document import comparison_document
from ...record.run import Run, Subject
from ...show.comparison import MOST_NETWORKS, blocks_sheet, label, totals_sheet
from ...source import Source, at_one_input
from ..latency_options import LatencyOptions, measured
from ..network import Settings
from ..options import DEFAULT_SOURCE, SourcesArgument, measuring_option, open_source
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
    latency_options: LatencyOptions,
    settings: Settings,
    output: Output,
) -> None:
    """Compare the cost of networks, per block and in total.

    Ratios are relative to the first network. With several sources, the options change all of them; a
    table is compared with a saved run at the run's input. One source is compared with its variant: the
    network changed by --standard-conv, --dense-depthwise, --without-se or --activation, or by the other
    options if none of these is given. --latency shows the latency ratio next to the MAC ratio, for each
    part and target. A saved run of several networks is shown again.

    Example: mnv3prof compare --standard-conv
    """
    if not latency and latency_options != LatencyOptions():
        raise InputError("compare: the options of measuring, e.g. --on, require --latency")
    given = [open_source(source) for source in sources or [DEFAULT_SOURCE]]
    saved = None if latency else _saved_comparison(given, settings)
    subjects = [*saved.subjects.values()] if saved else _subjects(given, settings)
    networks = [network_costs(subject.graph) for subject in subjects]
    blocks = blocks_sheet(networks, separable_savings([subject.table for subject in subjects]))
    sheets = (totals_sheet(networks), blocks)
    document = partial(comparison_document, subjects, networks)
    if saved or latency:
        run = saved or measured(latency_options.request(_by_variant(subjects)), output)
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


def _subjects(sources: Sequence[Source], settings: Settings) -> list[Subject]:
    known = [subject for source in at_one_input(sources) for subject in source.subjects]
    if len(known) > MOST_NETWORKS:
        raise InputError(f"compare: {len(known)} networks are too many; expected at most {MOST_NETWORKS}")
    if len(known) > 1:
        return [settings.variant(subject) for subject in known]
    base = settings.without_structure() if settings.changes_structure() else Settings()
    if base == settings:
        raise InputError(
            "compare: there is nothing to compare; expected two sources, or one and a change, "
            "e.g. --standard-conv or --width 0.75"
        )
    return [each.variant(known[0]) for each in (base, settings)]
