"""`mnv3prof latency`: measure latency per block and of the whole network."""

from ...graph.errors import InputError
from ...show.answers import variant_sheets
from ...show.comparison import label
from ..accuracy_options import AccuracyOptions, noted
from ..estimating import LatencyTableOption, emit_estimates
from ..latency_options import NOT_MEASURED, LatencyOptions, measured, refuse_options
from ..network import Settings, WeightsOptions
from ..options import DEFAULT_SOURCE, TrainedSourceArgument, first_given, open_source, opened
from ..ordering import METRICS, Ordering
from ..output import Output
from ..runs import emit_run
from ..spread import spread


@spread
def latency(
    source: TrainedSourceArgument = None,
    *,
    latency_options: LatencyOptions,
    weights_options: WeightsOptions,
    accuracy_options: AccuracyOptions,
    settings: Settings,
    ordering: Ordering,
    latency_table: LatencyTableOption = None,
    output: Output,
) -> None:
    """Measure latency per block and of the whole network.

    --on, --dtype, --batch and --threads take lists; every combination is a target with its own process
    and column. Each output is compared with PyTorch's in fp32; the exit code is 1 if the error is above
    the tolerance. --standard-conv, --dense-depthwise, --without-se and --activation measure the network
    without and with the change, and compare the measured saving with the computed one. With the --weights
    of train, each target also classifies held-out images, after the timing. A saved run or a report is
    shown again. --output FILE.json saves the run after each part. --latency-table estimates a network of a
    space, SPACE.toml#NUMBER, from measured rows, with the error of such estimates.

    Example: mnv3prof latency small --on cpu --parts net --time-budget 2
    """
    order = ordering.order("latency", "time", METRICS)
    if latency_table is not None:
        if changing := first_given(weights_options, accuracy_options, settings, ordering):
            raise InputError(NOT_MEASURED.format(option=changing))
        emit_estimates(source, latency_table, latency_options, output)
        return
    given = opened(source, settings.input)
    if given is not None and given.run is not None:
        refuse_options(given.text, weights_options, first_given(settings, accuracy_options))
        emit_run(latency_options.selected(given.run, given.text), output, order, again=True)
        return
    subject = weights_options.subject(given, settings)
    subjects = {"": subject}
    if settings.changes_structure() and subject.weights is None:
        known = (given or open_source(DEFAULT_SOURCE)).subject
        subjects = {"": settings.without_structure().variant(known), label(subject.graph): subject}
    resume = "mnv3prof profile, the same options and --resume" if len(subjects) == 1 else ""
    request, note = accuracy_options.examined(latency_options.request(subjects))
    run = noted(measured(request, output), note)
    emit_run(run, output, order, variant_sheets(run), resume=resume)
