"""From networks to a Run: what to time, on what, kept as it comes in."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from ..cost.counts import Dtype
from ..graph.errors import printable
from ..record.run import Operator, Run, Subject, Timing, twins
from . import cache
from .backends import backend, compiles, names
from .host import describe
from .operators import profile_operators
from .schedule import Plan, Progress, Watcher, measure, measure_roofs
from .worker import Piece, Setup


class Request(NamedTuple):
    """What to measure. parts: of each network, blocks, NET or modules' paths; folder: the cache's, None
    for one that is not kept; operators: whether to ask the runtimes for theirs too; ready_s: how long
    converting and loading the parts may take; roofs: whether the machine's peak rates are measured too.
    """

    subjects: Mapping[str, Subject]
    parts: Mapping[str, Sequence[str]]
    backends: tuple[str, ...]
    dtype: Dtype = "fp32"
    batch: int = 1
    threads: int = 1
    budget_s: float = 60.0
    timeout_s: float = 300.0
    folder: Path | None = None
    operators: bool = False
    ready_s: float = inf
    roofs: bool = True


def usable_here() -> tuple[str, ...]:
    """The backends that can run here, but for those whose times mean nothing: null, software Vulkan."""
    found = {name: backend(name).usable() for name in names() if name != "null"}
    return tuple(name for name, usable in found.items() if usable.ok and "llvmpipe" not in usable.device)


def quick_here() -> tuple[str, ...]:
    """The backends of usable_here() that get ready within seconds."""
    return tuple(name for name in usable_here() if not compiles(name))


def profile(
    request: Request, *, known: Run | None = None, hear: Callable[[Progress], None] = lambda _: None,
    store: Callable[[Run], None] = lambda _: None,
) -> Run:  # fmt: skip
    """Measure what is asked for and not in `known`; `store` is given the run whenever there is more.

    Identical parts are measured once, under the first one's name.
    """
    setup = Setup(dict(request.subjects), request.dtype, request.batch, request.threads)
    run = known or _begun(request)
    others = tuple(timing for timing in run.timings if not _asked_for(timing, request))

    def keep(timings: tuple[Timing, ...]) -> None:
        store(replace(run, timings=others + timings))

    with nullcontext(request.folder) if request.folder else cache.temporary() as folder:
        plan = Plan(
            setup, _pieces(request), request.backends, folder, request.budget_s, request.timeout_s,
            request.ready_s,
        )  # fmt: skip
        if request.roofs and (devices := _devices_without_roof(run, request)):
            hear(Progress("measuring the machine's peak rates"))
            roofs = run.host.roofs + measure_roofs(setup, devices)
            run = replace(run, host=describe(dict.fromkeys([*run.host.runtimes, *request.backends]), roofs))
        store(run)
        timings = measure(plan, Watcher(hear, keep), run.timings)
        run = replace(run, timings=others + timings)
        if request.operators and not any(timing.stopped == "interrupted" for timing in timings):
            found, reasons = profile_operators(setup, timings, folder, request.timeout_s, hear)
            kept = tuple(operator for operator in run.operators if not _asked_for(operator, request))
            notes = (*run.notes, *reasons) if kept else tuple(reasons)
            run = replace(run, operators=(*kept, *found), notes=tuple(dict.fromkeys(notes)))
            store(run)
    return run


def _begun(request: Request) -> Run:
    subjects = dict(request.subjects)
    return Run(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=printable(shlex.join(["mnv3prof", *sys.argv[1:]])),
        host=describe(request.backends),
        subject=subjects.pop(""),
        variants=subjects,
    )


def _devices_without_roof(run: Run, request: Request) -> list[str]:
    known = {r.device for r in run.host.roofs if (r.dtype, r.threads) == (request.dtype, request.threads)}
    wanted = {backend(name).ROOF for name in request.backends if backend(name).usable().ok}
    return sorted(wanted - known - {""})


def _pieces(request: Request) -> tuple[Piece, ...]:
    """Each part that is asked for by the name of the first one that is identical."""
    found: dict[Piece, None] = {}
    for variant, subject in request.subjects.items():
        same = twins(subject.graph)
        found |= {Piece(variant, same.get(part, part)): None for part in request.parts[variant]}
    return tuple(found)


def _asked_for(timing: Timing | Operator, request: Request) -> bool:
    piece = Piece(timing.variant, timing.part)
    same = (timing.dtype, timing.batch, timing.threads) == (request.dtype, request.batch, request.threads)
    return same and timing.backend in request.backends and piece in _pieces(request)
