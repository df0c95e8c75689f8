"""`mnv3prof flops`: what every block must cost, and how other counters count it."""

import sys
from functools import partial
from typing import Annotated

import typer

from ...cost.conventions import COUNTERS
from ...cost.counts import BatchNorm, By, count
from ...graph.errors import InputError, lookup
from ...record.document import convention_document, cost_document, reconciliation_document
from ...record.run import Subject
from ...show.costs import cost_sheet
from ...source import open_source
from ..network import Settings
from ..options import DEFAULT_SOURCE, CrossCheckOption, DtypeOption, SourceArgument
from ..output import Output, Result, emit
from ..spread import spread
from ..streams import say


@spread
def flops(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    by: Annotated[By, typer.Option("--by", help="What a row stands for.")] = "block",
    dtype: DtypeOption = "fp32",
    batch_norm: Annotated[
        BatchNorm, typer.Option("--batch-norm", help="Folded into its convolution, or run by itself.")
    ] = "folded",
    cross_check: CrossCheckOption = False,
    as_tool: Annotated[
        str | None,
        typer.Option("--as", metavar="TOOL", help=f"Count as another counter: {', '.join(COUNTERS)}."),
    ] = None,
    settings: Settings,
    output: Output,
) -> None:
    """Count MACs, FLOPs, parameters and bytes of every block, exactly.

    --cross-check exits with 1 if a counter's figure is not explained to the last operation.

    Example: mnv3prof flops --input 224
    """
    if as_tool is not None:
        lookup(as_tool, COUNTERS, "--as")
    if cross_check and as_tool is not None:
        raise InputError("--cross-check and --as cannot be combined; expected one of them")
    if cross_check and by != "block":
        raise InputError("--cross-check has a row for each class of operation; --by is for what we count")
    if (cross_check or as_tool is not None) and (dtype, batch_norm) != ("fp32", "folded"):
        raise InputError("--dtype and --batch-norm change what we count, and nothing in a counter's figure")
    subject = settings.variant(open_source(source).subject, source)
    graph = subject.graph
    if cross_check:
        _cross_check(subject, output)
    elif as_tool is not None:
        from ...show.readings import convention_sheet

        lookup(as_tool, COUNTERS, "--as")
        sheet = convention_sheet(graph, as_tool, by)
        emit(Result((sheet,), sheet, lambda: convention_document(subject, as_tool)), output)
    else:
        costs = count(graph, dtype, batch_norm)
        sheet = cost_sheet(graph, costs, by, dtype, batch_norm)
        emit(Result((sheet,), sheet, lambda: cost_document(subject, costs, dtype, batch_norm)), output)


def _cross_check(subject: Subject, output: Output) -> None:
    from ...cost.conventions import reconcile
    from ...cost.counters import readings
    from ...mobilenetv3.network import build
    from ...show.readings import reconciliation_sheet

    found = reconcile(subject.graph, readings(partial(build, subject.table), subject.graph, _progress))
    sheet = reconciliation_sheet(subject.graph, found)
    emit(Result((sheet,), sheet, lambda: reconciliation_document(subject, found)), output)
    if not found.holds:
        raise typer.Exit(1)


def _progress(package: str) -> None:
    if sys.stderr and sys.stderr.isatty():
        say(f"running {package} ...")
