"""`mnv3prof profile`: costs, memory and timings in one document."""

from pathlib import Path
from typing import Final

from ...graph.errors import InputError, shown
from ...record.run import Run, Subject
from ...source import open_source
from ..interrupts import stopping, what_is_saved
from ..measuring import Measuring, measured
from ..network import Checkpoint, Settings
from ..options import CrossCheckOption, PlansOption, ResumeOption, TrainedSourceArgument, opened
from ..output import Output, form_of, write
from ..runs import emit_run, encoded, with_plans, with_readings
from ..spread import spread

_RESUME: Final = "the same command and --resume"


@spread
def profile(
    source: TrainedSourceArgument = None,
    *,
    resume: ResumeOption = False,
    cross_check: CrossCheckOption = False,
    plans: PlansOption = False,
    measuring: Measuring,
    checkpoint: Checkpoint,
    settings: Settings,
    output: Output,
) -> None:
    """Measure a network and keep everything in a run: costs, memory, and the bursts of every timing.

    Without --on that is on cpu; --on, --dtype, --batch and --threads take lists. The run is kept after
    each part, so that nothing is lost whatever ends it, and --resume measures what it lacks; latency,
    flops, memory, compare and report show it again.

    Example: mnv3prof profile small --on cpu --parts net -o run.json
    """
    if output.output is None or form_of(output) != "json":
        raise InputError("profile: --output FILE.json is required; the run is saved in it")
    subject = checkpoint.network(opened(source), settings)
    known = _saved(output.output) if resume and output.output.exists() else None
    if known is not None:
        _refuse_another(known, subject, str(output.output))
    request = measuring.request({"": subject})
    run = measured(request, output, known)
    tried = [timing for timing in run.timings if timing.target in request.targets]
    with stopping(lambda: what_is_saved(tried, output.output, _RESUME)):
        if cross_check:
            run = with_readings(run)
        write(output.output, encoded(run))
        before = known.timings if known else ()
        if plans and not any(t.stopped == "interrupted" for t in run.timings if t not in before):
            run = with_plans(run, request)
        write(output.output, encoded(run))
    emit_run(run, Output(), tried=tried, saved=output.output, resume=_RESUME)


def _saved(path: Path) -> Run:
    run = open_source(str(path)).run
    if run is None:
        raise InputError(f"{path}: is not a run; expected with --resume is one that profile saved")
    return run


def _refuse_another(known: Run, wanted: Subject, where: str) -> None:
    if (known.subject.table, known.subject.input) != (wanted.table, wanted.input):
        raise InputError(
            f"{where}: is a run of {known.subject.table.name} at {known.subject.graph.size}; "
            "allowed with --resume are the table and input that it began with"
        )
    from ...bench.host import processor

    if known.host.cpu != processor():
        raise InputError(
            f"{where}: was measured on {shown(known.host.cpu)}, and this is {shown(processor())}; "
            "expected with --resume is the same machine"
        )
    before, now = (subject.weights and subject.weights.sha256 for subject in (known.subject, wanted))
    if before != now:
        had = known.subject.weights.file if known.subject.weights else "random weights"
        raise InputError(
            f"{where}: is a run with {had}; allowed with --resume are the weights that it began with"
        )
