"""`mnv3prof table`: print a layer table with derived shapes."""

from ...mobilenetv3.writing import to_csv
from ...record.document import table_document
from ...show.costs import table_sheet
from ..network import Settings
from ..options import DEFAULT_SOURCE, SourceArgument, open_source
from ..output import Output, Result, emit
from ..spread import spread


@spread
def table(source: SourceArgument = DEFAULT_SOURCE, *, settings: Settings, output: Output) -> None:
    """Print a layer table with derived shapes.

    A row of a layer table is [expand, out, kernel, stride, SE, activation], and optionally its dilation
    and false for a block without identity. expand is the absolute expanded width; a row that expands to
    its input width has no expand convolution. Activations: RE (ReLU), R6 (ReLU6), HS (h-swish), HS-RELU6
    and HS-CLAMP (h-swish written out), SW (swish).

    Other keys are optional: name, stem, head (6 x the last out), last, classes, dropout,
    stem_activation, head_activation, conv (separable, standard, dense-depthwise), norm_between,
    se_ratio, se_form (conv, linear), se_activation (relu, relu6), se_gate (hardsigmoid,
    hardsigmoid_relu6, sigmoid), divisor, bn_eps, bn_momentum. In CSV they are lines "# key = value"
    above the header. The JSON and CSV that this command writes are layer tables too.

    Example: mnv3prof table small --width 0.75
    """
    subject = settings.variant(open_source(source).subject, source)
    result = Result((table_sheet(subject),), to_csv(subject.table), lambda: table_document(subject))
    emit(result, output)
