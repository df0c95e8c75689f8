"""`mnv3prof flops`: what every block must cost."""

from enum import StrEnum
from typing import Annotated

import typer

from ..cost.counts import count
from ..record.document import cost_document
from ..show.costs import cost_sheet
from .options import Dtype, DtypeOption, Output, Settings, TableArgument, spread
from .output import emit


class By(StrEnum):
    """What one row of the table stands for."""

    block = "block"
    op = "op"
    layer = "layer"


class BatchNorm(StrEnum):
    """How batch norm is counted."""

    folded = "folded"
    separate = "separate"


@spread
def flops(
    table: TableArgument = "large",
    *,
    by: Annotated[By, typer.Option("--by", help="What a row stands for.")] = By.block,
    dtype: DtypeOption = Dtype.fp32,
    batch_norm: Annotated[
        BatchNorm, typer.Option("--batch-norm", help="Folded into its convolution, or run by itself.")
    ] = BatchNorm.folded,
    settings: Settings,
    output: Output,
) -> None:
    """Count MACs, FLOPs, parameters and bytes of every block, exactly.

    Example: mnv3prof flops --input 224
    """
    graph = settings.graph(table)
    costs = count(graph, dtype.value, batch_norm.value)
    sheet = cost_sheet(graph, costs, by.value, dtype.value, batch_norm.value)
    emit([sheet], lambda: cost_document(graph, costs), output.format, output.output)
