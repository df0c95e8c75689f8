"""`mnv3prof compare`: networks side by side."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from ..cost.comparison import network
from ..graph.errors import InputError
from ..mobilenetv3.files import read_table
from ..mobilenetv3.table import separable_savings
from ..record.document import comparison_document
from ..record.run import Run, Subject
from ..show.comparison import MOST_NETWORKS, blocks_sheet, label, totals_sheet
from .measuring import Measuring, emit_run, measured, saved_run
from .options import TABLE_HELP, Settings, presets, spread
from .output import Output, Result, emit


@spread
def compare(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="TABLE", help=TABLE_HELP, autocompletion=presets)
    ] = None,
    *,
    latency: Annotated[
        bool, typer.Option("--latency", help="Time the networks too, on the backends of --on.")
    ] = False,
    measuring: Measuring,
    settings: Settings,
    output: Output,
) -> None:
    """Set networks side by side, block by block and in total, with ratios to the first.

    Several tables: the options change all of them. One table (large): it is compared with its
    variant. Where --standard-conv, --dense-depthwise, --without-se or --activation makes the
    variant, the other options change both; else they make the variant. --latency times them too,
    and sets the ratio of times beside the ratio of MACs, for each part and backend. A saved run of
    several networks, given alone, is shown again.

    Example: mnv3prof compare --standard-conv
    """
    if not latency and measuring != Measuring():
        raise InputError("compare: --on, --rows, --dtype and the others that measure need --latency")
    saved = None if latency else _saved_comparison(tables or [], measuring, settings)
    subjects = [*saved.subjects.values()] if saved else _subjects(tables or ["large"], settings)
    networks = [network(subject.graph) for subject in subjects]
    blocks = blocks_sheet(networks, separable_savings([subject.table for subject in subjects]))
    sheets = (totals_sheet(networks), blocks)
    document = partial(comparison_document, subjects, networks)
    if saved or latency:
        run = saved or measured(measuring.request(_by_variant(subjects)), output)
        emit_run(run, output, sheets, {"networks": document()["networks"]}, again=saved is not None)
    else:
        emit(Result(sheets, blocks, document), output)


def _saved_comparison(sources: Sequence[str], measuring: Measuring, settings: Settings) -> Run | None:
    """The run of several networks that is to be shown again, if that is what the command line names."""
    if len(sources) != 1 or (measuring, settings) != (Measuring(), Settings()):
        return None
    saved = saved_run(sources[0])
    return saved if saved and saved.variants else None


def _by_variant(subjects: Sequence[Subject]) -> dict[str, Subject]:
    """The first as "", the others by name and input; a name that comes twice is numbered."""
    named = {"": subjects[0]}
    for subject in subjects[1:]:
        name, number = label(subject.graph), 1
        while name in named:
            number += 1
            name = f"{label(subject.graph)} ({number})"
        named[name] = subject
    return named


def _subjects(sources: Sequence[str], settings: Settings) -> list[Subject]:
    if len(sources) > MOST_NETWORKS:
        raise InputError(f"compare: {len(sources)} tables are too many; allowed are {MOST_NETWORKS}")
    if len(sources) > 1:
        return [settings.subject(source) for source in sources]
    base = settings.without_structure() if settings.changes_structure() else Settings()
    if base == settings:
        raise InputError(
            "compare: there is nothing to compare; allowed are two tables, or one and a change "
            "such as --standard-conv or --width 0.75"
        )
    table = read_table(sources[0])
    return [Subject(s.variant(table), s.size(sources[0])) for s in (base, settings)]
