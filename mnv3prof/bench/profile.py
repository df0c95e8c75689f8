"""Measure networks on targets and assemble the run."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from ..device.protocol import PartKey
from ..graph.parts import identical_blocks
from ..record.run import (
    ASKING_INTERRUPTED,
    CLASSIFYING_INTERRUPTED,
    HERE,
    PEAKS_INTERRUPTED,
    OtherLoad,
    Run,
    Subject,
)
from ..record.target import Target
from ..record.timing import Operator, Timing
from ..workers import cache
from ..workers.backends import backend, compiles, is_simulated, names, usable
from ..workers.peak_burst import Device
from .accuracy import HeldOut, measure_accuracies
from .host import describe
from .load import other_load
from .obstacles import obstacle
from .operators import profile_operators
from .peaks import PeakMeter
from .progress import PEAKS, OnProgress, Progress
from .schedule import BenchPlan, Callbacks, measure


class Request(NamedTuple):
    """What to measure. parts: by variant, blocks, NET or paths of modules. folder: of the cache, None for a
    temporary one. operators: also profile operators. ready_s: limit of converting and loading. peaks: also
    measure peak rates. command: what asked for it, as its user wrote it. held_out: images on which to
    measure the accuracy of whole networks after their latency; None for none.
    """

    subjects: Mapping[str, Subject]
    parts: Mapping[str, Sequence[str]]
    targets: tuple[Target, ...]
    budget_s: float = 60.0
    timeout_s: float = 300.0
    folder: Path | None = None
    operators: bool = False
    ready_s: float = inf
    peaks: bool = True
    command: str = ""
    held_out: HeldOut | None = None


def usable_here() -> tuple[str, ...]:
    """Return the backends that work here, without simulated ones: null, and Vulkan on a software device."""
    found = {name: usable(name) for name in names()}
    return tuple(name for name, what in found.items() if what.ok and not is_simulated(name, what.chip))


def quick_here() -> tuple[str, ...]:
    """Return the backends of usable_here() that do not compile while loading."""
    return tuple(name for name in usable_here() if not compiles(name))


def profile(
    request: Request,
    *,
    known: Run | None = None,
    on_progress: OnProgress = lambda _: None,
    on_update: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Measure what is requested and not in `known`. on_update is called with the run as it grows.

    Identical blocks are measured once, under the name of the first. An interrupt after the sampling has begun
    ends it, and the run so far is returned.
    """
    run = known or _begun(request)
    before = run.timings
    load = OtherLoad(other_load()) if request.targets else None
    backends = tuple(dict.fromkeys([*run.host.runtimes, *_backends(request)]))
    host = run.host if backends == tuple(run.host.runtimes) else describe(backends, run.host)
    devices = _missing_peaks(run, request) if request.peaks else ()

    def with_timings(timings: tuple[Timing, ...], load: OtherLoad | None) -> Run:
        new = load is not None and any(timing.bursts and timing not in before for timing in timings)
        loads = (*host.other_loads, load) if new else host.other_loads
        now = replace(host, peak_rates=(*host.peak_rates, *meter.rates()), other_loads=loads)
        return replace(run, hosts={**run.hosts, HERE: now}, timings=_merged(before, timings))

    with cache.opened(request.folder) as folder, PeakMeter(devices, request.budget_s) as meter:
        if devices:
            on_progress(Progress(PEAKS))
        meter.burst()
        callbacks = Callbacks(on_progress, lambda timings: on_update(with_timings(timings, load)))
        callbacks.on_update(())
        timings = measure(_bench_plan(request, folder), callbacks, before, before_round=meter.burst)
        interrupted = any(timing.stopped == "interrupted" for timing in timings)
        if load and not interrupted:
            on_progress(Progress(PEAKS))
            load, notes = _completed(meter, load)
            run, interrupted = replace(run, notes=(*run.notes, *notes)), bool(notes)
        run = with_timings(timings, load)
        if not interrupted:
            run = _with_untimed(run, request, timings, folder, on_progress, on_update)
    return run


def _with_untimed(
    run: Run,
    request: Request,
    timings: Sequence[Timing],
    folder: Path,
    on_progress: Callable[[Progress], None],
    on_update: Callable[[Run], None],
) -> Run:
    """Return the run with operators and accuracies, as requested: they would disturb the timing."""
    if request.operators:
        found = profile_operators(request.subjects, timings, folder, request.timeout_s, on_progress)
        run = _with_operators(run, timings, *found)
        on_update(run)
    if request.held_out and ASKING_INTERRUPTED not in run.notes:
        run = _with_accuracies(run, request, request.held_out, timings, folder, on_progress)
        on_update(run)
    return run


def _bench_plan(request: Request, folder: Path) -> BenchPlan:
    return BenchPlan(
        request.subjects,
        _parts(request),
        request.targets,
        folder,
        request.budget_s,
        request.timeout_s,
        request.ready_s,
    )


def _completed(meter: PeakMeter, load: OtherLoad) -> tuple[OtherLoad, tuple[str, ...]]:
    """Measure the rest of the peak rates and the other load. Return the load, and a note if interrupted."""
    try:
        meter.complete()
        return replace(load, after=other_load()), ()
    except KeyboardInterrupt:
        return load, (PEAKS_INTERRUPTED,)


def _with_accuracies(
    run: Run,
    request: Request,
    held_out: HeldOut,
    timings: Sequence[Timing],
    folder: Path,
    on_progress: Callable[[Progress], None],
) -> Run:
    """Return the run with the accuracies of `timings`; those that it has of the same images are kept."""
    images, wanted = (held_out.data, len(held_out.labels)), {(t.variant, t.target) for t in timings}
    kept = {
        (a.variant, a.target): a
        for a in run.accuracies
        if (a.data, a.images) == images or (a.variant, a.target) not in wanted
    }
    missing = [timing for timing in timings if (timing.variant, timing.target) not in kept]
    found, complete = measure_accuracies(
        request.subjects, missing, held_out, folder, request.timeout_s, on_progress
    )
    notes = [note for note in run.notes if note != CLASSIFYING_INTERRUPTED]
    notes += [] if complete else [CLASSIFYING_INTERRUPTED]
    return replace(run, accuracies=(*kept.values(), *found), notes=tuple(notes))


def _with_operators(
    run: Run, timings: Sequence[Timing], operators: Sequence[Operator], reasons: Sequence[str]
) -> Run:
    """Return the run with the operators of `timings`, in place of those it had of the same timings."""
    anew = {(timing.variant, timing.part, timing.target) for timing in timings}
    kept = tuple(o for o in run.operators if (o.variant, o.part, o.target) not in anew)
    notes = (*run.notes, *reasons) if kept else tuple(reasons)
    return replace(run, operators=(*kept, *operators), notes=tuple(dict.fromkeys(notes)))


def _begun(request: Request) -> Run:
    return Run(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=request.command,
        hosts={HERE: describe(_backends(request))},
        subjects=dict(request.subjects),
    )


def _backends(request: Request) -> tuple[str, ...]:
    return tuple(dict.fromkeys(target.backend for target in request.targets))


def _missing_peaks(run: Run, request: Request) -> list[Device]:
    """Return the devices that the targets' rates are compared with and whose peak rates are not known.

    int8 has none: PyTorch's int8 product is not the fastest.
    """
    known = {(peak.name, peak.dtype, peak.threads) for peak in run.host.peak_rates}
    running = [target for target in request.targets if target.dtype != "int8" and not obstacle(target)]
    wanted = {Device(backend(target.backend).PEAK, target.dtype, target.threads) for target in running}
    return sorted(device for device in wanted - known if device.name)


def _parts(request: Request) -> tuple[PartKey, ...]:
    """Return the requested parts, each by the name of the first identical block."""
    found: dict[PartKey, None] = {}
    for variant, subject in request.subjects.items():
        same = identical_blocks(subject.graph)
        found |= {PartKey(variant, same.get(part, part)): None for part in request.parts[variant]}
    return tuple(found)


def _merged(before: Sequence[Timing], now: Sequence[Timing]) -> tuple[Timing, ...]:
    """Return all timings in the order of the first request; a newer one replaces an older one of the same
    part and target if it has bursts or a failure.
    """
    known = {(timing.variant, timing.part, timing.target): timing for timing in before}
    for timing in now:
        key = timing.variant, timing.part, timing.target
        if key not in known or timing.bursts or timing.status != "ok":
            known[key] = timing
    return tuple(known.values())
