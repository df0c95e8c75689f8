"""`mnv3prof profile`: costs, memory and timings in one document."""

from typing import Annotated

import typer

from ..arch.table import InputError
from ..record.run import Run, Subject, read_run
from .measuring import Measuring, emit_run, encoded, measured
from .options import Settings, TableArgument, spread
from .output import Output, form_of, write


@spread
def profile(
    table: TableArgument = "large",
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --output: measure what it lacks.")
    ] = False,
    measuring: Measuring,
    settings: Settings,
    output: Output,
) -> None:
    """Measure a network and keep everything in a run: costs, memory, and every timing's samples.

    Without --on that is on cpu. The run is kept after each part, so that nothing is lost whatever
    ends it; latency, flops, memory and compare show it again.

    Example: mnv3prof profile small --on cpu --parts net -o run.json
    """
    if output.output is None or form_of(output) != "json":
        raise InputError("profile: where to? allowed is --output FILE.json, which the run is kept in")
    graph = settings.graph(table)
    known = read_run(output.output) if resume and output.output.exists() else None
    if known is not None:
        _refuse_another(known, Subject(graph.table, graph.input), str(output.output))
    run = measured(measuring.request({"": graph}), output, known)
    write(output.output, encoded(run))
    emit_run(run, Output())


def _refuse_another(known: Run, wanted: Subject, where: str) -> None:
    if known.subject != wanted:
        raise InputError(
            f"{where}: is a run of {known.subject.table.name} at {known.subject.input}; "
            "allowed with --resume are the table and input that it began with"
        )
