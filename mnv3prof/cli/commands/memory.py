"""`mnv3prof memory`: show peak activation memory and the memory plan."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, NamedTuple

import typer

from ...cost.counts import Dtype
from ...cost.fitting import Remedy
from ...cost.memory import Fit, Fits, fit
from ...graph.graph import Graph
from ...record.document import memory_document
from ...record.plan import NOT_READ, RuntimePlan
from ...record.run import Subject
from ...record.target import Target
from ...render.sheet import Sheet
from ...show import memory as show
from ...source import Source
from ..interrupts import stopped
from ..network import Settings
from ..options import (
    DEFAULT_SOURCE,
    PartsOption,
    SourceArgument,
    backend_names,
    on_option,
    open_source,
    output_option,
    parts_named,
)
from ..ordering import Ordering
from ..output import Output, Result, emit
from ..planning import Budgets, Limits, Planned, Planning, remedies
from ..spread import spread

_METRICS: Final = {"block": ("macs", "params", "share", "memory"), "tensor": ("share", "memory")}
"""What rows can be sorted by."""


@spread
def memory(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    by: Annotated[
        Literal["block", "tensor"],
        output_option("--by", help="Live bytes of each block, or each tensor's offset in the arena."),
    ] = "block",
    parts: PartsOption = None,
    planning: Planning,
    limits: Limits,
    on: Annotated[str | None, on_option(False)] = None,
    settings: Settings,
    ordering: Ordering,
    output: Output,
) -> None:
    """Show peak activation memory and the memory plan.

    The arena is one buffer for all activations of the network with batch norm and activations fused;
    tensors are placed greedily by size. --fit says whether it fits, which blocks do not, and which input,
    width or option would. --on executorch,litert reads the arenas that these runtimes plan for the
    network, and lists the tensors that differ; Ctrl-C prints those that were read. A run of profile --plans
    contains the plans for its dtype and batch. 320K, 320KB and 320KiB are the same size.

    Example: mnv3prof memory small --dtype int8 --fit 320KiB
    """
    planning.check()
    order = ordering.order("memory", "memory", _METRICS[by])
    budgets = limits.parsed()
    given = open_source(source, settings.input)
    subject = settings.variant(given.subject, source)
    graph = subject.graph
    chosen = parts_named(parts, graph) if parts is not None else ()
    plan = planning.plan(graph)
    size = planning.dtype, planning.batch
    plans = _saved_plans(given, subject, *size) if on is None else _plans(subject, on, *size)
    judged = _judge(plan, subject, budgets.arena, [each for each in plans if on or each.bytes])
    fits = budgets.hold(plan.arena.bytes, plan.weight_bytes)
    changes = () if fits else tuple(remedies(given.subject, settings, planning, budgets))
    detail = (
        show.blocks_sheet(graph, plan.peaks, chosen, order)
        if by == "block"
        else show.arena_sheet(graph, plan.arena, chosen, order)
    )
    sheets = (
        *_fit_sheets(subject, plan, judged, changes, budgets),
        _summary(graph, plan, planning),
        detail,
        show.alive_sheet(plan.peaks),
        *show.plan_sheets(plans, plan.arena),
    )

    def document() -> object:
        memory = memory_document(subject, *size, plan.peaks, plan.arena, plan.weight_bytes, judged.ours)
        memory |= {"in_place_depthwise": planning.in_place_depthwise, "remedies": changes}
        return {**memory, "planned": plans, "planned_fit": judged.planned} if plans else memory

    emit(Result(sheets, detail, document), output)
    read = _read(plans) if on is not None else True
    if not (read and judged.fits and fits):
        raise typer.Exit(1)


def _read(plans: Sequence[RuntimePlan]) -> bool:
    """Return True if a plan of a runtime was read. Raises Exit if an interrupt ended the reading."""
    if waiting := [plan for plan in plans if plan.reason == NOT_READ]:
        read = len(plans) - len(waiting)
        raise stopped(f"{read} of {len(plans)} memory plans were read; the same command starts again")
    return any(plan.bytes for plan in plans)


def _summary(graph: Graph, plan: Planned, planning: Planning) -> Sheet:
    memory = plan.peaks, plan.arena, plan.weight_bytes
    size, over = (planning.dtype, planning.batch), planning.in_place_depthwise
    return show.summary_sheet(graph, *memory, *size, image=planning.image, in_place=over)


class _Judged(NamedTuple):
    """Whether our plan and those of runtimes fit; None and () without a budget."""

    ours: Fit | None = None
    planned: tuple[Fits, ...] = ()

    @property
    def fits(self) -> bool:
        """True if all fit."""
        return (self.ours is None or self.ours.fits) and all(each.fits for each in self.planned)


def _judge(plan: Planned, subject: Subject, budget: int | None, plans: Sequence[RuntimePlan]) -> _Judged:
    if budget is None:
        return _Judged()
    ours = fit(plan.arena, plan.peaks.fused, subject.graph.block_names, budget)
    return _Judged(ours, tuple(_judged(each, budget) for each in plans))


def _fit_sheets(
    subject: Subject, plan: Planned, judged: _Judged, changes: Sequence[Remedy], budgets: Budgets
) -> tuple[Sheet, ...]:
    """Return the verdicts on --fit and --flash."""
    graph, weights = subject.graph, plan.weight_bytes
    verdict = judged.ours
    sheets = () if verdict is None else show.fit_sheets(graph, plan.arena, verdict, judged.planned, weights)
    flash = () if budgets.flash is None else (show.flash_sheet(graph, weights, budgets.flash),)
    more = (show.remedies_sheet(changes, *budgets),) if changes else ()
    return (*sheets, *flash, *more)


def _judged(plan: RuntimePlan, budget: int) -> Fits:
    """Return whether a runtime's plan fits; an unknown plan does not."""
    if not plan.bytes:
        return Fits(plan.backend, None, None, plan.reason)
    return Fits(plan.backend, plan.bytes, plan.bytes <= budget)


def _saved_plans(source: Source, subject: Subject, dtype: Dtype, batch: int) -> tuple[RuntimePlan, ...]:
    """Return the plans of a saved run, if it is of this network."""
    run = source.run
    if run is None or not run.subject.is_same_network(subject):
        return ()
    return run.planned(dtype, batch)


def _plans(subject: Subject, on: str, dtype: Dtype, batch: int) -> tuple[RuntimePlan, ...]:
    from ...bench.obstacles import require_one
    from ...bench.plan import plan_obstacle, runtime_plans
    from ...workers.cache import opened
    from ...workers.cache_folder import usable_folder
    from ..progress import progress
    from ..streams import say

    names = backend_names(on)
    require_one([Target(backend=name, dtype=dtype, batch=batch) for name in names], "--on", plan_obstacle)
    with progress() as on_progress, opened(usable_folder(say)) as folder:
        return runtime_plans(subject, names, dtype, batch, folder, on_progress)
