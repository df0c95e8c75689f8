"""Parts × backends in interleaved rounds of random order: a machine that drifts hurts all alike."""

import random
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import perf_counter
from typing import Any, Final, NamedTuple

import msgspec

from ..arch.layers import Graph
from ..record.run import Timing, thinned
from ..record.stats import summarize
from .backends import backend
from .clock import Visit
from .worker import Failed, Prepare, Prepared, Sample, serve

STEADY: Final = 0.02
"""Sampling ends where the 95 % confidence interval of the median is within this share of it."""
_ROUNDS: Final = 5
_LEAST_VISITS: Final = 3
_LEAST_VISIT_S: Final = 0.02


class Worker(NamedTuple):
    """A process that owns one runtime, and the line to it."""

    process: BaseProcess
    line: Connection


class _Cell(msgspec.Struct):
    """What is known so far of one part on one backend; the only thing here that changes."""

    timing: Timing
    samples: list[float] = msgspec.field(default_factory=list)
    visits: int = 0
    cpu_s: float = 0.0
    done: bool = False


def measure(
    graph: Graph, parts: Sequence[str], backends: Sequence[str], *, batch: int = 1, threads: int = 1,
    budget_s: float = 60.0, timeout_s: float = 300.0, hear: Callable[[str], None] = lambda _: None,
) -> tuple[Timing, ...]:  # fmt: skip
    """Time each of `parts` on each of `backends`, one worker active at a time.

    budget_s: seconds of sampling over all of them. timeout_s: how long one request may take before
    its worker is ended. Whatever a runtime does wrong is a timing with a status and a reason; the
    others go on. `hear` is told what happens.
    """
    order = [(name, part) for name in backends for part in parts]
    cells = {key: _Cell(Timing(backend=key[0], part=key[1], batch=batch, threads=threads)) for key in order}
    workers = _start(graph, backends, batch, threads, cells)
    try:
        for name, part in order:
            if not cells[name, part].done:
                hear(f"preparing {part} on {name}")
                answer = _ask(workers, name, Prepare(part), timeout_s)
                _note_prepared(cells, name, part, answer)
        _sample(workers, cells, budget_s, timeout_s, hear)
    finally:
        for worker in workers.values():
            _end(worker)
    return tuple(cell.timing for cell in cells.values())


def _start(
    graph: Graph, backends: Sequence[str], batch: int, threads: int, cells: dict[tuple[str, str], _Cell]
) -> dict[str, Worker]:
    context = get_context("spawn")
    workers = {}
    for name in backends:
        found = backend(name).usable()
        if not found.ok:
            _fail(cells, name, Failed("absent", found.reason))
            continue
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(name, graph, batch, threads, theirs), daemon=True)
        process.start()
        theirs.close()
        workers[name] = Worker(process, ours)
    return workers


def _ask(workers: dict[str, Worker], name: str, request: object, timeout_s: float) -> Any:
    """The worker's answer; Failed, and the worker gone, where it dies or takes too long."""
    if name not in workers:
        return Failed("crashed", "its worker is gone")
    worker = workers[name]
    try:
        worker.line.send(request)
        if worker.line.poll(timeout_s):
            return worker.line.recv()
        failed = Failed("timeout", f"no answer within {timeout_s:g} s")
    except (EOFError, OSError):
        worker.process.join(5)
        failed = Failed("crashed", f"its process ended with {_exit(worker.process.exitcode)}")
    _end(workers.pop(name))
    return failed


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        import signal

        return signal.Signals(-code).name
    return f"exit code {code}"


def _end(worker: Worker) -> None:
    worker.line.close()
    worker.process.join(0.5)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _note_prepared(
    cells: dict[tuple[str, str], _Cell], name: str, part: str, answer: Prepared | Failed
) -> None:
    cell = cells[name, part]
    if isinstance(answer, Failed):
        _fail({(name, part): cell}, name, answer)
        return
    cell.timing = msgspec.structs.replace(
        cell.timing, load_s=answer.load_s, first_s=answer.first_s,
        max_abs_err=answer.max_abs_err, max_rel_err=answer.max_rel_err,
    )  # fmt: skip
    if answer.wrong:
        reason = f"its output is {answer.max_rel_err:.2g} off PyTorch's, relative to its largest magnitude"
        cell.timing = msgspec.structs.replace(cell.timing, status="wrong", reason=reason)


def _sample(
    workers: dict[str, Worker], cells: dict[tuple[str, str], _Cell], budget_s: float, timeout_s: float,
    hear: Callable[[str], None],
) -> None:  # fmt: skip
    chance = random.Random(0)
    end = perf_counter() + budget_s
    round_number = 0
    while (left := end - perf_counter()) > 0 and (open_cells := [k for k, c in cells.items() if not c.done]):
        round_number += 1
        rounds_left = max(1, _ROUNDS - round_number + 1)
        seconds = max(_LEAST_VISIT_S, left / rounds_left / len(open_cells))
        chance.shuffle(open_cells)
        for name, part in open_cells:
            if perf_counter() >= end:
                break
            hear(f"round {round_number}: {part} on {name}, {max(0.0, end - perf_counter()):.0f} s left")
            answer = _ask(workers, name, Sample(part, seconds), timeout_s)
            _note_visit(cells[name, part], answer)
    for cell in cells.values():
        if not cell.done:
            _close(cell, "budget")


def _note_visit(cell: _Cell, answer: Visit | Failed) -> None:
    if isinstance(answer, Failed):
        cell.timing = msgspec.structs.replace(cell.timing, status=answer.status, reason=answer.reason)
        cell.done = True
        return
    cell.visits += 1
    cell.samples += answer.samples
    cell.cpu_s += answer.cpu_per_wall * sum(answer.samples)
    if cell.visits >= _LEAST_VISITS and summarize(cell.samples).interval <= STEADY:
        _close(cell, "steady")


def _close(cell: _Cell, stopped: str) -> None:
    wall = sum(cell.samples)
    cell.timing = msgspec.structs.replace(
        cell.timing, samples_s=thinned(cell.samples), calls=len(cell.samples), stopped=stopped,
        cpu_per_wall=cell.cpu_s / wall if wall else None,
    )  # fmt: skip
    cell.done = True


def _fail(cells: dict[tuple[str, str], _Cell], name: str, failed: Failed) -> None:
    for (backend_name, _), cell in cells.items():
        if backend_name == name:
            cell.timing = msgspec.structs.replace(cell.timing, status=failed.status, reason=failed.reason)
            cell.done = True
