"""The time that each runtime says it spent in each of its operators."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ..record.operators import join
from ..record.run import Operator, Timing
from . import processes
from .convert import loading
from .processes import ask, end, is_alive, start
from .schedule import Progress
from .worker import Begin, Failed, Piece, Profile, Setup, serve_runtime

_CALLS: Final = 50


def profile_operators(
    setup: Setup, timings: Sequence[Timing], folder: Path, timeout_s: float,
    hear: Callable[[Progress], None] = lambda _: None,
) -> tuple[list[Operator], list[str]]:  # fmt: skip
    """The operators of every part that `timings` have on their backends, and a sentence for each that
    has none and why. Each backend is asked in a process of its own, once its timing is over.
    """
    found: list[Operator] = []
    reasons: dict[str, None] = {}
    for name in dict.fromkeys(timing.backend for timing in timings if timing.status == "ok"):
        worker = start(serve_runtime, name, setup)
        ask(worker, Begin(), timeout_s)
        for timing in timings:
            if timing.backend == name and timing.status == "ok" and is_alive(worker):
                hear(Progress(f"asking {name} for the operators of {timing.part}"))
                answer = _ask(worker, name, setup, timing, folder, timeout_s)
                if isinstance(answer, Failed):
                    reasons[f"{name}, part {timing.part}: {answer.reason}."] = None
                else:
                    found += answer
        if is_alive(worker):
            end(worker)
    return found, list(reasons)


def _ask(
    worker: processes.Worker, name: str, setup: Setup, timing: Timing, folder: Path, timeout_s: float
) -> list[Operator] | Failed:
    graph = setup.graphs[timing.variant]
    request = loading(name, Piece(timing.variant, timing.part), setup, folder)
    if isinstance(request, Failed):
        return request
    answer = ask(worker, Profile(request, _CALLS), timeout_s)
    if isinstance(answer, Failed):
        return answer
    return [
        Operator(
            variant=timing.variant, backend=name, part=timing.part, name=op.name, kind=op.kind,
            seconds=op.seconds, layer=layer.name if layer else "", joined=how,
        )
        for op, layer, how in join(graph, timing.part, answer)
    ]  # fmt: skip
