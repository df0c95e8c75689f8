"""`mnv3prof export`: export a network or parts to a runtime's format."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from ...bench.export import Exported
from ...bench.export import export as export_parts
from ...graph.errors import InputError, about, printable
from ...graph.parts import NET
from ...record.atomic import replace_file
from ...workers.cache import opened as opened_cache
from ...workers.cache_folder import usable_folder
from ...workers.formats import Layout, get_format, name_of, names
from ...workers.requests import FileKind
from ..exported import exported_document, exported_sheet
from ..interrupts import stopping
from ..network import Settings, WeightsOptions
from ..options import (
    DtypeOption,
    NoCacheOption,
    PartsOption,
    TrainedSourceArgument,
    expected_file_option,
    in_range,
    network_option,
    opened,
    output_option,
    parts_named,
)
from ..output import Destination, Output, Result, check_writable, emit
from ..progress import progress
from ..spread import spread
from ..streams import say

_PART: Final = "{part}"


@spread
def export(
    source: TrainedSourceArgument = None,
    *,
    to: Annotated[
        str, output_option("--to", metavar="FORMAT", help=f"Format of the file: {', '.join(names())}.")
    ] = "onnx",
    parts: PartsOption = None,
    dtype: DtypeOption = "fp32",
    batch: Annotated[int, network_option("--batch", help="Number of images.")] = 1,
    opset: Annotated[
        int | None,
        output_option(
            "--opset", metavar="N", help="Opset version of an ONNX file.", show_default="the converter's"
        ),
    ] = None,
    layout: Annotated[
        Layout, output_option("--layout", help="Layout of input and output; nhwc for litert.")
    ] = "nchw",
    input_file: Annotated[
        Path | None,
        output_option(
            "--input-file",
            metavar="FILE",
            help="Also write the input of the check as raw fp32.",
            show_default=False,
        ),
    ] = None,
    expected_file: Annotated[Path | None, expected_file_option(output_option)] = None,
    no_cache: NoCacheOption = False,
    weights_options: WeightsOptions,
    settings: Settings,
    output: Destination,
) -> None:
    """Export a network or parts to a runtime's format and verify their output.

    --output FILE is required. Without --parts, the whole network is exported. With several parts, FILE
    contains {part}, which is replaced by the name of each. Weights are random from a fixed seed, or those
    of --weights, which calibrate int8 on images of their training. A format of two files writes the second
    next to the first. --input-file and --expected-file write what a benchmark tool on a phone needs to run
    the file on the same input, and import to check the output; those of several inputs or outputs get numbers
    before the suffix, and integers keep their dtype. If an output of a part differs from PyTorch's by more
    than the tolerance, its file is not written, and the exit code is 1.

    Example: mnv3prof export small --opset 13 --parts stem,7 -o {part}.onnx
    """
    with about("--to"):
        to = name_of(to)
    in_range(batch, "--batch", 1, 1_024)
    if output.output is None:
        raise InputError(f"export: --output FILE{get_format(to).SUFFIX} is required")
    _refuse_suffix(output.output, to)
    subject = weights_options.subject(opened(source, settings.input), settings)
    chosen = parts_named(NET if parts is None else parts, subject.graph)
    paths = file_names(output.output, chosen)
    raw = [file_names(path, chosen) if path else {} for path in (input_file, expected_file)]
    for path in (*paths.values(), *raw[0].values(), *raw[1].values()):
        check_writable(path)
    kind = FileKind(to, dtype, batch, opset, layout)
    cache = opened_cache(None if no_cache else usable_folder(say))
    with (
        stopping(lambda: "nothing was written; the same command starts again"),
        cache as folder,
        progress() as on_progress,
    ):
        exported = export_parts(subject, chosen, kind, folder, on_progress)
    sizes = {part: {} if each.wrong else _write(each, paths[part]) for part, each in exported.items()}
    for part, each in exported.items():
        if not each.wrong:
            sizes[part] |= _write_values(raw[0].get(part), each.given)
            sizes[part] |= _write_values(raw[1].get(part), each.expected)
    sheet = exported_sheet(exported, sizes, f"{_what(chosen, subject.name)} for {kind}", subject.weights)
    document = exported_document(exported, sizes, subject.weights)
    emit(Result((sheet,), sheet, lambda: document), Output(format=output.format))
    if any(each.wrong for each in exported.values()):
        raise typer.Exit(1)


def file_names(template: Path, parts: Sequence[str]) -> dict[str, Path]:
    """Return the file of each part: the template, with {part} replaced by its name. Raises InputError.

    Characters of a name that a file name may not contain everywhere become "-".
    """
    if len(parts) > 1 and _PART not in str(template):
        raise InputError(
            f"{template}: is one file for {len(parts)} parts; expected a name with {_PART}, e.g. "
            f"{_PART}{template.suffix}"
        )
    paths = {part: Path(str(template).replace(_PART, re.sub(r"[^\w-]", "-", part))) for part in parts}
    if len(set(paths.values())) < len(parts):
        raise InputError(f"{template}: several parts have the same file name; expected one of them at a time")
    return paths


def _what(parts: Sequence[str], network: str) -> str:
    if len(parts) > 1:
        return f"{len(parts)} parts of {network}"
    return network if parts == (NET,) else f"part {parts[0]} of {network}"


def _refuse_suffix(path: Path, to: str) -> None:
    if not path.name.endswith(get_format(to).SUFFIX):
        raise InputError(
            f"{path}: is not a file of {to}; expected a name that ends in {get_format(to).SUFFIX}"
        )


def _write_values(path: Path | None, values: Sequence[bytes]) -> dict[str, int]:
    """Write raw values, if their file was asked for. Return sizes by path: numbered ones of several."""
    if path is None:
        return {}
    numbered = [path.with_name(f"{path.stem}{n}{path.suffix}") for n in range(len(values))]
    paths = [path] if len(values) == 1 else numbered
    try:
        for each, data in zip(paths, values, strict=True):
            replace_file(each, data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    return {printable(str(each)): len(data) for each, data in zip(paths, values, strict=True)}


def _write(exported: Exported, path: Path) -> dict[str, int]:
    """Write the main file as `path`, the others next to it with their own suffix. Return sizes by path."""
    main, *others = exported.files
    stem = path.name.removesuffix(path.suffix)
    targets = {path.with_name(stem + Path(name).suffix): name for name in others} | {path: main}
    try:
        for target, name in targets.items():
            replace_file(target, exported.files[name])
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    return {printable(str(target)): len(exported.files[name]) for target, name in targets.items()}
