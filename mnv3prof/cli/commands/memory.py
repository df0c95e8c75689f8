"""`mnv3prof memory`: how many bytes of activations are alive, where, and the arena that holds them."""

from typing import Annotated, Literal

import typer

from ...budgets.units import parse_bytes
from ...cost import memory as cost
from ...cost.counts import Dtype, count, total
from ...record.document import memory_document
from ...record.plan import RuntimePlan
from ...record.run import Subject
from ...show import memory as show
from ...show.plan import plan_sheets
from ...source import Source, open_source
from ..network import Settings
from ..options import DEFAULT_SOURCE, DtypeOption, OnOption, SourceArgument, backend_names, in_range
from ..output import Output, Result, emit
from ..spread import spread


@spread
def memory(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    by: Annotated[
        Literal["block", "tensor"],
        typer.Option("--by", help="Bytes alive in each block, or each tensor's place in the arena."),
    ] = "block",
    dtype: DtypeOption = "fp32",
    batch: Annotated[int, typer.Option("--batch", help="Number of images.")] = 1,
    fit: Annotated[
        str | None,
        typer.Option("--fit", help="Does the arena fit into this size, as 320KiB? Exit code 1 if not."),
    ] = None,
    image: Annotated[
        bool, typer.Option("--image/--no-image", help="Whether the input image lies in the arena too.")
    ] = True,
    alignment: Annotated[
        int, typer.Option("--alignment", help="Bytes to which the arena aligns each tensor.")
    ] = 1,
    on: OnOption = None,
    settings: Settings,
    output: Output,
) -> None:
    """Tell how many bytes of activations are alive, where the peak is, and what arena holds them.

    --on executorch,litert reads the arena that those runtimes really planned for this network, and
    names the tensors that make the difference. A run that profile --plans made has them, for
    its type and batch.

    Example: mnv3prof memory small --dtype int8 --fit 320KiB
    """
    in_range(batch, "--batch", 1, 1_000_000)
    in_range(alignment, "--alignment", 1, 65_536)
    budget = None if fit is None else parse_bytes(fit, "--fit")
    opened = open_source(source)
    subject = settings.variant(opened.subject, opened.text)
    graph = subject.graph
    peaks = cost.peaks(graph, dtype, batch, image=image)
    arena = cost.arena(graph, dtype, batch, image=image, alignment=alignment)
    weights = total(count(graph, dtype)).weight_bytes
    verdict = None if budget is None else cost.fit(arena, peaks.folded, graph.block_names, budget)

    detail = show.blocks_sheet(graph, peaks) if by == "block" else show.arena_sheet(graph, arena)
    summary = show.summary_sheet(graph, peaks, arena, weights, dtype, batch, image=image)
    fits = () if verdict is None else (show.fit_sheet(graph, arena, verdict),)
    plans = _kept(opened, subject, dtype, batch) if on is None else _plans(subject, on, dtype, batch)
    sheets = (summary, detail, show.alive_sheet(peaks), *fits, *plan_sheets(plans, arena))

    def document() -> object:
        found = memory_document(subject, dtype, batch, peaks, arena, weights, verdict)
        return {**found, "planned": plans} if plans else found

    emit(Result(sheets, detail, document), output)
    if verdict is not None and not verdict.fits:
        raise typer.Exit(1)


def _kept(source: Source, subject: Subject, dtype: Dtype, batch: int) -> tuple[RuntimePlan, ...]:
    """The plans in a run that is of this network as it is shown."""
    run = source.run
    if run is None or (run.subject.table, run.subject.input) != (subject.table, subject.input):
        return ()
    return run.planned(dtype, batch)


def _plans(subject: Subject, on: str, dtype: Dtype, batch: int) -> tuple[RuntimePlan, ...]:
    from ...bench.cache import opened
    from ...bench.cache_folder import usable_folder
    from ...bench.plan import runtime_plans
    from ..progress import progress
    from ..streams import say

    names = backend_names(on)
    with progress() as hear, opened(usable_folder(say)) as folder:
        return runtime_plans(subject, names, dtype, batch, folder, hear)
