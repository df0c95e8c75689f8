"""A part as a file that a runtime reads, checked by running it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from ..cost.counts import Dtype
from ..device.protocol import Piece, Prepare, Prepared
from ..graph.errors import InputError, shown
from ..record.run import NET, Subject, part_layers
from ..record.target import Target
from . import cache
from .backends import backend
from .backends import names as backend_names
from .convert import convert
from .formats import form
from .obstacles import obstacle
from .requests import FileKind
from .tolerances import how_wrong
from .workers import Failed, runtime_worker

_TIMEOUT_S: Final = 600.0


class Exported(NamedTuple):
    """Converted files by name, the main one first, and what running them showed.

    backend: what ran it. max_abs_err, max_rel_err: of its output against PyTorch eager's. wrong: why the
    files are of no use, or could not be made.
    """

    files: dict[str, bytes]
    backend: str
    max_abs_err: float | None = None
    max_rel_err: float | None = None
    wrong: str = ""


def export(
    subject: Subject, part: str, to: str, dtype: Dtype, batch: int, folder: Path,
    hear: Callable[[str], None] = lambda _: None,
) -> Exported:  # fmt: skip
    """The part in the format called `to`. Raises InputError where it is known not to be possible here.

    folder: the cache's. hear: is told of every step.
    """
    if dtype not in form(to).DTYPES:
        raise InputError(f"--dtype: {to} is not written in {dtype}; allowed are {', '.join(form(to).DTYPES)}")
    if not part_layers(subject.graph, part):
        allowed = f"{', '.join(subject.graph.block_names)}, {NET}, or a module's path as features.0.0"
        raise InputError(f"--part: {shown(part)} is no part; allowed are {allowed}")
    runner = next(name for name in backend_names() if to == backend(name).FORMAT)
    target = Target(backend=runner, dtype=dtype, batch=batch)
    if failed := obstacle(target):
        raise InputError(f"{to}: cannot be checked here by {runner}: {failed.reason}")
    piece, kind, subjects = Piece("", part), FileKind(to, dtype, batch), {"": subject}
    made = convert({kind: (piece,)}, subjects, folder, timeout_s=_TIMEOUT_S, hear=hear, exact=True)
    converted = made[kind, piece]
    if isinstance(converted, Failed):
        return Exported({}, runner, wrong=f"the conversion failed: {converted.reason}")
    key, entry = converted
    place = folder / key
    hear(f"running it on {runner}")
    with runtime_worker(target, subjects) as worker:
        request = Prepare(piece, str(place), entry.main, dtype, threads=1)
        answer = worker.ask(request, Prepared, _TIMEOUT_S)
    if isinstance(answer, Failed):
        return Exported({}, runner, wrong=f"the converted file does not run: {answer.reason}")
    names = [entry.main, *(name for name in entry.digests if name != entry.main)]
    files = {name: (place / name).read_bytes() for name in names if not name.endswith(cache.IN_AND_OUT)}
    return Exported(files, runner, answer.max_abs_err, answer.max_rel_err, how_wrong(answer, dtype, part))
