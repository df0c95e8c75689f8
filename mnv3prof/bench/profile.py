"""Measure networks on targets and assemble the run."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple, Self

from msgspec.structs import replace

from ..device.protocol import PartKey
from ..graph.errors import InputError, quote
from ..graph.parts import identical_blocks
from ..record.run import (
    ASKING_INTERRUPTED,
    CLASSIFYING_INTERRUPTED,
    HERE,
    PEAKS_INTERRUPTED,
    Host,
    OtherLoad,
    Run,
    Subject,
)
from ..record.target import Target, threads_of
from ..record.timing import Operator, Timing
from ..workers import cache
from ..workers.backends import backend, compiles, is_simulated, names, place_of, usable
from ..workers.devices import device_of, known_devices, require_name
from ..workers.peak_burst import Device
from .accuracy import HeldOut, measure_accuracies
from .host import commit, describe
from .load import other_load
from .machines import Machines, found_on
from .operators import profile_operators
from .peaks import PeakMeter
from .progress import PEAKS, OnProgress, Progress
from .schedule import BenchPlan, Callbacks, measure

NO_PEAK: Final = "No peak of "
"""Begin of the notes on peak rates that could not be measured."""


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


def places_named(called: str, timeout_s: float = inf) -> tuple[str, ...]:
    """Return the places that "ncnn", "all", "ncnn@pi" or "all@pi" names. Raises InputError.

    timeout_s: of a device that is asked for its runtimes.
    """
    found: tuple[str, ...]
    name, at, device = called.partition("@")
    if name != "all":
        found = (_place(called),)
    elif not at:
        return usable_here()
    else:
        require_name(device)
        found = tuple(f"{each}@{device}" for each in found_on(device, timeout_s))
    if at:
        device_of(device)  # its entry is right
    return found


def _place(called: str) -> str:
    try:
        return place_of(called)
    except InputError:
        try:
            devices = known_devices()
        except (InputError, OSError):  # what is wrong here is the backend
            devices = ()
        require_no_device(called, devices)
        raise


def require_no_device(called: str, devices: Collection[str]) -> None:
    """Raise InputError for the name of a device where that of a backend is wanted."""
    if called in devices:
        raise InputError(f"{quote(called)} is a device; expected a backend there, e.g. all@{called}")


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
    ends it, and the run so far is returned. Raises InputError for a network that cannot be run.
    """
    if request.targets:
        _require_runnable(request)
    run = known or _begun(request)
    before = run.timings
    load = OtherLoad(other_load()) if request.targets else None
    backends = tuple(dict.fromkeys([*run.host.runtimes, *_backends(request, HERE)]))
    host = run.host if backends == tuple(run.host.runtimes) else describe(backends, run.host)
    with ExitStack() as stack:
        folder = stack.enter_context(cache.opened(request.folder))
        missing = _to_contact(request, run)
        if devices := [name for name in dict.fromkeys(t.device for t in missing) if name != HERE]:
            on_progress(Progress(f"asking {', '.join(devices)}"))
        machines = stack.enter_context(Machines(missing, known=run.hosts, within_s=request.timeout_s))
        hosts = {HERE: host, **{name: machines.host(name, _known_on(run, request, name)) for name in devices}}
        meters = _Meters(request, hosts, machines)
        stack.enter_context(meters)

        def with_timings(timings: tuple[Timing, ...], load: OtherLoad | None) -> Run:
            new = load is not None and any(_is_new_here(timing, before) for timing in timings)
            loads = (*host.other_loads, load) if new else host.other_loads
            now = {**hosts, HERE: replace(host, other_loads=loads)}
            return replace(run, hosts={**run.hosts, **meters.rated(now)}, timings=_merged(before, timings))

        if meters.measures(HERE):
            on_progress(Progress(PEAKS))
        meters.burst(HERE)
        callbacks = Callbacks(on_progress, lambda timings: on_update(with_timings(timings, load)))
        callbacks.on_update(())
        timings = measure(_bench_plan(request, folder), callbacks, before, machines, meters.burst)
        interrupted = any(timing.stopped == "interrupted" for timing in timings)
        if load and not interrupted:
            on_progress(Progress(PEAKS))
            load, notes = _completed(meters, load)
            lost = () if notes else meters.notes()
            kept = [note for note in run.notes if not note.startswith(NO_PEAK)]
            run, interrupted = replace(run, notes=(*kept, *lost, *notes)), bool(notes)
        run = with_timings(timings, load)
        if not interrupted:
            run = _with_untimed(run, request, timings, machines, folder, on_progress, on_update)
    return run


def _require_runnable(request: Request) -> None:
    for subject in request.subjects.values():
        if subject.captured:
            subject.captured.require_runnable()


def _to_contact(request: Request, run: Run) -> tuple[Target, ...]:
    """Return the targets that are not timed to the end, or that something else is asked of."""
    if request.operators or request.held_out:
        return request.targets
    final = {(t.variant, t.part, t.target) for t in run.timings if t.final}
    parts = _parts(request)
    return tuple(
        target
        for target in request.targets
        if not all((*part, target) in final for part in parts) or (request.peaks and _lacks_peak(run, target))
    )


def _lacks_peak(run: Run, target: Target) -> bool:
    """Return True if another device was timed on the target, and has no peak rates for it."""
    timed = any(timing.target == target and timing.seconds is not None for timing in run.timings)
    if not timed or target.device == HERE or target.dtype != "fp32":
        return False
    known = {(peak.name, peak.dtype, peak.threads) for peak in run.hosts[target.device].peak_rates}
    name = backend(target.backend).PEAK
    return bool(name) and (name, target.dtype, target.threads) not in known


def _known_on(run: Run, request: Request, device: str) -> tuple[str, ...]:
    """Return the backends on a device that the run has or that are requested."""
    known = run.hosts[device].runtimes if device in run.hosts else {}
    return tuple(dict.fromkeys([*known, *_backends(request, device)]))


def _is_new_here(timing: Timing, before: Sequence[Timing]) -> bool:
    return timing.target.device == HERE and bool(timing.bursts) and timing not in before


class _Meters:
    """The peak rates of this machine and of other devices."""

    def __init__(self, request: Request, hosts: Mapping[str, Host], machines: Machines) -> None:
        self._meters = {}
        for name, host in hosts.items():
            devices = _missing_peaks(host, name, request, machines) if request.peaks else ()
            rater = None if name == HERE else partial(machines.rater, name)
            self._meters[name] = PeakMeter(devices, request.budget_s, rater)

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        with ExitStack() as stack:
            for meter in self._meters.values():
                stack.push(meter)

    def measures(self, device: str) -> bool:
        """Return True if rates of a device are missing."""
        return self._meters[device].is_needed

    def burst(self, device: str, stop: Event | None = None) -> None:
        """Measure what is due on a device, until `stop` is set."""
        self._meters[device].burst(stop)

    def notes(self) -> tuple[str, ...]:
        """Say which rates could not be measured, and why."""
        return tuple(
            f"{NO_PEAK}{peak.name}{f'@{name}' if name != HERE else ''} at {peak.dtype}, "
            f"{threads_of(peak.threads)} was measured: {why}. A resumed run tries it again."
            for name, meter in self._meters.items()
            for peak, why in meter.failures().items()
        )

    def complete(self) -> None:
        """Measure until every device has enough bursts."""
        for meter in self._meters.values():
            meter.complete()

    def rated(self, hosts: Mapping[str, Host]) -> dict[str, Host]:
        """Return the machines with the rates that were measured."""
        return {
            name: replace(host, peak_rates=(*host.peak_rates, *self._meters[name].rates()))
            for name, host in hosts.items()
        }


def _with_untimed(
    run: Run,
    request: Request,
    timings: Sequence[Timing],
    machines: Machines,
    folder: Path,
    on_progress: Callable[[Progress], None],
    on_update: Callable[[Run], None],
) -> Run:
    """Return the run with operators and accuracies, as requested: they would disturb the timing."""
    if request.operators:
        found = profile_operators(
            request.subjects, timings, folder, request.timeout_s, on_progress, machines.worker
        )
        run = _with_operators(run, timings, *found)
        on_update(run)
    if request.held_out and ASKING_INTERRUPTED not in run.notes:
        run = _with_accuracies(run, request, request.held_out, timings, machines, folder, on_progress)
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


def _completed(meters: _Meters, load: OtherLoad) -> tuple[OtherLoad, tuple[str, ...]]:
    """Measure the rest of the peak rates and the other load. Return the load, and a note if interrupted."""
    try:
        meters.complete()
        return replace(load, after=other_load()), ()
    except KeyboardInterrupt:
        return load, (PEAKS_INTERRUPTED,)


def _with_accuracies(
    run: Run,
    request: Request,
    held_out: HeldOut,
    timings: Sequence[Timing],
    machines: Machines,
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
        request.subjects, missing, held_out, folder, request.timeout_s, on_progress, machines.worker
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
        commit=commit(),
        hosts={HERE: describe(_backends(request, HERE))},
        subjects=dict(request.subjects),
    )


def _backends(request: Request, device: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(target.backend for target in request.targets if target.device == device))


def _missing_peaks(host: Host, name: str, request: Request, machines: Machines) -> list[Device]:
    """Return what the rates of a machine's targets are compared with and whose peak rates are not known.

    int8 has none: PyTorch's int8 product is not the fastest. On other devices only fp32 has, by NumPy.
    """
    known = {(peak.name, peak.dtype, peak.threads) for peak in host.peak_rates}
    running = [
        target
        for target in request.targets
        if target.device == name
        and (target.dtype != "int8" if name == HERE else target.dtype == "fp32")
        and not machines.only_checks(target)
        and not machines.obstacle(target)
    ]
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
