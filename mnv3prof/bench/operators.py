"""The time of each operator, from the runtimes' profilers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ..analysis.operators import operators_of
from ..device.protocol import Operators, OperatorTimes, PartKey
from ..record.run import ASKING_INTERRUPTED
from ..record.target import Target, labels
from ..record.timing import Operator, Timing
from ..workers.requests import Subjects
from ..workers.worker import Failed, Worker, runtime_worker
from .convert import loading
from .progress import OPERATORS, OnProgress, Progress

_CALLS: Final = 50


def profile_operators(
    subjects: Subjects,
    timings: Sequence[Timing],
    folder: Path,
    timeout_s: float,
    on_progress: OnProgress = lambda _: None,
    worker_of: Callable[[Target, Subjects], Worker] = runtime_worker,
) -> tuple[list[Operator], list[str]]:
    """Profile the operators of each part in `timings`, in one process per target.

    Return the operators, and a sentence for each part that has none. After an interrupt, the operators
    so far are returned with a sentence about it.
    """
    profiled: list[Operator] = []
    reasons: dict[str, None] = {}
    try:
        for target, where in labels(timing.target for timing in timings).items():
            timed = [timing for timing in timings if timing.target == target and timing.status == "ok"]
            with worker_of(target, subjects) as worker:
                for timing in timed:
                    on_progress(Progress(f"{timing.part} on {where}", phase=OPERATORS))
                    answer = _profile(worker, timing, subjects, folder, timeout_s)
                    if isinstance(answer, Failed):
                        reasons[f"{where}, part {timing.part}: {answer.reason}."] = None
                    else:
                        profiled += answer
    except KeyboardInterrupt:
        reasons[ASKING_INTERRUPTED] = None
    return profiled, list(reasons)


def _profile(
    worker: Worker, timing: Timing, subjects: Subjects, folder: Path, timeout_s: float
) -> list[Operator] | Failed:
    part, target = PartKey(timing.variant, timing.part), timing.target
    ready = loading(part, target, subjects, folder)
    if isinstance(ready, Failed):
        return ready
    request = Operators(part, ready.folder, ready.main, target.dtype, target.threads, _CALLS)
    answer = worker.ask(request, OperatorTimes, timeout_s)
    if isinstance(answer, Failed):
        return answer
    graph = subjects[timing.variant].graph
    return operators_of(graph, timing.part, target, answer.operators, timing.variant)
