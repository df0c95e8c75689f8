"""`mnv3prof import`: read what other tools measured, as a run."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from ...cost.counts import Dtype
from ...graph.errors import InputError, lookup, quote
from ...graph.graph import Graph
from ...graph.parts import NET
from ...imports.found import MOST_BYTES
from ...imports.readers import names, read
from ...imports.timings import File, Imported, Told, UnsaidError, imported, notes_of
from ...record.atomic import read_file
from ...record.document import encoded
from ...record.run import HERE, Host, Run, Runtime, Subject
from ...record.target import MOST
from ...record.timing import Timing
from ..network import Settings
from ..options import expected_file_option, in_range, measuring_option, network_option, open_source, presets
from ..ordering import METRICS, Ordering
from ..output import Output, output_format, write
from ..progress import step
from ..runs import emit_run
from ..spread import spread
from ..streams import command_line

_DEVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_FILES: Final = 1_000


class Described(msgspec.Struct, frozen=True):
    """What the files do not say."""

    device: Annotated[
        str, measuring_option("--device", metavar="NAME", help="Name of the phone or board in tables.")
    ] = "phone"
    part: Annotated[
        str | None,
        measuring_option(
            "--part", help="Part that was measured, of files without PART=.", show_default="net"
        ),
    ] = None
    model: Annotated[
        str | None,
        measuring_option(
            "--model", metavar="NAME", help="Model to read of files with several.", show_default=False
        ),
    ] = None
    dtype: Annotated[
        Dtype | None,
        measuring_option("--dtype", help="Dtype that was measured; no tool says it.", show_default=False),
    ] = None
    threads: Annotated[
        int | None,
        measuring_option("--threads", help="Number of threads.", show_default="what the files say"),
    ] = None
    batch: Annotated[
        int | None,
        measuring_option(
            "--batch", help="Number of images per call.", show_default="what the files say, or 1"
        ),
    ] = None

    def told(self) -> Told:
        """Return what the user says of the files. Raises InputError."""
        if not _DEVICE.fullmatch(self.device):
            raise InputError(
                f"--device: {quote(self.device)} is not allowed; expected letters, digits and . _ -"
            )
        for value, option in ((self.threads, "--threads"), (self.batch, "--batch")):
            if value is not None:
                in_range(value, option, 1, MOST)
        return Told(self.device, self.part, self.dtype, self.threads, self.batch, self.model)


class OutputCheck(msgspec.Struct, frozen=True):
    """The output that a device wrote, and PyTorch's."""

    output_file: Annotated[
        Path | None,
        measuring_option(
            "--output-file",
            metavar="FILE",
            help="Output that the device wrote, as raw fp32.",
            show_default=False,
        ),
    ] = None
    expected_file: Annotated[Path | None, expected_file_option(measuring_option)] = None

    def checked(self, timings: Sequence[Timing], graph: Graph) -> tuple[Timing, ...]:
        """Return the timings with the errors of the output. Raises InputError."""
        if self.output_file is None and self.expected_file is None:
            return tuple(timings)
        if self.output_file is None or self.expected_file is None:
            raise InputError("--output-file and --expected-file: one is missing; expected both")
        if len(timings) > 1:
            raise InputError(f"--output-file: is one output for {len(timings)} times; expected files of one")
        from ...bench.output_file import checked

        return (checked(timings[0], graph, self.output_file, self.expected_file),)


@spread
def import_(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Files that a benchmark tool wrote or printed; PART=FILE for a part's."
        ),
    ],
    *,
    network: Annotated[
        str | None,
        network_option(
            "--network",
            metavar="SOURCE",
            help="The network that was measured: a preset, a table, a file, ...",
            autocompletion=presets,
            show_default=False,
        ),
    ] = None,
    tool: Annotated[
        str | None,
        measuring_option(
            "--tool",
            metavar="NAME",
            help=f"Kind of the files: {', '.join(names())}.",
            show_default="recognized",
        ),
    ] = None,
    described: Described,
    output_check: OutputCheck,
    settings: Settings,
    ordering: Ordering,
    output: Output,
) -> None:
    """Read what other tools measured on a phone or board, as a run.

    Files are those of onnxruntime_perf_test (text, result file), ExecuTorch's executor_runner and ETDump,
    benchmark_model of LiteRT and TensorFlow Lite (text, logcat, operators, result file), benchncnn, and MNN's
    benchmark.out and MNNV2Basic.out. Files of one run are joined. Several runs of a tool that prints samples
    can be compared, since each is a launch. Without samples a time is shown with its range, and never
    compared. --output FILE.json saves the run.

    Example: mnv3prof import perf.txt --network small --dtype fp32 -o phone.json
    """
    order = ordering.order("import", "time", METRICS)
    if network is None:
        raise InputError("import: --network SOURCE is required")
    told = described.told()
    kind = None if tool is None else lookup(tool, {name: name for name in names()}, "--tool")
    source = open_source(network, settings.input)
    subject = settings.variant(source.subject, source.text)
    if len(files) > _MOST_FILES:
        raise InputError(f"import: {len(files):,} files are too many; expected at most {_MOST_FILES:,}")
    with step("reading the files"):
        read_files = [_file(text, subject.graph, kind) for text in files]
        found = _imported(read_files, subject.graph, told)
        timings = output_check.checked(found.timings, subject.graph)
        run = _run(subject, told.device, timings, found)
    if output.output is not None and output_format(output) == "json":
        write(output.output, encoded(run))
        output = Output()
    emit_run(run, output, order)


def _file(text: str, graph: Graph, kind: str | None) -> File:
    """Read PART=FILE or FILE, where FILE itself may contain "="."""
    part, equals, path = text.partition("=")
    if not equals or Path(text).exists() or part not in {*graph.block_names, NET}:
        part, path = "", text
    return File(path, tuple(read(read_file(Path(path), MOST_BYTES), path, kind)), part or None)


def _imported(files: Sequence[File], graph: Graph, told: Told) -> Imported:
    """Return what the files have. Raises InputError, which names the options that would help."""
    try:
        return imported(files, graph, told)
    except UnsaidError as error:
        options = " and ".join(f"--{name}" for name in error.arguments)
        raise InputError(f"{error.begin}; expected {options}{error.end}") from None


def _run(subject: Subject, device: str, timings: tuple[Timing, ...], found: Imported) -> Run:
    """Return a run whose device is known by its name only."""
    from ...bench.host import describe

    chips = found.accelerators
    runtimes = {name: Runtime("", chips.get(name, ""), "") for name in {t.target.backend for t in timings}}
    host = Host(
        cpu="",
        cores=0,
        memory_bytes=0,
        gpu="",
        os="",
        python="",
        versions={},
        runtimes=runtimes,
        model=device,
    )
    return Run(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command_line(),
        hosts={HERE: describe(()), device: host},
        subjects={"": subject},
        timings=timings,
        operators=found.operators,
        notes=(*found.notes, *notes_of(timings)),
    )
