"""Export of parts to files that a runtime reads, verified by running them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..cost.counts import Dtype
from ..device.protocol import PartKey, Prepare, Prepared
from ..device.worker import arrays
from ..graph.errors import InputError
from ..record.run import Subject
from ..record.target import Target
from ..workers import cache
from ..workers.backends import backend
from ..workers.backends import names as backend_names
from ..workers.formats import Added, get_format, names
from ..workers.requests import FileKind
from ..workers.worker import Failed, Worker, runtime_worker
from .convert import convert
from .obstacles import obstacle
from .progress import OnProgress, Progress
from .tolerances import how_wrong

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIMEOUT_S: Final = 600.0


class Exported(NamedTuple):
    """Converted files by name, the main one first, and the result of running them.

    given, expected: values of each input that they were run on, and of each of PyTorch's outputs. backend:
    ran them. max_abs_err, max_rel_err: errors of the outputs against PyTorch eager's. wrong: why the
    conversion or the run failed, or an output is wrong; "" if all is well. added: the operators that the
    converter added, None if that cannot be read in this format.
    """

    files: dict[str, bytes]
    backend: str
    given: tuple[bytes, ...] = ()
    expected: tuple[bytes, ...] = ()
    max_abs_err: float | None = None
    max_rel_err: float | None = None
    wrong: str = ""
    added: tuple[Added, ...] | None = None


def export(
    subject: Subject,
    parts: Sequence[str],
    kind: FileKind,
    folder: Path,
    on_progress: OnProgress = lambda _: None,
) -> dict[str, Exported]:
    """Convert parts to files of a kind, and run them. Return the results by part.

    folder: of the cache. on_progress: is called with each step. Raises InputError if the format, dtype,
    batch, opset or layout is not supported, or no runtime can run the files here.
    """
    _refuse(kind)
    runner = next(name for name in backend_names() if kind.format == backend(name).FORMAT)
    target = Target(backend=runner, dtype=kind.dtype, batch=kind.batch)
    if failed := obstacle(target):
        raise InputError(f"{kind.format}: cannot be verified here by {runner}: {failed.reason}")
    keys, subjects = [PartKey("", part) for part in parts], {"": subject}
    converted = convert(
        {kind: keys}, subjects, folder, timeout_s=_TIMEOUT_S, on_progress=on_progress, exact=True
    )
    exported: dict[str, Exported] = {}
    with runtime_worker(target, subjects) as worker:
        for number, key in enumerate(keys, 1):
            on_progress(Progress(f"part {number} of {len(keys)} on {runner}", phase="running the files"))
            exported[key.part] = _verified(worker, key, converted[kind, key], kind, folder, runner)
    return exported


def _refuse(kind: FileKind) -> None:
    """Raise InputError if files of this kind do not exist."""
    form = get_format(kind.format)
    if kind.dtype not in form.DTYPES:
        raise InputError(
            f"dtype: {kind.format} does not support {kind.dtype}; expected {', '.join(form.DTYPES)}"
        )
    if kind.opset is not None:
        _refuse_opset(kind, kind.opset, getattr(form, "OPSETS", None))
    if kind.layout not in _layouts(kind.format):
        others = [name for name in names() if kind.layout in _layouts(name)]
        raise InputError(f"layout: {kind.format} is nchw only; expected format {', '.join(others)}")


def _refuse_opset(kind: FileKind, opset: int, opsets: Mapping[Dtype, range] | None) -> None:
    if opsets is None:
        others = [name for name in names() if hasattr(get_format(name), "OPSETS")]
        raise InputError(f"opset: {kind.format} has no opset versions; expected format {', '.join(others)}")
    if opset not in (known := opsets[kind.dtype]):
        raise InputError(
            f"opset: {opset} cannot be written at {kind.dtype}; expected {known[0]} to {known[-1]}"
        )


def _layouts(name: str) -> Sequence[str]:
    return getattr(get_format(name), "LAYOUTS", ("nchw",))


def _verified(
    worker: Worker,
    part: PartKey,
    converted: tuple[str, cache.Entry] | Failed,
    kind: FileKind,
    folder: Path,
    runner: str,
) -> Exported:
    """Run a converted part and return its files."""
    if isinstance(converted, Failed):
        return Exported({}, runner, wrong=f"the conversion failed: {converted.reason}")
    key, entry = converted
    place = folder / key
    answer = worker.ask(Prepare(part, str(place), entry.main, kind.dtype, threads=1), Prepared, _TIMEOUT_S)
    if isinstance(answer, Failed):
        return Exported({}, runner, wrong=f"the converted file does not run: {answer.reason}")
    files = [entry.main, *(name for name in entry.digests if name != entry.main)]
    return Exported(
        {name: (place / name).read_bytes() for name in files if not name.endswith(cache.IN_AND_OUT)},
        runner,
        tuple(map(_values, arrays(place, "given"))),
        tuple(map(_values, arrays(place, "expected"))),
        answer.max_abs_err,
        answer.max_rel_err,
        how_wrong(answer, kind.dtype, part.part),
        _added(kind.format, place / entry.main),
    )


def _values(array: "NDArray[Any]") -> bytes:
    """Return the values of an array, little-endian: fp32, or integers of its dtype."""
    import numpy as np

    kept = "<f4" if array.dtype.kind == "f" else array.dtype.newbyteorder("<")
    return np.ascontiguousarray(array, dtype=kept).tobytes()


def _added(name: str, file: Path) -> tuple[Added, ...] | None:
    read = getattr(get_format(name), "added", None)
    return read(file) if read else None
