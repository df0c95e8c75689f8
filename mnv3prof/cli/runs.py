"""Completing, printing and saving of runs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from ..bench.progress import Progress
from ..cost.conventions import Reading
from ..cost.counts import Dtype
from ..graph.errors import InputError
from ..record.document import run_document
from ..record.plan import NOT_READ, RuntimePlan
from ..record.run import COUNTERS_INTERRUPTED, HERE, Run, Subject
from ..record.timing import Timing
from ..render.sheet import Sheet
from ..show.answers import answer_sheets
from ..show.latency import latency_sheets, samples_sheet
from ..show.load import busy_sheets
from ..show.operators import notes_sheets, operator_sheets
from ..show.order import UNSORTED, Order
from .interrupts import stopped, what_is_saved
from .output import Output, Result, emit, output_format
from .progress import progress, step
from .streams import say

if TYPE_CHECKING:
    from ..bench.profile import Request


def counter_readings(subject: Subject) -> tuple[Reading, ...]:
    """Run other FLOP counters on a network. Raises InputError if it does not fit into memory."""
    with progress() as on_progress:
        on_progress(Progress("loading PyTorch"))
        from ..cost.counters import readings

        return readings(
            _maker(subject), subject.graph, lambda package: on_progress(Progress(f"counting with {package}"))
        )


def _maker(subject: Subject) -> Callable[[], Any]:
    """Return what builds the network with weights. Raises InputError for a network of a file."""
    if subject.captured:
        from ..capture.reference import module_of, require_module

        require_module(subject.captured)
        return partial(module_of, subject.captured)
    from ..mobilenetv3.network import build

    return partial(build, subject.table)


def with_readings(run: Run) -> Run:
    """Return the run with the results of other FLOP counters, or with a note why they were not run.

    After an interrupt, those that have run are in the run, with a note.
    """
    try:
        return msgspec.structs.replace(run, readings=counter_readings(run.subject))
    except KeyboardInterrupt:
        return msgspec.structs.replace(run, notes=(*run.notes, COUNTERS_INTERRUPTED))
    except InputError as error:
        note = f"Other FLOP counters were not run: {error}."
        return msgspec.structs.replace(run, notes=(*run.notes, note))


def with_plans(run: Run, request: "Request") -> Run:
    """Return the run with the memory plans of its backends; plans that it already has are kept.

    After an interrupt, the plans that were not read have that reason.
    """
    from ..bench.plan import runtime_plans
    from ..workers import cache

    wanted = {(t.dtype, t.batch, t.backend): None for t in request.targets}
    known = {(p.dtype, p.batch, p.backend): p for p in run.plans}
    known = {key: plan for key, plan in known.items() if plan.bytes or key not in wanted}
    missing: dict[tuple[Dtype, int], list[str]] = {}
    for dtype, batch, name in [key for key in wanted if key not in known]:
        missing.setdefault((dtype, batch), []).append(name)
    plans: list[RuntimePlan] = []
    with progress() as on_progress, cache.opened(request.folder) as folder:
        for (dtype, batch), names in missing.items():
            if any(plan.reason == NOT_READ for plan in plans):
                plans += [RuntimePlan(name, reason=NOT_READ, dtype=dtype, batch=batch) for name in names]
                continue
            plans += runtime_plans(run.subject, names, dtype, batch, folder, on_progress, request.timeout_s)
    return msgspec.structs.replace(run, plans=(*known.values(), *plans))


def emit_run(
    run: Run,
    output: Output,
    order: Order = UNSORTED,
    before: tuple[Sheet, ...] = (),
    also: Mapping[str, Any] | None = None,
    *,
    again: bool = False,
    tried: Sequence[Timing] | None = None,
    saved: Path | None = None,
    resume: str = "",
) -> None:
    """Print or write the run. Exit with 1 if it failed(), with 130 if it was interrupted.

    order: of the rows. before: sheets above those of the run. also: more keys of its document. again: True
    for a saved run, whose interrupt does not count. tried: the timings of this command, if not all. saved:
    the run's file, if that is not the output. resume: the command that continues the run.
    """
    with step("computing statistics"):
        sheets = (
            *busy_sheets(run),
            *before,
            *answer_sheets(run, order),
            *latency_sheets(run, order),
            *operator_sheets(run, order),
            *notes_sheets(run),
        )
    emit(Result(sheets, samples_sheet(run), lambda: {**run_document(run), **(also or {})}), output)
    fresh = run if tried is None else msgspec.structs.replace(run, timings=tuple(tried))
    path = output.output if output.output and output_format(output) == "json" else saved
    if not again and fresh.was_interrupted:
        raise stopped(what_is_saved(fresh.timings, path, resume, fresh.readings, fresh.plans))
    elsewhere = [timing for timing in fresh.timings if timing.target.device != HERE]
    if not again and resume and path and (missing := sum(not timing.final for timing in elsewhere)):
        times = f"{len(elsewhere)} time{'s' * (len(elsewhere) > 1)}"
        say(f"mnv3prof: {missing} of {times} on devices could not be measured; to try again: {resume}")
    if failed(run.timings, tried):
        raise typer.Exit(1)


def failed(timings: Sequence[Timing], tried: Sequence[Timing] | None = None) -> bool:
    """True if an output is a mismatch, or if none of the tried timings (by default all) has a time."""
    mismatch = any(timing.status == "mismatch" for timing in timings)
    return mismatch or nothing_timed(timings if tried is None else tried)


def nothing_timed(timings: Sequence[Timing]) -> bool:
    """True if there are timings and none has a time."""
    return bool(timings) and all(timing.seconds is None and timing.stopped != "checked" for timing in timings)
