"""`mnv3prof memory`: show peak activation memory and the memory plan."""

from typing import Annotated, Literal

import typer

from ...budgets.units import parse_bytes
from ...cost import memory as cost
from ...cost.counts import Dtype, count, total
from ...record.document import memory_document
from ...record.plan import NOT_READ, RuntimePlan
from ...record.run import Subject
from ...record.target import Target
from ...show import memory as show
from ...source import Source
from ..interrupts import stopped
from ..network import Settings
from ..options import (
    DEFAULT_SOURCE,
    DtypeOption,
    SourceArgument,
    backend_names,
    in_range,
    measuring_option,
    network_option,
    on_option,
    open_source,
    output_option,
)
from ..output import Output, Result, emit
from ..spread import spread


@spread
def memory(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    by: Annotated[
        Literal["block", "tensor"],
        output_option("--by", help="Live bytes of each block, or each tensor's offset in the arena."),
    ] = "block",
    dtype: DtypeOption = "fp32",
    batch: Annotated[int, network_option("--batch", help="Number of images.")] = 1,
    fit: Annotated[
        str | None,
        measuring_option(
            "--fit",
            metavar="SIZE",
            help="Exit with 1 if the arena, or with --on a runtime's plan, exceeds SIZE, e.g. 320KiB.",
        ),
    ] = None,
    image: Annotated[
        bool, measuring_option("--image/--no-image", help="Place the input image in the arena.")
    ] = True,
    alignment: Annotated[
        int, measuring_option("--alignment", help="Alignment of each tensor in the arena, in bytes.")
    ] = 1,
    on: Annotated[str | None, on_option(False)] = None,
    settings: Settings,
    output: Output,
) -> None:
    """Show peak activation memory and the memory plan.

    The arena is one buffer for all activations of the network with batch norm and activations fused;
    tensors are placed greedily by size. --on executorch,litert reads the arenas that these runtimes plan
    for the network, and lists the tensors that differ. Ctrl-C prints the arenas that were read. A run of
    profile --plans contains the plans for its dtype and batch. 320K, 320KB and 320KiB are the same size.

    Example: mnv3prof memory small --dtype int8 --fit 320KiB
    """
    in_range(batch, "--batch", 1, 1_000_000)
    in_range(alignment, "--alignment", 1, 65_536)
    budget = None if fit is None else parse_bytes(fit, "--fit")
    given = open_source(source)
    subject = settings.variant(given.subject, source)
    graph = subject.graph
    peaks = cost.peaks(graph, dtype, batch, image=image)
    arena = cost.arena(graph, dtype, batch, image=image, alignment=alignment)
    weights = total(count(graph, dtype)).weight_bytes
    verdict = None if budget is None else cost.fit(arena, peaks.fused, graph.block_names, budget)

    detail = show.blocks_sheet(graph, peaks) if by == "block" else show.arena_sheet(graph, arena)
    summary = show.summary_sheet(graph, peaks, arena, weights, dtype, batch, image=image)
    plans = _saved_plans(given, subject, dtype, batch) if on is None else _plans(subject, on, dtype, batch)
    planned = () if budget is None else tuple(_judged(plan, budget) for plan in plans if on or plan.bytes)
    fits = () if verdict is None else show.fit_sheets(graph, arena, verdict, planned)
    sheets = (summary, detail, show.alive_sheet(peaks), *fits, *show.plan_sheets(plans, arena))

    def document() -> object:
        memory = memory_document(subject, dtype, batch, peaks, arena, weights, verdict)
        return {**memory, "planned": plans, "planned_fit": planned} if plans else memory

    emit(Result(sheets, detail, document), output)
    if waiting := [plan for plan in plans if on and plan.reason == NOT_READ]:
        read = len(plans) - len(waiting)
        raise stopped(f"{read} of {len(plans)} memory plans were read; the same command starts again")
    no_plan = on is not None and not any(plan.bytes for plan in plans)
    fits_all = (verdict is None or verdict.fits) and all(one.fits for one in planned)
    if no_plan or not fits_all:
        raise typer.Exit(1)


def _judged(plan: RuntimePlan, budget: int) -> cost.Fits:
    """Return whether a runtime's plan fits; an unknown plan does not."""
    if not plan.bytes:
        return cost.Fits(plan.backend, None, None, plan.reason)
    return cost.Fits(plan.backend, plan.bytes, plan.bytes <= budget)


def _saved_plans(source: Source, subject: Subject, dtype: Dtype, batch: int) -> tuple[RuntimePlan, ...]:
    """Return the plans of a saved run, if it is of this network."""
    run = source.run
    if run is None or (run.subject.table, run.subject.input) != (subject.table, subject.input):
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
