"""Timings and operators of a run, from what files say and what its user adds."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from statistics import fmean
from typing import Final

import msgspec

from ..analysis.operators import operators_of
from ..cost.counts import Dtype
from ..device.clock import KEPT
from ..device.samples import outliers, thinned
from ..graph.errors import InputError, quote
from ..graph.graph import Graph
from ..graph.parts import NET, identical_blocks, selected_parts
from ..record.stats import LEAST_BURSTS
from ..record.target import MOST, Target
from ..record.timing import Burst, Launch, Operator, Timing
from .found import Found
from .merging import merged

_DIGITS: Final = 12


class Told(msgspec.Struct, frozen=True):
    """What the user says of the files; None where they say it themselves.

    device: name of the phone or board. part: of the network. threads, batch: a file that says otherwise is
    refused.
    """

    device: str
    part: str | None = None
    dtype: Dtype | None = None
    threads: int | None = None
    batch: int | None = None


class File(msgspec.Struct, frozen=True):
    """A file that was read. where: its name. part: that the user gave for it, if any."""

    where: str
    runs: tuple[Found, ...]
    part: str | None = None


class Imported(msgspec.Struct, frozen=True):
    """Timings and operators of a run."""

    timings: tuple[Timing, ...]
    operators: tuple[Operator, ...]


def imported(files: Sequence[File], graph: Graph, told: Told) -> Imported:
    """Return a timing for each part and target. Raises InputError for files that contradict each other, the
    user or the network, or that leave a target unknown.
    """
    groups: dict[tuple[str, Target], list[Found]] = {}
    same = identical_blocks(graph)
    known = [run for file in files for run in file.runs]
    for file in files:
        parts = _parts(file, graph, told)
        for run, part in zip(file.runs, parts, strict=True):
            target = _target(run, known, told, file.where)
            groups.setdefault((same.get(part, part), target), []).append(run)
    timings = tuple(_timing(part, target, runs) for (part, target), runs in groups.items())
    operators = tuple(
        operator
        for (part, target), runs in groups.items()
        for operator in _operators(graph, part, target, runs)
    )
    if alone := next((t.part for t in timings if not t.bursts and not t.reported), None):
        raise InputError(f"part {alone}: has operators, but no time; expected also the file that has it")
    return Imported(timings, operators)


def _parts(file: File, graph: Graph, told: Told) -> list[str]:
    """Return the part of each run of a file: the user's, or the one that the model is named after."""
    labels = {run.label: PurePosixPath(run.label).stem for run in file.runs if run.label}
    given = file.part or told.part
    named = {label: stem for label, stem in labels.items() if stem in {*graph.block_names, NET}}
    if len(labels) > 1 and (given or len(named) < len(labels)):
        shown = ", ".join(map(quote, list(labels)[:3]))
        raise InputError(
            f"{file.where}: has times of {len(labels)} models: {shown}; expected one, or names of parts"
        )
    if given is None:
        return [named.get(run.label, NET) for run in file.runs]
    part, *more = selected_parts(graph, [given], file.where)
    if more:
        raise InputError(f"{file.where}: {quote(given)} is several parts; expected one")
    return [part] * len(file.runs)


def _target(run: Found, known: Sequence[Found], told: Told, where: str) -> Target:
    """Return the target of a run, by its file, else by the other files of its tool, else by the user."""
    threads = _setting("threads", run, known, told.threads, where)
    batch = _setting("batch", run, known, told.batch, where) or 1
    missing = [name for name, value in (("dtype", told.dtype), ("threads", threads)) if value is None]
    if missing or told.dtype is None or threads is None:
        needed = " and ".join(missing)
        raise InputError(
            f"{where}: does not say its {needed}; expected the option{'s' * (len(missing) > 1)} {needed}"
        )
    return Target(device=told.device, backend=run.backend, dtype=told.dtype, batch=batch, threads=threads)


def _setting(name: str, run: Found, known: Sequence[Found], given: int | None, where: str) -> int | None:
    said: int | None = getattr(run, name)
    if said is not None:
        if given not in (None, said):
            raise InputError(f"{where}: says {said} as its {name}; expected that, not {given}")
        if said > MOST:
            raise InputError(f"{where}: {name}: {said:,} is not allowed; expected at most {MOST:,}")
        return said
    others = {value for other in known if other.backend == run.backend if (value := getattr(other, name))}
    return given if given is not None or len(others) != 1 else others.pop()


def _timing(part: str, target: Target, runs: Sequence[Found]) -> Timing:
    """Return the timing of one part on one target: a launch for each run with samples."""
    found = merged(runs)
    return Timing(
        part=part,
        target=target,
        launches=tuple(Launch((_burst(run.samples),)) for run in found if run.samples),
        load_s=next((run.load_s for run in reversed(found) if run.load_s is not None), None),
        first_s=next((run.first_s for run in reversed(found) if run.first_s is not None), None),
        stopped="imported",
        reported=tuple(run.reported for run in found if run.reported and not run.samples),
    )


def _burst(samples: Sequence[float]) -> Burst:
    """Return the calls of one run as one burst: they share the state of the device."""
    return Burst(
        calls=len(samples),
        wall_s=tuple(round(sample, _DIGITS) for sample in thinned(samples, KEPT)),
        mean_s=fmean(samples),
        max_s=max(samples),
        outliers=outliers(samples),
    )


def _operators(graph: Graph, part: str, target: Target, runs: Sequence[Found]) -> list[Operator]:
    """Return the operators of the last run that has some, joined to layers."""
    operators = next((run.operators for run in reversed(runs) if run.operators), ())
    return operators_of(graph, part, target, operators)


def notes_of(timings: Sequence[Timing]) -> tuple[str, ...]:
    """Say which outputs were not compared, and which runs have no samples beside others that have."""
    places = dict.fromkeys(t.target.place for t in timings if t.rms_rel_err is None)
    few = [t for t in timings if t.bursts and len(t.bursts) < LEAST_BURSTS]
    beside = sum(len(timing.reported) for timing in timings if timing.bursts)
    return (
        *([f"Outputs on {', '.join(places)} were not compared with PyTorch's."] if places else []),
        *(
            f"{t.part} on {t.target.place} has samples of {len(t.bursts)} run{'s' * (len(t.bursts) > 1)}, "
            f"each one burst: import {LEAST_BURSTS} runs together to compare it."
            for t in few
        ),
        *([f"{beside} imported runs without samples are in no statistic."] if beside else []),
    )
