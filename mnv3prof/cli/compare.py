"""`mnv3prof compare`: networks side by side."""

from collections.abc import Sequence
from typing import Annotated

import typer

from ..arch.files import read_table
from ..arch.layers import Graph, expand, parse_input
from ..arch.table import InputError
from ..cost.comparison import network
from ..record.document import comparison_document
from ..show.comparison import MOST_NETWORKS, blocks_sheet, totals_sheet
from .options import TABLE_HELP, Settings, spread
from .output import Output, Result, emit


@spread
def compare(
    tables: Annotated[list[str] | None, typer.Argument(metavar="[TABLE]...", help=TABLE_HELP)] = None,
    *,
    settings: Settings,
    output: Output,
) -> None:
    """Set networks side by side, block by block and in total, with ratios to the first.

    Several tables: the options change all of them. One table (large): it is compared with its
    variant. Where --standard-conv, --dense-depthwise, --without-se or --activation makes the
    variant, the other options change both; else they make the variant.

    Example: mnv3prof compare --standard-conv
    """
    networks = [network(graph) for graph in _graphs(tables or ["large"], settings)]
    blocks = blocks_sheet(networks)
    sheets = (totals_sheet(networks), blocks)
    emit(Result(sheets, blocks, lambda: comparison_document(networks)), output)


def _graphs(sources: Sequence[str], settings: Settings) -> list[Graph]:
    if len(sources) > MOST_NETWORKS:
        raise InputError(f"compare: {len(sources)} tables are too many; allowed are {MOST_NETWORKS}")
    if len(sources) > 1:
        return [settings.graph(source) for source in sources]
    base = settings.without_structure() if settings.changes_structure() else Settings()
    if base == settings:
        raise InputError(
            "compare: there is nothing to compare; allowed are two tables, or one and a change "
            "such as --standard-conv or --width 0.75"
        )
    table = read_table(sources[0])
    return [expand(s.variant(table), parse_input(s.input)) for s in (base, settings)]
