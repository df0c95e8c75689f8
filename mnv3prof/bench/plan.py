"""Arenas that runtimes plan for a network."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from ..cost.counts import Dtype
from ..device.protocol import Piece, PlanMemory
from ..record.plan import Held, RuntimePlan, Size
from ..record.run import NET, Subject
from ..record.target import Target
from .backends import backend, usable
from .convert import convert, file_kind, loading
from .formats import form
from .requests import FileKind, Open, PlanAhead, Subjects
from .schedule import Progress
from .workers import Failed, pytorch_worker, runtime_worker

_TIMEOUT_S: Final = 600.0
_PIECE: Final = Piece("", NET)


class _Planned(msgspec.Struct):
    """The answer of a worker."""

    bytes: Size
    tensors: tuple[Held, ...]


def runtime_plans(
    subject: Subject, backends: Sequence[str], dtype: Dtype, batch: int, folder: Path,
    hear: Callable[[Progress], None] = lambda _: None, timeout_s: float = _TIMEOUT_S,
) -> tuple[RuntimePlan, ...]:  # fmt: skip
    """Read the arena that each backend plans for the whole network, or the reason why it cannot be read.

    folder: of the cache.
    """
    plans = []
    for name in backends:
        answer = _plan(Target(backend=name, dtype=dtype, batch=batch), subject, folder, hear, timeout_s)
        if isinstance(answer, Failed):
            plans.append(RuntimePlan(name, reason=answer.reason, dtype=dtype, batch=batch))
        else:
            plans.append(RuntimePlan(name, answer.bytes, answer.tensors, dtype=dtype, batch=batch))
    return tuple(plans)


def _plan(
    target: Target, subject: Subject, folder: Path, hear: Callable[[Progress], None], timeout_s: float
) -> _Planned | Failed:  # fmt: skip
    name, subjects, kind = target.backend, {"": subject}, file_kind(target)
    if not (found := usable(name)).ok:
        return Failed("absent", found.reason)
    if target.dtype not in backend(name).DTYPES:
        return Failed("unsupported", f"it takes {', '.join(backend(name).DTYPES)}, not {target.dtype}")
    hear(Progress(f"asking {name} for its memory plan"))
    if kind and hasattr(form(kind.format), "planned"):
        with pytorch_worker(Open(subjects, target.batch)) as worker:
            return worker.ask(PlanAhead(_PIECE, kind), _Planned, timeout_s)
    if kind and hasattr(backend(name), "planned"):
        return _ask_the_runtime(target, kind, subjects, folder, timeout_s)
    return Failed("unsupported", "the runtime's memory plan cannot be read")


def _ask_the_runtime(
    target: Target, kind: FileKind, subjects: Subjects, folder: Path, timeout_s: float
) -> _Planned | Failed:  # fmt: skip
    converted = convert({kind: (_PIECE,)}, subjects, folder, timeout_s=timeout_s)[kind, _PIECE]
    ready = converted if isinstance(converted, Failed) else loading(_PIECE, target, subjects, folder)
    if isinstance(ready, Failed):
        return ready
    with runtime_worker(target, subjects) as worker:
        request = PlanMemory(_PIECE, ready.folder, ready.main, ready.dtype, ready.threads)
        return worker.ask(request, _Planned, timeout_s)
