"""`mnv3prof profile`: measure a network and save a run."""

from pathlib import Path
from typing import Annotated, Final

from msgspec.structs import replace

from ...graph.errors import InputError, quote
from ...record.document import encoded
from ...record.run import Run, Subject
from ..accuracy_options import AccuracyOptions, noted
from ..interrupts import stopping, what_is_saved
from ..latency_options import LatencyOptions, measured
from ..network import Settings, WeightsOptions
from ..options import (
    CrossCheckOption,
    ResumeOption,
    TrainedSourceArgument,
    measuring_option,
    open_source,
    opened,
)
from ..ordering import METRICS, Ordering
from ..output import Output, file_option, output_format, write
from ..runs import emit_run, with_plans, with_readings
from ..spread import spread

_RESUME: Final = "the same command and --resume"


class RunFile(Output, frozen=True):
    """The format and file of a run."""

    output: Annotated[Path | None, file_option(False)] = None


@spread
def profile(
    source: TrainedSourceArgument = None,
    *,
    resume: ResumeOption = False,
    cross_check: CrossCheckOption = False,
    plans: Annotated[
        bool, measuring_option("--plans", help="Also read the runtimes' memory plans, as memory --on does.")
    ] = False,
    latency_options: LatencyOptions,
    weights_options: WeightsOptions,
    accuracy_options: AccuracyOptions,
    settings: Settings,
    ordering: Ordering,
    output: RunFile,
) -> None:
    """Measure a network and save a run (costs, memory, latency).

    --output FILE.json is required. The run is saved after each part, and --resume measures the missing
    parts. latency, flops, memory, compare, diff, check and report take the run as a source. Of each
    burst of calls it has up to nine order statistics of the wall time, the mean and the maximum, the CPU
    time per call, and the involuntary context switches.

    Example: mnv3prof profile small --on cpu --parts net -o run.json
    """
    order = ordering.order("profile", "time", METRICS)
    if output.output is None or output_format(output) != "json":
        raise InputError("profile: --output FILE.json is required")
    subject = weights_options.subject(opened(source, settings.input), settings)
    known = _saved_run(output.output).to_resume() if resume and output.output.exists() else None
    if known is not None:
        _refuse_another(known, subject, str(output.output))
    request, note = accuracy_options.examined(latency_options.request({"": subject}))
    run = noted(measured(request, output, known), note)
    tried = [timing for timing in run.timings if timing.target in request.targets]
    with stopping(lambda: what_is_saved(tried, output.output, _RESUME)):
        if cross_check and not replace(run, timings=tuple(tried)).was_interrupted:
            run = with_readings(run)
        write(output.output, encoded(run))
        if plans and not replace(run, timings=tuple(tried)).was_interrupted:
            run = with_plans(run, request)
        write(output.output, encoded(run))
    emit_run(run, Output(), order, tried=tried, saved=output.output, resume=_RESUME)


def _saved_run(path: Path) -> Run:
    run = open_source(str(path)).run
    if run is None:
        raise InputError(f"{path}: is not a run; expected with --resume a run that profile saved")
    return run


def _refuse_another(known: Run, wanted: Subject, where: str) -> None:
    if not known.subject.is_same_network(wanted):
        raise InputError(
            f"{where}: is a run of {known.subject.name} at {known.subject.graph.size}; "
            "expected with --resume the same network and input"
        )
    from ...bench.host import processor

    if known.host.cpu != processor():
        raise InputError(
            f"{where}: was measured on {quote(known.host.cpu)}, and this is {quote(processor())}; "
            "expected with --resume the same machine"
        )
    before, now = (subject.weights and subject.weights.sha256 for subject in (known.subject, wanted))
    if before != now:
        had = known.subject.weights.file if known.subject.weights else "random weights"
        raise InputError(f"{where}: is a run with {had}; expected with --resume the same weights")
