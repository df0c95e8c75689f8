"""`mnv3prof flops`: what every block must cost."""

from typing import Annotated

import typer

from ..cost.counts import BatchNorm, By, count
from ..record.document import cost_document
from ..show.costs import cost_sheet
from .options import DtypeOption, Settings, TableArgument, spread
from .output import Output, Result, emit


@spread
def flops(
    table: TableArgument = "large",
    *,
    by: Annotated[By, typer.Option("--by", help="What a row stands for.")] = "block",
    dtype: DtypeOption = "fp32",
    batch_norm: Annotated[
        BatchNorm, typer.Option("--batch-norm", help="Folded into its convolution, or run by itself.")
    ] = "folded",
    settings: Settings,
    output: Output,
) -> None:
    """Count MACs, FLOPs, parameters and bytes of every block, exactly.

    Example: mnv3prof flops --input 224
    """
    graph = settings.graph(table)
    costs = count(graph, dtype, batch_norm)
    sheet = cost_sheet(graph, costs, by, dtype, batch_norm)
    emit(Result((sheet,), sheet, lambda: cost_document(graph, costs)), output)
