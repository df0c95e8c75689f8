"""`mnv3prof table`: the layer table with what follows from it."""

from ..record.document import table_document
from ..show.costs import table_sheet
from .options import Output, Settings, TableArgument, spread
from .output import emit


@spread
def table(table: TableArgument = "large", *, settings: Settings, output: Output) -> None:
    """Print a layer table with what follows from it: input widths, spatial sizes, ratios.

    Its JSON and CSV can be read again as a table.

    Example: mnv3prof table small --width 0.75
    """
    graph = settings.graph(table)
    emit([table_sheet(graph)], lambda: table_document(graph), output.format, output.output)
