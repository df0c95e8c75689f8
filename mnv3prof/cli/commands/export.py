"""`mnv3prof export`: export a network or part to a runtime's format."""

from pathlib import Path
from typing import Annotated

import typer

from ...bench.export import Exported
from ...bench.export import export as export_part
from ...graph.errors import InputError, about, printable
from ...graph.parts import NET
from ...record.atomic import replace_file
from ...record.run import Weights
from ...render.sheet import Column, Sheet
from ...show.timing_notes import weights_notes
from ...workers.cache import opened as opened_cache
from ...workers.cache_folder import usable_folder
from ...workers.formats import get_format, name_of, names
from ..interrupts import stopping
from ..network import Settings, WeightsOptions
from ..options import (
    DtypeOption,
    NoCacheOption,
    TrainedSourceArgument,
    in_range,
    network_option,
    opened,
    output_option,
)
from ..output import Destination, Output, Result, check_writable, emit
from ..progress import progress
from ..spread import spread
from ..streams import say


@spread
def export(
    source: TrainedSourceArgument = None,
    *,
    to: Annotated[
        str, output_option("--to", metavar="FORMAT", help=f"Format of the file: {', '.join(names())}.")
    ] = "onnx",
    part: Annotated[
        str,
        network_option(
            "--part", metavar="PART", help="The whole network (net), a block's name, or a module's path."
        ),
    ] = NET,
    dtype: DtypeOption = "fp32",
    batch: Annotated[int, network_option("--batch", help="Number of images.")] = 1,
    no_cache: NoCacheOption = False,
    weights_options: WeightsOptions,
    settings: Settings,
    output: Destination,
) -> None:
    """Export a network or part to a runtime's format and verify its output.

    --output FILE is required. Weights are random from a fixed seed, or those of --weights, which
    calibrate int8 on images of their training. A format of two files writes the second next to the
    first. If the output differs from PyTorch's by more than the tolerance, the exit code is 1 and
    nothing is written.

    Example: mnv3prof export small --to onnx --part 7 -o block7.onnx
    """
    with about("--to"):
        to = name_of(to)
    in_range(batch, "--batch", 1, 1_024)
    if output.output is None:
        raise InputError(f"export: --output FILE{get_format(to).SUFFIX} is required")
    _refuse_suffix(output.output, to)
    check_writable(output.output)
    subject = weights_options.subject(opened(source), settings)
    cache = opened_cache(None if no_cache else usable_folder(say))
    with (
        stopping(lambda: "nothing was written; the same command starts again"),
        cache as folder,
        progress() as on_progress,
    ):
        exported = export_part(subject, part, to, dtype, batch, folder, on_progress)
    sizes = {} if exported.wrong else _write(exported, output.output)
    name = subject.table.name
    what = name if part == NET else f"part {part} of {name}"
    sheet = _sheet(exported, sizes, f"{what} for {to}, {dtype}", subject.weights)
    document = {
        "files": sizes,
        "ran_on": exported.backend,
        "max_abs_err": exported.max_abs_err,
        "max_rel_err": exported.max_rel_err,
        "wrong": exported.wrong,
        "weights": subject.weights,
    }
    emit(Result((sheet,), sheet, lambda: document), Output(format=output.format))
    if exported.wrong:
        raise typer.Exit(1)


def _refuse_suffix(path: Path, to: str) -> None:
    if not path.name.endswith(get_format(to).SUFFIX):
        raise InputError(
            f"{path}: is not a file of {to}; expected a name that ends in {get_format(to).SUFFIX}"
        )


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


def _sheet(exported: Exported, sizes: dict[str, int], title: str, weights: Weights | None) -> Sheet:
    error = f"maximum error against PyTorch {exported.max_rel_err or 0:.1e}, relative to its largest output"
    note = f"Run on {exported.backend}: {f'{exported.wrong}; not written' if exported.wrong else error}."
    columns = (Column("file", "File", "text"), Column("bytes", "Size", "bytes"))
    return Sheet(title, columns, tuple(sizes.items()), notes=(note, *weights_notes(weights)))
