"""`mnv3prof latency`: what every part really costs, on each runtime."""

from ...show.comparison import label
from ...source import open_source
from ..measuring import Measuring, measured, refuse_options
from ..network import Checkpoint, Settings
from ..options import DEFAULT_SOURCE, TrainedSourceArgument, opened
from ..output import Output
from ..runs import emit_run
from ..spread import spread


@spread
def latency(
    source: TrainedSourceArgument = None,
    *,
    measuring: Measuring,
    checkpoint: Checkpoint,
    settings: Settings,
    output: Output,
) -> None:
    """Time the stem, each block, the head, the classifier and the network on every target asked for.

    Without --on that is cpu. --on, --dtype, --batch and --threads take lists: every combination is a
    column, labelled with what differs. Each has a process of its own, and each output is compared with
    PyTorch's: one that differs exits with 1. --standard-conv, --dense-depthwise, --without-se and
    --activation time the network without and with the change, and set the real saving beside the
    one on paper. A saved run or a report is shown again. --output FILE.json keeps a run as
    it is measured. --weights times the network that train trained, with its weights.

    Example: mnv3prof latency small --on cpu --parts net --time-budget 2
    """
    given = opened(source)
    if given is not None and given.run is not None:
        refuse_options(given.text, checkpoint, (measuring, settings) != (Measuring(), Settings()))
        emit_run(given.run, output, again=True)
        return
    subject = checkpoint.network(given, settings)
    subjects = {"": subject}
    if settings.changes_structure() and subject.weights is None:
        known = (given or open_source(DEFAULT_SOURCE)).subject
        subjects = {"": settings.without_structure().variant(known), label(subject.graph): subject}
    resume = "mnv3prof profile, the same options and --resume" if len(subjects) == 1 else ""
    emit_run(measured(measuring.request(subjects), output), output, resume=resume)
