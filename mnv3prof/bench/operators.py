"""The time that each runtime says it spent in each of its operators."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ..record.operators import join
from ..record.run import Operator, Timing
from . import cache, processes
from .backends import backend
from .formats import stored_dtype
from .processes import ask, end, is_alive, start
from .schedule import Progress
from .worker import Begin, Failed, Piece, Prepare, Profile, Setup, serve_runtime

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
    request = Prepare(Piece(timing.variant, timing.part), None, "")
    if format_name := backend(name).FORMAT:
        stored = stored_dtype(format_name, setup.dtype)
        key = cache.key(graph, timing.part, format_name, stored, setup.batch)
        entry = cache.find(folder, key)
        if entry is None:
            return Failed("crashed", "its converted file has gone from the cache")
        request = Prepare(request.piece, folder / key, entry.main)
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
