"""The memory that runtimes plan for a network."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from ..cost.counts import Dtype
from ..record.plan import RuntimePlan
from ..record.run import NET, Subject
from ..record.target import Target
from .backends import backend
from .processes import ask, end, is_alive, start
from .schedule import Progress
from .worker import Failed, Piece, PlanMemory, Setup, serve_runtime

_TIMEOUT_S: Final = 600.0


def runtime_plans(
    subject: Subject, backends: Sequence[str], dtype: Dtype, batch: int,
    hear: Callable[[Progress], None] = lambda _: None, timeout_s: float = _TIMEOUT_S,
) -> tuple[RuntimePlan, ...]:  # fmt: skip
    """The arena that each backend plans for the whole network, or why none can be told."""
    setups = [Setup({"": subject}, Target(backend=name, dtype=dtype, batch=batch)) for name in backends]
    return tuple(replace(_plan(setup, hear, timeout_s), dtype=dtype, batch=batch) for setup in setups)


def _plan(setup: Setup, hear: Callable[[Progress], None], timeout_s: float) -> RuntimePlan:
    name, dtype = setup.target.backend, setup.target.dtype
    found = backend(name).usable()
    if not found.ok:
        return RuntimePlan(name, reason=found.reason)
    if dtype not in backend(name).DTYPES:
        return RuntimePlan(name, reason=f"it takes {', '.join(backend(name).DTYPES)}, not {dtype}")
    hear(Progress(f"asking {name} for its memory plan"))
    worker = start(serve_runtime, setup)
    try:
        answer = ask(worker, PlanMemory(Piece("", NET)), timeout_s)
    finally:
        if is_alive(worker):
            end(worker)
    return RuntimePlan(name, reason=answer.reason) if isinstance(answer, Failed) else answer
