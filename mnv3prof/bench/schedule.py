"""Schedule of bursts: rounds over parts × targets in random order, so that drift affects all equally."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from itertools import product
from math import ceil, inf
from pathlib import Path
from threading import Event, Lock
from time import perf_counter
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from ..device.protocol import PartKey, Prepared, Sample
from ..record.run import HERE
from ..record.target import Target, labels
from ..record.timing import CHECKED, Burst, Launch, Stopped, Timing
from ..workers.backends import compiles
from ..workers.requests import FileKind, Subjects
from ..workers.worker import Failed
from .convert import convert, file_kind
from .machines import Machines, Where
from .pool import STARTS, Interrupted, WorkerPool
from .progress import SAMPLING, OnProgress, Progress
from .tolerances import how_wrong

CONVERGED: Final = 0.02
"""Sampling of a part ends when the 95 % interval of its median reaches at most this share to a side."""
_ROUNDS: Final = 20
"""Bursts of each part that the budget is for; a part that converges earlier leaves its share to others."""
_LEAST_BURST_S: Final = 0.02
_MOST_BURST_S: Final = 0.2
_LAUNCH_ROUNDS: Final = 2
"""A process of a runtime is replaced after at least this number of rounds ..."""
_LAUNCH_SHARE: Final = 0.2
"""... if all starts together take at most this share of the budget."""
_LOOK_S: Final = 0.5
_GRACE_S: Final = 10.0
"""Extra time for a part beyond the limit of conversion and loading."""


class BenchPlan(NamedTuple):
    """What to time, and for how long.

    budget_s: sampling time of all parts together. timeout_s: limit of one request, after which its worker
    is killed. folder: of the cache. ready_s: limit of converting and loading, half of it for converting;
    parts that exceed it become timings with that reason.
    """

    subjects: Subjects
    parts: tuple[PartKey, ...]
    targets: tuple[Target, ...]
    folder: Path
    budget_s: float = 60.0
    timeout_s: float = 300.0
    ready_s: float = inf


class Callbacks(NamedTuple):
    """on_progress is called with each step, on_update with the timings so far when there are new ones."""

    on_progress: OnProgress = lambda _: None
    on_update: Callable[[tuple[Timing, ...]], None] = lambda _: None


class _Cell(msgspec.Struct):
    """State of one part on one target. launches: bursts of each process that has loaded the part."""

    timing: Timing
    launches: list[list[Burst]] = msgspec.field(default_factory=list)
    done: bool = False


_Key = tuple[Target, PartKey]
_Cells = dict[_Key, _Cell]
_Answers = dict[PartKey, Prepared | Failed]


def measure(
    plan: BenchPlan,
    callbacks: Callbacks = Callbacks(),  # noqa: B008
    known: Sequence[Timing] = (),
    machines: Where | None = None,
    before_round: Callable[[str, Event | None], object] = lambda *_: None,
) -> tuple[Timing, ...]:
    """Time each part on each target: on a device one at a time, on this machine before the other devices.

    known: timings of an earlier run; those that are final are not measured again. machines: where targets
    run, by default on this machine. before_round: called before each round of bursts with the device and what
    is set if it should return at once; its time does not count. A failure of a
    runtime is a timing with a status and a reason; the others continue.
    An interrupt ends the sampling; the timings so far are returned, marked as interrupted.
    """
    cells = _cells(plan, known)
    try:
        _measure(plan, cells, callbacks, machines or Machines(), before_round)
    except KeyboardInterrupt:
        _close_open(cells, "interrupted")
    return _timings(cells)


def _timings(cells: _Cells) -> tuple[Timing, ...]:
    return tuple(cell.timing for cell in cells.values())


def _cells(plan: BenchPlan, known: Sequence[Timing]) -> _Cells:
    cells = {
        (target, part): _Cell(Timing(variant=part.variant, part=part.part, target=target))
        for target, part in product(plan.targets, plan.parts)
    }
    for timing in known:
        cell = cells.get((timing.target, PartKey(timing.variant, timing.part)))
        if cell and timing.final:
            cell.timing, cell.done = timing, True
    return cells


def _measure(
    plan: BenchPlan,
    cells: _Cells,
    callbacks: Callbacks,
    machines: Where,
    before_round: Callable[[str, Event | None], object],
) -> None:
    for target in _open(cells):
        if failed := machines.obstacle(target):
            _fail(cells, target, failed)
    begin = perf_counter()
    _convert(plan, cells, callbacks)
    ready_s = plan.ready_s - (perf_counter() - begin)
    heard = callbacks._replace(on_update=lambda _: callbacks.on_update(_timings(cells)))
    devices = dict.fromkeys(target.device for target in _open(cells))
    groups = {
        device: _Group(
            plan._replace(budget_s=plan.budget_s * _share(cells, device)),
            {key: cell for key, cell in cells.items() if key[0].device == device},
            heard,
            machines,
            partial(before_round, device),
        )
        for device in devices
    }
    if (here := groups.pop(HERE, None)) is not None:
        _time(here, ready_s)
    if groups:
        _time_together(groups, ready_s)


class _Group(NamedTuple):
    """What is timed on one device."""

    plan: BenchPlan
    cells: _Cells
    callbacks: Callbacks
    machines: Where
    before_round: Callable[[Event | None], object]


def _share(cells: _Cells, device: str) -> float:
    """Return the share of the open cells that are of a device."""
    found = [target.device == device for target, _ in _open_cells(cells)]
    return sum(found) / len(found)


def _time(group: _Group, ready_s: float, stop: Event | None = None) -> None:
    plan, cells, machines = group.plan, group.cells, group.machines
    workers = {target: machines.worker(target, plan.subjects, STARTS) for target in _open(cells)}
    pool = WorkerPool(workers, plan.subjects, plan.folder, plan.timeout_s, stop)
    try:
        _get_ready(plan, ready_s, pool, cells, group.callbacks)
        for target in _open(cells):
            if machines.only_checks(target):
                _end_checked(cells, target)
        _sample(plan, pool, cells, group.callbacks, partial(group.before_round, stop))
    finally:
        pool.end()


def _time_together(groups: Mapping[str, _Group], ready_s: float) -> None:
    """Time devices at the same time, each in a thread; this machine only waits."""
    stop, lock = Event(), Lock()
    latest: dict[str, Progress] = {}
    with ThreadPoolExecutor(len(groups)) as executor:
        jobs = []
        for device, group in groups.items():
            update, progress = group.callbacks.on_update, group.callbacks.on_progress
            heard = Callbacks(
                _together(device, latest, lock, progress, one=len(groups) == 1), _locked(lock, update)
            )
            jobs.append(executor.submit(_until_stopped, group._replace(callbacks=heard), ready_s, stop))
        try:
            for job in jobs:
                job.result()
        except BaseException:
            stop.set()
            raise


def _until_stopped(group: _Group, ready_s: float, stop: Event) -> None:
    with suppress(Interrupted):
        _time(group, ready_s, stop)


def _locked(
    lock: Lock, on_update: Callable[[tuple[Timing, ...]], None]
) -> Callable[[tuple[Timing, ...]], None]:
    def update(timings: tuple[Timing, ...]) -> None:
        with lock:
            on_update(timings)

    return update


def _together(
    device: str, latest: dict[str, Progress], lock: Lock, on_progress: OnProgress, *, one: bool
) -> OnProgress:
    """Return a function that reports what every device does."""

    def report(progress: Progress) -> None:
        with lock:
            latest[device] = progress
            if one:
                on_progress(progress)
                return
            text = "; ".join(f"{name}: {each.text}" for name, each in latest.items())
            left_s = [each.left_s for each in latest.values() if each.left_s is not None]
            phase = f"measuring on {', '.join(latest)}"
            on_progress(Progress(text, progress.share, max(left_s, default=None), phase))

    return report


def _get_ready(
    plan: BenchPlan, ready_s: float, pool: WorkerPool, cells: _Cells, callbacks: Callbacks
) -> None:
    """Start the runtimes and load all open parts.

    Runtimes that compile while loading do so in a thread, since they take longer than all others together.
    """
    end = perf_counter() + ready_s
    called = labels(plan.targets)
    beside = [target for target in _open(cells) if compiles(target.backend)]
    others = [target for target in _open(cells) if target not in beside]
    executor = ThreadPoolExecutor(1)
    compiled: dict[Target, _Answers] = {target: {} for target in beside}
    compiling = {
        target: executor.submit(_compile, pool, target, _parts_of(cells, target), end, compiled[target])
        for target in beside
    }
    try:
        for target in others:
            callbacks.on_progress(Progress(called[target], phase="starting the runtimes"))
            if failed := pool.start(target):
                _fail(cells, target, failed)
        _load(plan, end, others, pool, cells, callbacks)
        for target, answers in compiled.items():
            parts = _parts_of(cells, target)
            while not wait([compiling[target]], _LOOK_S).done:
                ready = f"{len(answers)} of {len(parts)} parts are ready"
                callbacks.on_progress(Progress(ready, phase=f"compiling on {called[target]}"))
            compiling[target].result()
            for part, answer in answers.items():
                _note_prepared(cells[target, part], answer)
            rest = [part for part in parts if part not in answers]
            if _parts_of(cells, target):
                _bring_back(pool, cells, target, before=rest[0] if rest else None)
            _load_parts(plan, end, target, rest, pool, cells, callbacks)
            callbacks.on_update(_timings(cells))
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _compile(pool: WorkerPool, target: Target, parts: list[PartKey], end: float, answers: _Answers) -> None:
    """Load parts, until the worker ends or the time is up."""
    if failed := pool.start(target):
        answers |= dict.fromkeys(parts, failed)
        return
    for part in parts:
        left = end - perf_counter()
        if pool.is_lost(target) or left <= 0:
            return
        answers[part] = pool.prepare(target, part, left + _GRACE_S)


def _load(
    plan: BenchPlan, end: float, targets: list[Target], pool: WorkerPool, cells: _Cells, callbacks: Callbacks
) -> None:
    """Load all open parts; the remaining time is shared equally by the targets."""
    for number, target in enumerate(targets):
        now = perf_counter()
        until = now + (end - now) / (len(targets) - number)
        _load_parts(plan, until, target, _parts_of(cells, target), pool, cells, callbacks)


def _load_parts(
    plan: BenchPlan,
    until: float,
    target: Target,
    parts: list[PartKey],
    pool: WorkerPool,
    cells: _Cells,
    callbacks: Callbacks,
) -> None:
    where = labels(plan.targets)[target]
    for part in parts:
        if cells[target, part].done:  # its worker has gone meanwhile
            continue
        if perf_counter() > until:
            _end_badly(cells[target, part], _late(plan))
            continue
        callbacks.on_progress(Progress(f"{_named(part)} on {where}", phase="loading parts"))
        _prepare(pool, cells, target, part, until - perf_counter() + _GRACE_S)
        callbacks.on_update(_timings(cells))


def _late(plan: BenchPlan) -> Failed:
    return Failed("timeout", f"it was not ready within the {plan.ready_s:.0f} s that getting ready may take")


def _open(cells: _Cells) -> list[Target]:
    return list(dict.fromkeys(target for (target, _), cell in cells.items() if not cell.done))


def _parts_of(cells: _Cells, target: Target) -> list[PartKey]:
    """Return the parts of the target that are not done."""
    return [part for (other, part), cell in cells.items() if other == target and not cell.done]


def _open_cells(cells: _Cells) -> list[_Key]:
    return [key for key, cell in cells.items() if not cell.done]


def _named(part: PartKey) -> str:
    return f"{part.part} ({part.variant})" if part.variant else part.part


def _convert(plan: BenchPlan, cells: _Cells, callbacks: Callbacks) -> None:
    """Convert all open parts into the cache."""
    kinds = {target: file_kind(target) for target in _open(cells)}
    wanted: dict[FileKind, dict[PartKey, None]] = {}
    for target, part in _open_cells(cells):
        if kind := kinds[target]:
            wanted.setdefault(kind, {})[part] = None
    conversions = convert(
        {kind: tuple(parts) for kind, parts in wanted.items()},
        plan.subjects,
        plan.folder,
        timeout_s=plan.timeout_s,
        on_progress=callbacks.on_progress,
        within_s=plan.ready_s / 2,
    )
    for target, part in _open_cells(cells):
        cell, kind = cells[target, part], kinds[target]
        if kind is None:
            continue
        result = conversions.get((kind, part), _late(plan))
        if isinstance(result, Failed):
            _end_badly(cell, Failed(result.status, f"conversion: {result.reason}"))
        else:
            cell.timing = replace(cell.timing, convert_s=result[1].seconds, file_bytes=result[1].bytes)


def _prepare(pool: WorkerPool, cells: _Cells, target: Target, part: PartKey, within_s: float = inf) -> None:
    _note_prepared(cells[target, part], pool.prepare(target, part, within_s))
    _bring_back(pool, cells, target, before=part)


def _bring_back(pool: WorkerPool, cells: _Cells, target: Target, before: PartKey | None = None) -> None:
    """Restart a dead worker and reload its unfinished parts."""
    while pool.revive(target):
        for (other, part), cell in cells.items():
            if other == target and part == before:
                break
            if other == target and not cell.done:
                _note_prepared(cell, pool.prepare(target, part))


def _note_prepared(cell: _Cell, answer: Prepared | Failed) -> None:
    if isinstance(answer, Failed):
        _end_badly(cell, answer)
        return
    cell.launches.append([])
    cell.timing = replace(
        cell.timing,
        load_s=answer.load_s,
        first_s=answer.first_s,
        max_abs_err=answer.max_abs_err,
        max_rel_err=answer.max_rel_err,
        rms_rel_err=answer.rms_rel_err,
    )
    if reason := how_wrong(answer, cell.timing.target.dtype, cell.timing.part):
        cell.timing = replace(cell.timing, status="mismatch", reason=reason)


def _sample(
    plan: BenchPlan, pool: WorkerPool, cells: _Cells, callbacks: Callbacks, before_round: Callable[[], object]
) -> None:
    chance = random.Random(0)
    share = plan.budget_s / _ROUNDS / max(1, len(_open_cells(cells)))
    seconds = min(max(_LEAST_BURST_S, share), _MOST_BURST_S)
    launched = Counter(_open(cells))
    allowance = _LAUNCH_SHARE * plan.budget_s / max(1, len(launched))
    called = labels(plan.targets)
    round_number = 0
    end = perf_counter() + plan.budget_s

    def report_progress(what: str) -> None:
        left = max(0.0, end - perf_counter())
        callbacks.on_progress(Progress(what, 1 - left / plan.budget_s, left, SAMPLING))

    while perf_counter() < end and (open_cells := _open_cells(cells)):
        for target in _open(cells):
            launches = 1 + int(allowance / pool.launch_s[target])
            if launched[target] < launches and round_number >= launched[target] * _rounds_each(launches):
                launched[target] += 1
                report_progress(f"restarting {called[target]}")
                _relaunch(pool, cells, target)
        round_number += 1
        paused = perf_counter()
        before_round()
        end += perf_counter() - paused
        chance.shuffle(open_cells)
        for target, part in open_cells:
            if perf_counter() >= end and round_number > 1:  # everything has one burst
                break
            if cells[target, part].done:  # its worker has gone meanwhile
                continue
            report_progress(f"{_named(part)} on {called[target]}, round {round_number}")
            _note_burst(cells[target, part], pool.ask(target, Sample(part, seconds), Burst))
            if pool.is_lost(target):
                _bring_back(pool, cells, target)
            if cells[target, part].done:
                callbacks.on_update(_timings(cells))
        callbacks.on_update(_timings(cells))
    _close_open(cells, "budget")
    callbacks.on_update(_timings(cells))


def _rounds_each(launches: int) -> int:
    """Return the number of rounds per process."""
    return max(_LAUNCH_ROUNDS, ceil(_ROUNDS / launches))


def _relaunch(pool: WorkerPool, cells: _Cells, target: Target) -> None:
    """Continue in a new process: memory layout, and so a part of the speed, is fixed per process."""
    if failed := pool.relaunch(target):
        _fail(cells, target, failed)
    for part in _parts_of(cells, target):
        if not cells[target, part].done:  # its worker has gone meanwhile
            _prepare(pool, cells, target, part)


def _note_burst(cell: _Cell, answer: Burst | Failed) -> None:
    if isinstance(answer, Failed):
        _end_badly(cell, answer)
        return
    cell.launches[-1].append(answer)
    _keep_bursts(cell, "")
    summary = cell.timing.summary
    if summary and summary.interval <= CONVERGED and not cell.timing.contended:
        _close(cell, "converged")


def _close_open(cells: _Cells, stopped: Stopped) -> None:
    for key in _open_cells(cells):
        _close(cells[key], stopped)


def _close(cell: _Cell, stopped: Stopped) -> None:
    _keep_bursts(cell, stopped)
    cell.done = True


def _keep_bursts(cell: _Cell, stopped: Stopped) -> None:
    launches = tuple(Launch(tuple(bursts)) for bursts in cell.launches if bursts)
    cell.timing = replace(cell.timing, launches=launches, stopped=stopped)


def _end_checked(cells: _Cells, target: Target) -> None:
    """Close what was only checked: its times are dropped."""
    for part in _parts_of(cells, target):
        cell = cells[target, part]
        cell.timing = replace(
            cell.timing, load_s=None, first_s=None, reason=cell.timing.reason or CHECKED, stopped="checked"
        )
        cell.done = True


def _fail(cells: _Cells, target: Target, failed: Failed) -> None:
    for part in _parts_of(cells, target):
        _end_badly(cells[target, part], failed)


def _end_badly(cell: _Cell, failed: Failed) -> None:
    lost = failed.lost and cell.timing.target.device != HERE
    cell.timing = replace(cell.timing, status=failed.status, reason=failed.reason, lost=lost)
    cell.done = True
