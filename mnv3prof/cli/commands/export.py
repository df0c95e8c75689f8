"""`mnv3prof export`: the file that a runtime reads, checked by running it."""

from pathlib import Path
from typing import Annotated

import typer

from ...bench.cache import opened as opened_cache
from ...bench.cache_folder import usable_folder
from ...bench.export import Exported
from ...bench.export import export as export_part
from ...bench.formats import form, name_of, names
from ...bench.schedule import Progress
from ...graph.errors import InputError, about, printable
from ...record.run import NET, Weights
from ...record.whole import replace_file
from ...render.sheet import Column, Sheet
from ...show.timing_notes import weights_notes
from ..interrupts import stopping
from ..network import Checkpoint, Settings
from ..options import DtypeOption, NoCacheOption, TrainedSourceArgument, in_range, opened
from ..output import Destination, Output, Result, check_writable, emit
from ..progress import progress
from ..spread import spread
from ..streams import say


@spread
def export(
    source: TrainedSourceArgument = None,
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help=f"The format to write: {', '.join(names())}.")
    ] = "onnx",
    part: Annotated[
        str,
        typer.Option("--part", help="The whole network (net), a block's name, or a module's path."),
    ] = NET,
    dtype: DtypeOption = "fp32",
    batch: Annotated[int, typer.Option("--batch", help="Number of images.")] = 1,
    no_cache: NoCacheOption = False,
    checkpoint: Checkpoint,
    settings: Settings,
    output: Destination,
) -> None:
    """Write a network or a part of it as --output FILE, once its runtime has run it as PyTorch does.

    Weights are random, from a fixed seed, or those of --weights; int8 is then calibrated on images
    that they were trained on. A form of two files has the second beside the first. An output that is
    not PyTorch's exits with 1, and nothing is written.

    Example: mnv3prof export small --to onnx --part 7 -o block7.onnx
    """
    with about("--to"):
        to = name_of(to)
    in_range(batch, "--batch", 1, 1_024)
    if output.output is None:
        raise InputError(f"export: --output FILE{form(to).SUFFIX} is required")
    _refuse_suffix(output.output, to)
    check_writable(output.output)
    subject = checkpoint.network(opened(source), settings)
    kept = opened_cache(None if no_cache else usable_folder(say))
    with stopping(lambda: "nothing was written"), kept as folder, progress() as hear:
        found = export_part(
            subject, part, to, dtype, batch, folder, lambda step: hear(Progress(step))
        )  # fmt: skip
    sizes = {} if found.wrong else _write(found, output.output)
    name = subject.table.name
    what = name if part == NET else f"part {part} of {name}"
    sheet = _sheet(found, sizes, f"{what} for {to}, {dtype}", subject.weights)
    document = {"files": sizes, **_facts(found), "weights": subject.weights}
    emit(Result((sheet,), sheet, lambda: document), Output(format=output.format))
    if found.wrong:
        raise typer.Exit(1)


def _refuse_suffix(path: Path, to: str) -> None:
    if not path.name.endswith(form(to).SUFFIX):
        raise InputError(f"{path}: is no file of {to}; expected a name that ends in {form(to).SUFFIX}")


def _write(found: Exported, path: Path) -> dict[str, int]:
    """Write the main file as `path`, the others beside it with their own suffix; sizes by path."""
    main, *others = found.files
    stem = path.name.removesuffix(path.suffix)
    targets = {path.with_name(stem + Path(name).suffix): name for name in others} | {path: main}
    try:
        for target, name in targets.items():
            replace_file(target, found.files[name])
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    return {printable(str(target)): len(found.files[name]) for target, name in targets.items()}


def _facts(found: Exported) -> dict[str, object]:
    return {
        "ran_on": found.backend, "max_abs_err": found.max_abs_err, "max_rel_err": found.max_rel_err,
        "wrong": found.wrong,
    }  # fmt: skip


def _sheet(found: Exported, sizes: dict[str, int], title: str, weights: Weights | None) -> Sheet:
    off = f"its output is {found.max_rel_err or 0:.1e} off PyTorch's, relative to its largest magnitude"
    note = f"Run on {found.backend}: {f'{found.wrong}; not written' if found.wrong else off}."
    columns = (Column("file", "File", "text"), Column("bytes", "Size", "bytes"))
    return Sheet(title, columns, tuple(sizes.items()), notes=(note, *weights_notes(weights)))
