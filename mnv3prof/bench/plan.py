"""The arenas that runtimes plan for a network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import msgspec

from ..cost.counts import Dtype
from ..device.protocol import PartKey, PlanMemory
from ..graph.parts import NET
from ..record.plan import NOT_READ, PlannedTensor, RuntimePlan, Size
from ..record.run import Subject
from ..record.target import Target
from ..workers.backends import backend
from ..workers.formats import Planner, get_format
from ..workers.requests import FileKind, Open, PlanAhead, Subjects
from ..workers.worker import Failed, pytorch_worker, runtime_worker
from .convert import convert, file_kind, loading
from .obstacles import obstacle
from .progress import OnProgress, Progress

_TIMEOUT_S: Final = 600.0
_NET_KEY: Final = PartKey("", NET)


class _Planned(msgspec.Struct):
    """The answer of a worker."""

    bytes: Size
    tensors: tuple[PlannedTensor, ...]


def runtime_plans(
    subject: Subject,
    backends: Sequence[str],
    dtype: Dtype,
    batch: int,
    folder: Path,
    on_progress: OnProgress = lambda _: None,
    timeout_s: float = _TIMEOUT_S,
) -> tuple[RuntimePlan, ...]:
    """Read the arena of each backend for the whole network, or the reason for none.

    folder: of the cache. After an interrupt, the remaining plans have NOT_READ as their reason.
    """
    plans: list[RuntimePlan] = []
    try:
        for name in backends:
            target = Target(backend=name, dtype=dtype, batch=batch)
            answer = _plan(target, subject, folder, on_progress, timeout_s)
            if isinstance(answer, Failed):
                plans.append(RuntimePlan(name, reason=answer.reason, dtype=dtype, batch=batch))
            else:
                plans.append(RuntimePlan(name, answer.bytes, answer.tensors, dtype=dtype, batch=batch))
    except KeyboardInterrupt:
        rest = backends[len(plans) :]
        plans += [RuntimePlan(name, reason=NOT_READ, dtype=dtype, batch=batch) for name in rest]
    return tuple(plans)


def plan_obstacle(target: Target) -> Failed | None:
    """Return the known reason why the backend's plan cannot be read, or None."""
    if failed := obstacle(target):
        return failed
    name, kind = target.backend, file_kind(target)
    if kind is None or not (_plans_ahead(kind) or hasattr(backend(name), "planned")):
        return Failed("unsupported", "the runtime's memory plan cannot be read")
    if _plans_ahead(kind) and target.dtype not in cast("Planner", get_format(kind.format)).PLANNED_DTYPES:
        return Failed("unsupported", f"its plan cannot be read at {target.dtype}")
    return None


def _plan(
    target: Target, subject: Subject, folder: Path, on_progress: OnProgress, timeout_s: float
) -> _Planned | Failed:
    subjects, kind = {"": subject}, file_kind(target)
    if failed := plan_obstacle(target):
        return failed
    assert kind is not None  # plan_obstacle() refuses None
    reading = Progress(f"reading the memory plan of {target.backend}")
    if _plans_ahead(kind):
        on_progress(reading)
        with pytorch_worker(Open(subjects, target.batch)) as worker:
            return worker.ask(PlanAhead(_NET_KEY, kind), _Planned, timeout_s)
    converted = convert({kind: (_NET_KEY,)}, subjects, folder, timeout_s=timeout_s, on_progress=on_progress)
    if isinstance(answer := converted[kind, _NET_KEY], Failed):
        return answer
    on_progress(reading)
    return _runtime_plan(target, subjects, folder, timeout_s)


def _plans_ahead(kind: FileKind) -> bool:
    return hasattr(get_format(kind.format), "planned")


def _runtime_plan(target: Target, subjects: Subjects, folder: Path, timeout_s: float) -> _Planned | Failed:
    ready = loading(_NET_KEY, target, subjects, folder)
    if isinstance(ready, Failed):
        return ready
    with runtime_worker(target, subjects) as worker:
        request = PlanMemory(_NET_KEY, ready.folder, ready.main, ready.dtype, ready.threads)
        return worker.ask(request, _Planned, timeout_s)
