"""The time that each runtime says it spent in each of its operators."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ..record.operators import join
from ..record.run import ASKING_INTERRUPTED
from ..record.target import labels
from ..record.timing import Operator, Timing
from . import processes
from .convert import loading
from .processes import ask, end, is_alive, start
from .schedule import Progress
from .worker import Begin, Failed, Piece, Profile, Setup, Subjects, serve_runtime

_CALLS: Final = 50


def profile_operators(
    subjects: Subjects, timings: Sequence[Timing], folder: Path, timeout_s: float,
    hear: Callable[[Progress], None] = lambda _: None,
) -> tuple[list[Operator], list[str]]:  # fmt: skip
    """The operators of every part that `timings` have on their targets, and a sentence for each that
    has none and why. Each target is asked in a process of its own, once its timing is over. An
    interrupt ends the asking, and what there is is returned with a sentence that says so.
    """
    found: list[Operator] = []
    reasons: dict[str, None] = {}
    try:
        for target, where in labels(timing.target for timing in timings).items():
            ours = [timing for timing in timings if timing.target == target and timing.status == "ok"]
            for timing, answer in _ask_all(Setup(subjects, target), where, ours, folder, timeout_s, hear):
                if isinstance(answer, Failed):
                    reasons[f"{where}, part {timing.part}: {answer.reason}."] = None
                else:
                    found += answer
    except KeyboardInterrupt:
        reasons[ASKING_INTERRUPTED] = None
    return found, list(reasons)


def _ask_all(
    setup: Setup, where: str, timings: Sequence[Timing], folder: Path, timeout_s: float,
    hear: Callable[[Progress], None],
) -> Iterator[tuple[Timing, list[Operator] | Failed]]:  # fmt: skip
    """The answer for each part; one that ends the worker costs the others nothing."""
    worker: processes.Worker | None = None
    try:
        for timing in timings:
            hear(Progress(f"asking {where} for the operators of {timing.part}"))
            if worker is None or not is_alive(worker):
                worker = start(serve_runtime, setup)
                ask(worker, Begin(), timeout_s)
            yield timing, _ask(worker, setup, timing, folder, timeout_s)
    finally:
        if worker and is_alive(worker):
            end(worker)


def _ask(
    worker: processes.Worker, setup: Setup, timing: Timing, folder: Path, timeout_s: float
) -> list[Operator] | Failed:
    graph = setup.subjects[timing.variant].graph
    request = loading(Piece(timing.variant, timing.part), setup, folder)
    if isinstance(request, Failed):
        return request
    answer = ask(worker, Profile(request, _CALLS), timeout_s)
    if isinstance(answer, Failed):
        return answer
    return [
        Operator(
            variant=timing.variant, part=timing.part, target=timing.target, name=op.name, kind=op.kind,
            seconds=op.seconds, layer=layer.name if layer else "", joined=how,
        )
        for op, layer, how in join(graph, timing.part, answer)
    ]  # fmt: skip
