"""Runs as commands write and print them."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from ..cost.counts import Dtype
from ..graph.errors import InputError
from ..record.document import run_document
from ..record.plan import RuntimePlan
from ..record.run import ASKING_INTERRUPTED, Run
from ..record.timing import Timing
from ..render.sheet import Sheet
from ..show.latency import latency_sheets, samples_sheet
from ..show.operators import notes_sheets, operator_sheets
from .interrupts import stopped, what_is_saved
from .output import Output, Result, emit, form_of
from .progress import progress

if TYPE_CHECKING:
    from ..bench.profile import Request


def with_readings(run: Run) -> Run:
    """The run with what the field's counters print for its network; a note where it is too large for them."""
    from ..cost.counters import readings
    from ..mobilenetv3.network import build

    subject = run.subject
    try:
        found = readings(partial(build, subject.table), subject.graph)
        return msgspec.structs.replace(run, readings=found)
    except InputError as error:
        note = f"The field's counters were not run: {error}."
        return msgspec.structs.replace(run, notes=(*run.notes, note))


def with_plans(run: Run, request: "Request") -> Run:
    """The run with the arenas that its backends plan for the network; those it has are not asked again."""
    from ..bench import cache
    from ..bench.plan import runtime_plans

    known = {(plan.dtype, plan.batch, plan.backend) for plan in run.plans if plan.bytes}
    wanted = {(t.dtype, t.batch, t.backend): None for t in request.targets}
    asked: dict[tuple[Dtype, int], list[str]] = {}
    for dtype, batch, name in [each for each in wanted if each not in known]:
        asked.setdefault((dtype, batch), []).append(name)
    found: list[RuntimePlan] = []
    with progress() as hear, cache.opened(request.folder) as folder:
        for (dtype, batch), names in asked.items():
            found += runtime_plans(run.subject, names, dtype, batch, folder, hear, request.timeout_s)
    missing = [(*how, name) for how, names in asked.items() for name in names]
    kept = [plan for plan in run.plans if (plan.dtype, plan.batch, plan.backend) not in missing]
    return msgspec.structs.replace(run, plans=(*kept, *found))


def encoded(run: Run) -> str:
    """The run's document."""
    return msgspec.json.format(msgspec.json.encode(run_document(run)), indent=1).decode() + "\n"


def emit_run(
    run: Run, output: Output, before: tuple[Sheet, ...] = (), also: Mapping[str, Any] | None = None,
    *, again: bool = False, tried: Sequence[Timing] | None = None, saved: Path | None = None,
    resume: str = "",
) -> None:  # fmt: skip
    """Print the run or write it, and exit with 1 if it failed(), with 130 after an interrupt.

    before: sheets above the run's own; also: what its document holds besides; again: whether it is a
    saved run, whose interrupt is long over; tried: the timings that were asked for, if not all; saved: the
    run's file, if that is not the output; resume: the command that continues it after an interrupt.
    """
    sheets = (*before, *latency_sheets(run), *operator_sheets(run), *notes_sheets(run))
    emit(Result(sheets, samples_sheet(run), lambda: {**run_document(run), **(also or {})}), output)
    if not again and was_interrupted(run):
        path = output.output if output.output and form_of(output) == "json" else saved
        raise stopped(what_is_saved(run.timings if tried is None else tried, path, resume))
    if failed(run.timings, tried):
        raise typer.Exit(1)


def failed(timings: Sequence[Timing], tried: Sequence[Timing] | None = None) -> bool:
    """Whether an output was wrong, or nothing of what was tried, by default everything, has a time."""
    wrong = any(timing.status == "wrong" for timing in timings)
    return wrong or nothing_timed(timings if tried is None else tried)


def nothing_timed(timings: Sequence[Timing]) -> bool:
    """Whether there are timings, none of which has a time."""
    return bool(timings) and all(timing.seconds is None for timing in timings)


def was_interrupted(run: Run) -> bool:
    """Whether the user ended the measuring."""
    return ASKING_INTERRUPTED in run.notes or any(t.stopped == "interrupted" for t in run.timings)
