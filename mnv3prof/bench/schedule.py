"""Parts × backends in interleaved rounds of random order: a machine that drifts hurts all alike."""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import product
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from ..record.run import Roof, Stopped, Timing
from ..record.stats import thinned
from . import processes
from .backends import backend, compiles
from .clock import Visit
from .convert import convert
from .fleet import Fleet
from .worker import (
    Begin,
    Failed,
    MeasureRoof,
    Piece,
    Prepared,
    Sample,
    Setup,
    serve_roofs,
)

STEADY: Final = 0.02
"""Sampling ends where the 95 % confidence interval of the median is within this share of it, which takes
LEAST_VISITS visits at the least."""
_ROUNDS: Final = 20
"""The budget is for so many visits of everything; what is steady sooner leaves its share to the rest."""
_LEAST_VISIT_S: Final = 0.02
_MOST_VISIT_S: Final = 0.2
_MOST_SAMPLES: Final = 200
"""So many of a timing's samples are kept, ..."""
_LEAST_OF_VISIT: Final = 9
"""... but so many of each visit, whose median is to stay."""
_GOLDEN: Final = 0.618034
"""Its multiples spread evenly over the unit interval, however many there are."""
_ROOF_TIMEOUT_S: Final = 120.0
_LOOK_S: Final = 0.5
_GRACE_S: Final = 10.0
"""What a piece may take beyond the time that getting ready may take."""


class Plan(NamedTuple):
    """What to time. pieces: of the setup's variants; budget_s: of sampling over all of it.

    timeout_s: how long one request may take before its worker is ended. folder: of the cache.
    ready_s: how long converting and loading may take, converting at most half of it; pieces that are
        left are rows with that reason.
    """

    setup: Setup
    pieces: tuple[Piece, ...]
    backends: tuple[str, ...]
    folder: Path
    budget_s: float = 60.0
    timeout_s: float = 300.0
    ready_s: float = inf


class Progress(NamedTuple):
    """What is being done. share: how much of the sampling is done, left_s: seconds until it ends."""

    what: str
    share: float | None = None
    left_s: float | None = None


class Watcher(NamedTuple):
    """Who is told: `hear` of every step, `store` the timings so far whenever there is more to keep."""

    hear: Callable[[Progress], None] = lambda _: None
    store: Callable[[tuple[Timing, ...]], None] = lambda _: None


class _Cell(msgspec.Struct):
    """What is known so far of one piece on one backend; the only thing here that changes."""

    timing: Timing
    visits: list[tuple[float, ...]] = msgspec.field(default_factory=list)
    calls: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    done: bool = False


_Key = tuple[str, Piece]
_Cells = dict[_Key, _Cell]
_Answers = dict[Piece, Prepared | Failed]


def measure(plan: Plan, watcher: Watcher = Watcher(), known: Sequence[Timing] = ()) -> tuple[Timing, ...]:  # noqa: B008
    """Time each piece on each backend, one at a time.

    known: timings of an earlier run; what is final among them is not measured again. Whatever a
    runtime does wrong is a timing with a status and a reason; the others go on. An interrupt ends
    the sampling, and what there is is returned, marked so.
    """
    cells = _cells(plan, known)
    try:
        _measure(plan, cells, watcher)
    except KeyboardInterrupt:
        for cell in cells.values():
            if not cell.done:
                _close(cell, "interrupted")
    return _timings(cells)


def measure_roofs(setup: Setup, devices: Iterable[str]) -> tuple[Roof, ...]:
    """The roof of each PyTorch device that can be measured."""
    worker = processes.start(serve_roofs, setup)
    answers = []
    for device in devices:
        if processes.is_alive(worker):
            answers.append(processes.ask(worker, MeasureRoof(device), _ROOF_TIMEOUT_S))
    processes.end(worker)
    return tuple(answer for answer in answers if isinstance(answer, Roof))


def _timings(cells: _Cells) -> tuple[Timing, ...]:
    return tuple(cell.timing for cell in cells.values())


def _cells(plan: Plan, known: Sequence[Timing]) -> _Cells:
    dtype, batch, threads = plan.setup.dtype, plan.setup.batch, plan.setup.threads
    cells = {}
    for name, piece in product(plan.backends, plan.pieces):
        timing = Timing(
            variant=piece.variant, backend=name, part=piece.part, dtype=dtype, batch=batch, threads=threads
        )  # fmt: skip
        cells[name, piece] = _Cell(timing)
    for timing in known:
        cell = cells.get((timing.backend, Piece(timing.variant, timing.part)))
        same = (timing.dtype, timing.batch, timing.threads) == (dtype, batch, threads)
        if cell and same and timing.final:
            cell.timing, cell.done = timing, True
    return cells


def _measure(plan: Plan, cells: _Cells, watcher: Watcher) -> None:
    _leave_out_what_cannot_run(plan, cells)
    begin = perf_counter()
    _convert(plan, cells, watcher)
    spent = perf_counter() - begin
    fleet = Fleet(plan.setup, plan.folder, plan.timeout_s)
    try:
        watcher.hear(Progress("starting the runtimes"))
        for name in _open(cells):
            fleet.start(name)
        _get_ready(plan, plan.ready_s - spent, fleet, cells, watcher)
        _sample(plan, fleet, cells, watcher)
    finally:
        fleet.end()


def _get_ready(plan: Plan, ready_s: float, fleet: Fleet, cells: _Cells, watcher: Watcher) -> None:
    """Start every runtime and load every open piece. One that compiles as it loads takes longer than
    all others together, and does so beside them; nothing is sampled before all are ready.
    """
    end = perf_counter() + ready_s
    beside = [name for name in _open(cells) if compiles(name)]
    others = [name for name in _open(cells) if name not in beside]
    pool = ThreadPoolExecutor(1)
    compiled: dict[str, _Answers] = {name: {} for name in beside}
    compiling = {
        name: pool.submit(_compile, fleet, name, _pieces_of(cells, name), end, compiled[name])
        for name in beside
    }
    try:
        for name in others:
            if isinstance(answer := fleet.ask(name, Begin()), Failed):
                _fail(cells, name, answer)
        _load(plan, end, others, fleet, cells, watcher)
        for name, answers in compiled.items():
            pieces = _pieces_of(cells, name)
            while not wait([compiling[name]], _LOOK_S).done:
                watcher.hear(
                    Progress(f"compiling on {name}: {len(answers)} of {len(pieces)} parts are ready")
                )
            compiling[name].result()
            for piece, answer in answers.items():
                _note_prepared(cells[name, piece], answer)
            rest = [piece for piece in pieces if piece not in answers]
            if _pieces_of(cells, name):
                _bring_back(fleet, cells, name, before=rest[0] if rest else None)
            _load_pieces(plan, end, name, rest, fleet, cells, watcher)
            watcher.store(_timings(cells))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _compile(fleet: Fleet, name: str, pieces: list[Piece], end: float, found: _Answers) -> None:
    """Find what becomes of each piece, until its worker ends or it is too late."""
    if isinstance(answer := fleet.ask(name, Begin()), Failed):
        found |= dict.fromkeys(pieces, answer)
        return
    for piece in pieces:
        left = end - perf_counter()
        if name not in fleet.workers or left <= 0:
            return
        found[piece] = fleet.prepare(name, piece, left + _GRACE_S)


def _load(plan: Plan, end: float, names: list[str], fleet: Fleet, cells: _Cells, watcher: Watcher) -> None:
    """Every open piece, backend by backend; each backend has its share of the time that is left."""
    for number, name in enumerate(names):
        now = perf_counter()
        until = now + (end - now) / (len(names) - number)
        _load_pieces(plan, until, name, _pieces_of(cells, name), fleet, cells, watcher)


def _load_pieces(
    plan: Plan, until: float, name: str, pieces: list[Piece], fleet: Fleet, cells: _Cells,
    watcher: Watcher,
) -> None:  # fmt: skip
    for piece in pieces:
        if cells[name, piece].done:  # its worker has gone meanwhile
            continue
        if perf_counter() > until:
            _end_badly(cells[name, piece], _late(plan))
            continue
        watcher.hear(Progress(f"loading {_named(piece)} on {name}"))
        _prepare(fleet, cells, name, piece, until - perf_counter() + _GRACE_S)
        watcher.store(_timings(cells))


def _late(plan: Plan) -> Failed:
    return Failed("timeout", f"it was not ready within the {plan.ready_s:.0f} s that getting ready may take")


def _open(cells: _Cells) -> list[str]:
    return list(dict.fromkeys(name for (name, _), cell in cells.items() if not cell.done))


def _pieces_of(cells: _Cells, name: str) -> list[Piece]:
    """Those of the backend that are not done."""
    return [piece for (other, piece), cell in cells.items() if other == name and not cell.done]


def _open_cells(cells: _Cells) -> list[_Key]:
    return [key for key, cell in cells.items() if not cell.done]


def _named(piece: Piece) -> str:
    return f"{piece.part} ({piece.variant})" if piece.variant else piece.part


def _leave_out_what_cannot_run(plan: Plan, cells: _Cells) -> None:
    for name in _open(cells):
        found = backend(name).usable()
        types = backend(name).DTYPES
        if not found.ok:
            _fail(cells, name, Failed("absent", found.reason))
        elif plan.setup.dtype not in types:
            _fail(
                cells, name, Failed("unsupported", f"{name} takes {', '.join(types)}, not {plan.setup.dtype}")
            )


def _convert(plan: Plan, cells: _Cells, watcher: Watcher) -> None:
    """Let every open cell's backend find its form of the part in the cache."""
    wanted: dict[str, dict[Piece, None]] = {}
    for name in _open(cells):
        if format_name := backend(name).FORMAT:
            wanted.setdefault(format_name, {}).update(
                (piece, None) for (n, piece), cell in cells.items() if n == name and not cell.done
            )
    found = convert(
        {name: tuple(pieces) for name, pieces in wanted.items()}, plan.setup, plan.folder,
        timeout_s=plan.timeout_s, hear=lambda sentence: watcher.hear(Progress(sentence)),
        within_s=plan.ready_s / 2,
    )  # fmt: skip
    for (name, piece), cell in cells.items():
        if cell.done or not backend(name).FORMAT:
            continue
        result = found.get((backend(name).FORMAT, piece), _late(plan))
        if isinstance(result, Failed):
            _end_badly(cell, Failed(result.status, f"conversion: {result.reason}"))
        else:
            cell.timing = replace(cell.timing, convert_s=result[1].seconds, file_bytes=result[1].bytes)


def _prepare(fleet: Fleet, cells: _Cells, name: str, piece: Piece, within_s: float = inf) -> None:
    _note_prepared(cells[name, piece], fleet.prepare(name, piece, within_s))
    _bring_back(fleet, cells, name, before=piece)


def _bring_back(fleet: Fleet, cells: _Cells, name: str, before: Piece | None = None) -> None:
    """Where the worker has ended, another one with the pieces that were ready and are not done."""
    while fleet.revive(name):
        for (other, piece), cell in cells.items():
            if other == name and piece == before:
                break
            if other == name and not cell.done:
                _note_prepared(cell, fleet.prepare(name, piece))


def _note_prepared(cell: _Cell, answer: Prepared | Failed) -> None:
    if isinstance(answer, Failed):
        _end_badly(cell, answer)
        return
    cell.timing = replace(
        cell.timing, load_s=answer.load_s, first_s=answer.first_s,
        max_abs_err=answer.max_abs_err, max_rel_err=answer.max_rel_err,
        rms_rel_err=answer.rms_rel_err,
    )  # fmt: skip
    if answer.wrong:
        cell.timing = replace(cell.timing, status="wrong", reason=answer.wrong)


def _sample(plan: Plan, fleet: Fleet, cells: _Cells, watcher: Watcher) -> None:
    chance = random.Random(0)
    begin = perf_counter()
    end = begin + plan.budget_s
    round_number = 0
    share = plan.budget_s / _ROUNDS / max(1, len(_open_cells(cells)))
    seconds = min(max(_LEAST_VISIT_S, share), _MOST_VISIT_S)
    while (left := end - perf_counter()) > 0 and (open_cells := _open_cells(cells)):
        round_number += 1
        chance.shuffle(open_cells)
        for name, piece in open_cells:
            left = max(0.0, end - perf_counter())
            if left == 0 and round_number > 1:  # everything is visited once
                break
            if cells[name, piece].done:  # its worker has gone meanwhile
                continue
            what = f"round {round_number}: {_named(piece)} on {name}"
            watcher.hear(Progress(what, 1 - left / plan.budget_s, left))
            _note_visit(cells[name, piece], fleet.ask(name, Sample(piece, seconds)))
            if name not in fleet.workers:
                _bring_back(fleet, cells, name)
            if cells[name, piece].done:
                watcher.store(_timings(cells))
        watcher.store(_timings(cells))
    for cell in cells.values():
        if not cell.done:
            _close(cell, "budget")
    watcher.store(_timings(cells))


def _note_visit(cell: _Cell, answer: Visit | Failed) -> None:
    if isinstance(answer, Failed):
        _end_badly(cell, answer)
        return
    wall, many = sum(answer.samples), len(answer.samples)
    most = max(_LEAST_OF_VISIT, _odd(min(many, _MOST_SAMPLES)))
    cell.visits.append(thinned(answer.samples, most, len(cell.visits) * _GOLDEN % 1))
    cell.calls += len(answer.samples)
    cell.wall_s += wall
    cell.cpu_s += answer.cpu_per_wall * wall
    _keep_samples(cell, "")
    if (kept := cell.timing.summary) and kept.interval <= STEADY:  # by what the run will say
        _close(cell, "steady")


def _close(cell: _Cell, stopped: Stopped) -> None:
    _keep_samples(cell, stopped)
    cell.done = True


def _keep_samples(cell: _Cell, stopped: Stopped) -> None:
    each = max(_LEAST_OF_VISIT, _odd(_MOST_SAMPLES // max(1, len(cell.visits))))
    kept = [thinned(visit, each, n * _GOLDEN % 1) for n, visit in enumerate(cell.visits)]
    if each == _LEAST_OF_VISIT:
        cell.visits = kept  # which no more visits make shorter
    cell.timing = replace(
        cell.timing, samples_s=tuple(round(sample, 9) for visit in kept for sample in visit),
        visits=tuple(len(visit) for visit in kept), calls=cell.calls, stopped=stopped,
        cpu_per_wall=cell.cpu_s / cell.wall_s if cell.wall_s else None,
    )  # fmt: skip


def _odd(number: int) -> int:
    """The number, or the one below it: an odd number of samples has a middle one."""
    return number - 1 + number % 2


def _fail(cells: _Cells, name: str, failed: Failed) -> None:
    for (other, _), cell in cells.items():
        if other == name and not cell.done:
            _end_badly(cell, failed)


def _end_badly(cell: _Cell, failed: Failed) -> None:
    cell.timing = replace(cell.timing, status=failed.status, reason=failed.reason)
    cell.done = True
