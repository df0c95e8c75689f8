"""`mnv3prof latency`: what every part really costs, on each runtime."""

from ..show.comparison import label
from .measuring import Measuring, emit_run, measured, saved_run
from .options import Settings, TableArgument, spread
from .output import Output


@spread
def latency(
    table: TableArgument = "large", *, measuring: Measuring, settings: Settings, output: Output
) -> None:
    """Time the stem, each block, the head, the classifier and the network on every backend asked for.

    Without --on that is cpu. Each backend has a process of its own, and each output is compared with
    PyTorch's: one that differs exits with 1. --standard-conv, --dense-depthwise, --without-se and
    --activation time the network without and with the change, and set the real saving beside the
    one on paper. TABLE may be a saved run, which is shown again. --output FILE.json keeps a run as
    it is measured.

    Example: mnv3prof latency small --on cpu --parts net --time-budget 2
    """
    saved = saved_run(table, measuring, settings)
    if saved is not None:
        emit_run(saved, output, again=True)
        return
    graph = settings.graph(table)
    graphs = {"": graph}
    if settings.changes_structure():
        graphs = {"": settings.without_structure().graph(table), label(graph): graph}
    emit_run(measured(measuring.request(graphs), output), output)
