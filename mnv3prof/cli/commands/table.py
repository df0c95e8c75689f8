"""`mnv3prof table`: print a layer table with derived shapes, or write it as a file."""

from pathlib import Path
from typing import Annotated, Final, Literal, cast

import msgspec
from msgspec.structs import replace

from ...graph.errors import InputError
from ...mobilenetv3.recover import recover
from ...mobilenetv3.table import Table
from ...mobilenetv3.writing import to_csv, to_toml
from ...record.document import table_document
from ...record.run import Subject
from ...show.costs import table_sheet
from ..network import Settings
from ..options import DEFAULT_SOURCE, SourceArgument, network_option, open_source
from ..output import (
    SUFFIXES,
    Format,
    Output,
    Result,
    check_writable,
    chosen_format,
    emit,
    emit_text,
    file_option,
    format_option,
)
from ..spread import spread

_SUFFIXES: Final = {**SUFFIXES, ".toml": "toml"}


class TableOutput(msgspec.Struct, frozen=True):
    """The format and file of a table. Raises InputError if the suffix contradicts the format."""

    format: Annotated[
        Literal["table", "json", "csv", "md", "toml"] | None,
        format_option("from the suffix of FILE, else table"),
    ] = None
    output: Annotated[Path | None, file_option("standard output")] = None

    def __post_init__(self) -> None:
        """Check suffix and folder before anything is computed."""
        self.chosen()
        if self.output is not None:
            check_writable(self.output)

    def chosen(self) -> str:
        """Return --format, or the format of the file's suffix. Raises InputError."""
        return chosen_format(self.format, self.output, _SUFFIXES, "table")


@spread
def table(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    recovered: Annotated[
        str | None,
        network_option(
            "--from",
            metavar="NETWORK",
            help="Recover the table of another network, e.g. torchvision:mobilenet_v2 or net.onnx.",
        ),
    ] = None,
    settings: Settings,
    output: TableOutput,
) -> None:
    """Print a layer table with derived shapes, or write it as a file.

    A row of a layer table is [expand, out, kernel, stride, SE, activation], and optionally its dilation
    and false for a block without identity. expand is the absolute expanded width; a row that expands to
    its input width has no expand convolution. A stride is a number or [height, width], SE is true, false
    or the squeezed width. Activations: RE (ReLU), R6 (ReLU6), HS (h-swish), HS-RELU6 and HS-CLAMP (h-swish
    written out), SW (swish), or their names in other libraries, e.g. hard_swish.

    Image and stem: channels, stem, stem_kernel, stem_stride, stem_activation.

    Head, before the pool: head is a width or a list of widths and { out, kernel, bias, norm, activation };
    [] is none. After the pool: last is a width or a list of widths and { out, form, bias, norm, activation },
    with form linear or conv. classes = 0 ends the network before the pool. Also head_activation,
    classifier_form, dropout.

    Of the table, or of a row that is written as { expand = 64, out = 24, ... }: conv (separable, standard,
    dense-depthwise, fused), expand_conv, conv_bias, project_activation, se_ratio, se_of (expand, input),
    se_divisor, se_form (conv, linear), se_bias, se_activation, se_gate (hardsigmoid, hardsigmoid_relu6,
    sigmoid), se_place (after-depthwise, before-activation, after-project). A fused row that does not expand
    is its 1x1 projection alone; expand_conv = true keeps its k x k convolution.

    Others: name, padding (symmetric, same), norm_between, divisor, bn_eps, bn_momentum; stem_scales,
    head_scales and last_scales (always, above-1, never) under --width; names (torchvision,
    torchvision-v2, timm) of the parameters, with stages, the number of rows of each of timm's stages.

    In CSV these keys are lines "# key = value" above the header, and options of rows are columns. The TOML,
    JSON and CSV that this command writes are layer tables too.

    --from recovers the table of a network with the same products, or names the block that no table can say.
    It has the names of torchvision's or timm's release if the network has them, and batch norm's eps of a
    PyTorch module, so that the network's weights load. Dropout is not recovered. The table is written as TOML
    unless --format is given.

    Example: mnv3prof table mobilenetv2 --width 1.4 --format toml
    """
    chosen = output.chosen()
    if recovered is not None:
        if source != DEFAULT_SOURCE:
            raise InputError("--from and SOURCE cannot be combined; expected one of them")
        known = open_source(recovered, settings.input).subject
        found = Subject(known.listed or _recovered(known), known.input)
        subject = replace(settings, input=None).variant(found, recovered)
        chosen = "toml" if output.output is None and output.format is None else chosen
    else:
        subject = settings.variant(open_source(source, settings.input).subject, source)
    if chosen == "toml":
        emit_text(to_toml(subject.table, subject.input), output.output)
        return
    result = Result((table_sheet(subject),), to_csv(subject.table), lambda: table_document(subject))
    emit(result, Output(cast("Format", chosen), output.output))


def _recovered(known: Subject) -> Table:
    from ...capture.reference import batch_norm_options

    table = recover(known.graph)
    return replace(table, **batch_norm_options(known.captured)) if known.captured else table
