"""The time that each runtime says it spent in each of its operators."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ..record.operators import join
from ..record.run import ASKING_INTERRUPTED, Operator, Timing
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
    has none and why. Each backend is asked in a process of its own, once its timing is over. An
    interrupt ends the asking, and what there is is returned with a sentence that says so.
    """
    found: list[Operator] = []
    reasons: dict[str, None] = {}
    try:
        for name in dict.fromkeys(timing.backend for timing in timings):
            ours = [timing for timing in timings if timing.backend == name and timing.status == "ok"]
            for timing, answer in _ask_all(name, ours, setup, folder, timeout_s, hear):
                if isinstance(answer, Failed):
                    reasons[f"{name}, part {timing.part}: {answer.reason}."] = None
                else:
                    found += answer
    except KeyboardInterrupt:
        reasons[ASKING_INTERRUPTED] = None
    return found, list(reasons)


def _ask_all(
    name: str, timings: Sequence[Timing], setup: Setup, folder: Path, timeout_s: float,
    hear: Callable[[Progress], None],
) -> Iterator[tuple[Timing, list[Operator] | Failed]]:  # fmt: skip
    """The answer for each part; one that ends the worker costs the others nothing."""
    worker: processes.Worker | None = None
    try:
        for timing in timings:
            hear(Progress(f"asking {name} for the operators of {timing.part}"))
            if worker is None or not is_alive(worker):
                worker = start(serve_runtime, name, setup)
                ask(worker, Begin(), timeout_s)
            yield timing, _ask(worker, name, setup, timing, folder, timeout_s)
    finally:
        if worker and is_alive(worker):
            end(worker)


def _ask(
    worker: processes.Worker, name: str, setup: Setup, timing: Timing, folder: Path, timeout_s: float
) -> list[Operator] | Failed:
    graph = setup.subjects[timing.variant].graph
    request = loading(name, Piece(timing.variant, timing.part), setup, folder)
    if isinstance(request, Failed):
        return request
    answer = ask(worker, Profile(request, _CALLS), timeout_s)
    if isinstance(answer, Failed):
        return answer
    return [
        Operator(
            variant=timing.variant, backend=name, part=timing.part, dtype=timing.dtype,
            batch=timing.batch, threads=timing.threads, name=op.name, kind=op.kind,
            seconds=op.seconds, layer=layer.name if layer else "", joined=how,
        )
        for op, layer, how in join(graph, timing.part, answer)
    ]  # fmt: skip
