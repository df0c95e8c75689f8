"""`mnv3prof flops`: count MACs, FLOPs, parameters and bytes, and compare with other counters."""

from collections.abc import Sequence
from typing import Annotated

import typer

from ...cost.conventions import COUNTERS, Reading
from ...cost.counts import BatchNorm, By, count
from ...graph.errors import InputError, about, lookup
from ...record.document import convention_document, cost_document, reconciliation_document
from ...record.run import Subject
from ...show.costs import cost_sheet
from ...show.order import UNSORTED
from ..interrupts import stopped, stopping
from ..network import Settings
from ..options import (
    DEFAULT_SOURCE,
    BatchOption,
    CrossCheckOption,
    DtypeOption,
    PartsOption,
    SourceArgument,
    batch_in_range,
    measuring_option,
    network_option,
    open_source,
    output_option,
    parts_named,
)
from ..ordering import Ordering
from ..output import Output, Result, emit
from ..runs import counter_readings
from ..spread import spread


@spread
def flops(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    by: Annotated[By, output_option("--by", help="What each row shows.")] = "block",
    parts: PartsOption = None,
    dtype: DtypeOption = "fp32",
    batch: BatchOption = 1,
    batch_norm: Annotated[
        BatchNorm,
        network_option("--batch-norm", help="Batch norm folded into its convolution, or a separate layer."),
    ] = "folded",
    cross_check: CrossCheckOption = False,
    as_tool: Annotated[
        str | None,
        measuring_option(
            "--as", metavar="COUNTER", help=f"Count by another counter's rules: {', '.join(COUNTERS)}."
        ),
    ] = None,
    settings: Settings,
    ordering: Ordering,
    output: Output,
) -> None:
    """Count MACs, FLOPs, parameters and bytes per block.

    MAC: one multiply-accumulate of a convolution, linear layer or matrix product. FLOPs: 2 x MACs plus
    every other arithmetic operation. Weights: bytes with batch norm folded. Read and written: bytes if
    each tensor and each weight is moved once. The total is a lower bound, written with >=, if the price
    of an operation is unknown.

    --cross-check runs other counters and lists the operations that explain each difference. It exits
    with 1 if a counter is not fully reconciled. Ctrl-C prints the results of those that have run.

    Example: mnv3prof flops --input 224
    """
    if as_tool is not None:
        lookup(as_tool, COUNTERS, "--as")
    if cross_check and as_tool is not None:
        raise InputError("--cross-check and --as cannot be combined; expected one of them")
    if cross_check and by != "block":
        raise InputError(
            "--cross-check and --by cannot be combined; --cross-check has a row per class of operation"
        )
    order = ordering.order("flops", "macs", ("macs", "params", "share", "memory"))
    if cross_check or as_tool is not None:
        _refuse(parts is not None, "--parts")
        _refuse(order != UNSORTED, "--sort and --top")
        _refuse((dtype, batch, batch_norm) != ("fp32", 1, "folded"), "--dtype, --batch and --batch-norm")
    batch_in_range(batch)
    subject = settings.variant(open_source(source, settings.input).subject, source)
    graph = subject.graph
    chosen = parts_named(parts, graph) if parts is not None else ()
    if cross_check:
        _cross_check(subject, output)
    elif as_tool is not None:
        from ...show.readings import convention_sheet

        sheet = convention_sheet(graph, as_tool, by)
        emit(Result((sheet,), sheet, lambda: convention_document(subject, as_tool)), output)
    else:
        costs = count(graph, dtype, batch_norm, batch)
        with about("--sort"):
            sheet = cost_sheet(graph, costs, by, dtype, batch_norm, chosen, order)
        emit(Result((sheet,), sheet, lambda: cost_document(subject, costs, dtype, batch_norm)), output)


def _refuse(given: bool, options: str) -> None:
    if given:
        raise InputError(f"{options} cannot be combined with --cross-check or --as")


def _cross_check(subject: Subject, output: Output) -> None:
    from ...cost.conventions import reconcile
    from ...show.readings import reconciliation_sheet

    with stopping(lambda: "no FLOP counter has run; the same command starts again"):
        results = counter_readings(subject)
    waiting = [reading.tool for reading in results if reading.status == "not run"]
    if len(waiting) == len(results):
        raise stopped("no FLOP counter has run; the same command starts again")
    reconciliation = reconcile(subject.graph, results)
    sheet = reconciliation_sheet(subject.graph, reconciliation)
    emit(Result((sheet,), sheet, lambda: reconciliation_document(subject, reconciliation)), output)
    if waiting:
        raise stopped(_what_has_run(results, output))
    if not reconciliation.holds:
        raise typer.Exit(1)


def _what_has_run(results: Sequence[Reading], output: Output) -> str:
    left = sum(reading.status == "not run" for reading in results)
    where = f"saved in {output.output}" if output.output else "printed"
    return (
        f"{len(results) - left} of {len(results)} results of FLOP counters are {where}; "
        "the same command starts again"
    )
