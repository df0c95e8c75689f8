"""`mnv3prof latency`: what every part really costs, on each runtime."""

from ..graph.errors import InputError
from ..show.comparison import label
from .measuring import Measuring, emit_run, measured, refuse_options, saved_run
from .options import DEFAULT_TABLE, Checkpoint, Settings, TrainedTableArgument, spread
from .output import Output


@spread
def latency(
    table: TrainedTableArgument = None,
    *,
    measuring: Measuring,
    checkpoint: Checkpoint,
    settings: Settings,
    output: Output,
) -> None:
    """Time the stem, each block, the head, the classifier and the network on every backend asked for.

    Without --on that is cpu. Each backend has a process of its own, and each output is compared with
    PyTorch's: one that differs exits with 1. --standard-conv, --dense-depthwise, --without-se and
    --activation time the network without and with the change, and set the real saving beside the
    one on paper. TABLE may be a saved run, which is shown again. --output FILE.json keeps a run as
    it is measured. --weights times the network that train trained, with its weights.

    Example: mnv3prof latency small --on cpu --parts net --time-budget 2
    """
    saved = None if table is None else saved_run(table)
    if saved is not None:
        if checkpoint.weights is not None:
            raise InputError(
                f"--weights: {table} is a saved run, which is shown with the weights that it had"
            )
        refuse_options(str(table), measuring, settings)
        emit_run(saved, output, again=True)
        return
    subject = checkpoint.network(table, settings)
    subjects = {"": subject}
    if settings.changes_structure() and subject.weights is None:
        plain = settings.without_structure().subject(table or DEFAULT_TABLE)
        subjects = {"": plain, label(subject.graph): subject}
    emit_run(measured(measuring.request(subjects), output), output)
