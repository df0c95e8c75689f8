"""`mnv3prof table`: the layer table with what follows from it."""

from ...mobilenetv3.files import to_csv
from ...record.document import table_document
from ...show.costs import table_sheet
from ...source import open_source
from ..network import Settings
from ..options import DEFAULT_SOURCE, SourceArgument
from ..output import Output, Result, emit
from ..spread import spread


@spread
def table(source: SourceArgument = DEFAULT_SOURCE, *, settings: Settings, output: Output) -> None:
    """Print a layer table with what follows from it: input widths, spatial sizes, ratios.

    Its JSON and CSV can be read again as a table.

    Example: mnv3prof table small --width 0.75
    """
    subject = settings.variant(open_source(source).subject, source)
    result = Result((table_sheet(subject),), to_csv(subject.table), lambda: table_document(subject))
    emit(result, output)
