"""Export of a part to a file that a runtime reads, verified by running it."""

from pathlib import Path
from typing import Final, NamedTuple

from ..cost.counts import Dtype
from ..device.protocol import PartKey, Prepare, Prepared
from ..graph.errors import InputError
from ..graph.parts import selected_parts
from ..record.run import Subject
from ..record.target import Target
from ..workers import cache
from ..workers.backends import backend
from ..workers.backends import names as backend_names
from ..workers.formats import get_format
from ..workers.requests import FileKind
from ..workers.worker import Failed, runtime_worker
from .convert import convert
from .obstacles import obstacle
from .progress import OnProgress, Progress
from .tolerances import how_wrong

_TIMEOUT_S: Final = 600.0


class Exported(NamedTuple):
    """Converted files by name, the main one first, and the result of running them.

    backend: ran them. max_abs_err, max_rel_err: errors of the output against PyTorch eager's. wrong: why
    the conversion or the run failed, or the output is wrong; "" if all is well.
    """

    files: dict[str, bytes]
    backend: str
    max_abs_err: float | None = None
    max_rel_err: float | None = None
    wrong: str = ""


def export(
    subject: Subject,
    part: str,
    to: str,
    dtype: Dtype,
    batch: int,
    folder: Path,
    on_progress: OnProgress = lambda _: None,
) -> Exported:
    """Convert a part to the format called `to`, and run it.

    folder: of the cache. on_progress: is called with each step. Raises InputError if the format, dtype, batch
    or part is not supported, or no runtime can run the file here.
    """
    if dtype not in get_format(to).DTYPES:
        raise InputError(f"dtype: {to} does not support {dtype}; expected {', '.join(get_format(to).DTYPES)}")
    selected_parts(subject.graph, [part], "part")
    runner = next(name for name in backend_names() if to == backend(name).FORMAT)
    target = Target(backend=runner, dtype=dtype, batch=batch)
    if failed := obstacle(target):
        raise InputError(f"{to}: cannot be verified here by {runner}: {failed.reason}")
    part_key, kind, subjects = PartKey("", part), FileKind(to, dtype, batch), {"": subject}
    conversions = convert(
        {kind: (part_key,)}, subjects, folder, timeout_s=_TIMEOUT_S, on_progress=on_progress, exact=True
    )
    converted = conversions[kind, part_key]
    if isinstance(converted, Failed):
        return Exported({}, runner, wrong=f"the conversion failed: {converted.reason}")
    key, entry = converted
    place = folder / key
    on_progress(Progress(f"running it on {runner}"))
    with runtime_worker(target, subjects) as worker:
        request = Prepare(part_key, str(place), entry.main, dtype, threads=1)
        answer = worker.ask(request, Prepared, _TIMEOUT_S)
    if isinstance(answer, Failed):
        return Exported({}, runner, wrong=f"the converted file does not run: {answer.reason}")
    names = [entry.main, *(name for name in entry.digests if name != entry.main)]
    files = {name: (place / name).read_bytes() for name in names if not name.endswith(cache.IN_AND_OUT)}
    return Exported(files, runner, answer.max_abs_err, answer.max_rel_err, how_wrong(answer, dtype, part))
