"""The worker process with PyTorch: it times modules, converts parts and measures peak rates."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from ..device.process import Line, settle
from ..device.protocol import PartKey, Planned, Prepare
from ..device.runtimes import Job, Unsupported
from ..device.worker import Runner, job_from_files, serve
from ..graph.errors import InputError
from ..record.run import Subject
from . import cache
from .backends import backend
from .formats import Part, Planner, get_format
from .requests import Convert, FileKind, MeasurePeak, Open, PlanAhead, Subjects

if TYPE_CHECKING:
    from ..device.worker import Handlers
    from .captured import CapturedParts, ProgramParts
    from .file_parts import FileParts
    from .parts import TableParts


class _Networks:
    """Parts by variant and name; a network is built at the first request for one of its parts."""

    def __init__(self) -> None:
        self.subjects: Subjects = {}
        self.batch = 1
        self.made: dict[str, TableParts | CapturedParts | ProgramParts | FileParts] = {}

    def open(self, request: Open) -> dict[str, Any]:
        self.subjects, self.batch = request.subjects, request.batch
        return {}

    def part(self, key: PartKey) -> Part:
        variant, name = key
        if variant not in self.made:
            subject = self.subjects[variant]
            self.made[variant] = _kind(subject)(subject, self.batch)
        return self.made[variant].part(name)

    def job(self, request: Prepare) -> Job:
        """Return the job of the part's module, or of its file if it has one."""
        if request.folder:
            return job_from_files(request)
        part = self.part(request.part)
        if part.file:
            raise Unsupported(f"PyTorch does not run a {part.file.suffix} file")
        given, expected = (tuple(each.numpy() for each in ends) for ends in (part.given, part.expected))
        return Job(request.part.part, part.module, given, expected, request.dtype, request.threads)

    def convert(self, request: Convert) -> dict[str, Any]:
        part = self.part(request.part)
        entry = cache.keep(
            Path(request.folder), request.key, lambda draft: _convert(request.kind, part, draft)
        )
        return _fields(entry)

    def plan_ahead(self, request: PlanAhead) -> Planned:
        import torch

        with torch.no_grad(), _converting(request.kind.format):
            planner = cast("Planner", get_format(request.kind.format))
            return planner.planned(self.part(request.part), request.kind.dtype)


def _kind(subject: Subject) -> "type[TableParts | CapturedParts | ProgramParts | FileParts]":
    """Return the class that makes the parts of a network."""
    if subject.captured is None:
        from .parts import TableParts

        return TableParts
    if subject.captured.kind == "module":
        from .captured import CapturedParts, ProgramParts

        return ProgramParts if subject.captured.programs else CapturedParts
    from .file_parts import FileParts

    return FileParts


_FROM_FILES: Final = {".onnx": ("onnx", "openvino", "mnn", "ncnn"), ".tflite": ("litert",)}
"""Formats that a file can be converted to."""


def _convert(kind: FileKind, part: Part, folder: Path) -> tuple[Path, float]:
    import numpy as np
    import torch

    from .layouts import channels_last

    if part.file and kind.format not in _FROM_FILES[part.file.suffix]:
        raise Unsupported(f"{kind.format} is converted from PyTorch, not from a {part.file.suffix} file")
    if kind.layout == "nhwc":
        if part.file:
            raise Unsupported("the layout of a file is not changed")
        part = channels_last(part)
    options = {} if kind.opset is None else {"opset": kind.opset}
    start = perf_counter()
    with torch.no_grad(), _converting(kind.format):
        main = get_format(kind.format).convert(part, kind.dtype, folder, **options)
    seconds = perf_counter() - start
    for name, tensors in (("given", part.given), ("expected", part.expected)):
        for n, tensor in enumerate(tensors):
            np.save(folder / f"{name}{n}{cache.IN_AND_OUT}", tensor.numpy())
    return main, seconds


@contextmanager
def _converting(name: str) -> Iterator[None]:
    """Let a converter see operators that it knows, and raise Unsupported if it does not know one.

    Attention is one fused operator in eager mode, which PyTorch's own exporters alone know.
    """
    import torch

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fused and name == "torchscript")
    try:
        yield
    except (InputError, Unsupported):
        raise
    except Exception as error:  # of any type, by what the converter is
        if refusal := _refusal(error):
            raise Unsupported(refusal) from None
        raise
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


_REFUSALS: Final = re.compile(
    r"unsupported|not (?:yet )?(?:supported|implemented)|does not support|no conversion rule|"
    r"lowering not found|missing out variants|not in Core ATen opset|could not find .*op",
    re.IGNORECASE,
)
"""What converters say of an operator that they do not know."""


def _refusal(error: Exception) -> str:
    """Return what a converter says of what it does not know, "" for another exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if _REFUSALS.search(line)), "")
    if not said and (isinstance(error, NotImplementedError) or _REFUSALS.search(type(error).__name__)):
        said = lines[0] if lines else type(error).__name__
    return said


def _peak(request: MeasurePeak) -> dict[str, Any]:
    from .peak_burst import Device, measure_peak

    return _fields(measure_peak(Device(request.name, request.dtype, request.threads)))


def _fields(answer: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(answer)
    return found


def _read(kind: type[Any], fields: dict[str, Any]) -> Any:
    return msgspec.convert(fields, kind)


def main(token: str) -> None:
    """Serve PyTorch's backends, converters and peak rates. token: as in device.worker.main."""
    settle()
    networks = _Networks()
    handlers: Handlers = {
        **Runner(backend, networks.job).handlers,
        Open: networks.open,
        Convert: networks.convert,
        PlanAhead: networks.plan_ahead,
        MeasurePeak: _peak,
    }
    serve(Line(token), handlers, _read)
