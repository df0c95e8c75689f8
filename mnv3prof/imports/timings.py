"""Timings and operators of a run, from what files say and what its user adds."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from statistics import fmean
from typing import Final, NamedTuple

import msgspec

from ..analysis.operators import operators_of
from ..cost.counts import Dtype
from ..device.clock import KEPT
from ..device.samples import outliers, thinned
from ..graph.errors import InputError, quote, shortened
from ..graph.graph import Graph
from ..graph.parts import NET, identical_blocks, selected_parts
from ..record.stats import LEAST_BURSTS
from ..record.target import MOST, Target
from ..record.timing import Burst, Launch, Operator, Timing
from .found import Found
from .merging import identity, is_same, merged

_DIGITS: Final = 12


class Told(msgspec.Struct, frozen=True):
    """What the user says of the files; None where they say it themselves.

    device: name of the phone or board. part: of the network. model: the only one that is read of files with
    several. threads, batch: a file that says otherwise is refused.
    """

    device: str
    part: str | None = None
    dtype: Dtype | None = None
    threads: int | None = None
    batch: int | None = None
    model: str | None = None


class UnsaidError(InputError):
    """What files do not say is needed. begin, end: of the message; arguments: of Told that would say it."""

    def __init__(self, begin: str, arguments: Sequence[str], end: str = "") -> None:
        super().__init__(f"{begin}; expected {' and '.join(arguments)}{end}")
        self.begin, self.arguments, self.end = begin, tuple(arguments), end


class File(msgspec.Struct, frozen=True):
    """A file that was read. where: its name. part: that the user gave for it, if any."""

    where: str
    runs: tuple[Found, ...]
    part: str | None = None


class Imported(msgspec.Struct, frozen=True):
    """Timings and operators of a run. accelerators: what ran the models, by backend. notes: on the files."""

    timings: tuple[Timing, ...]
    operators: tuple[Operator, ...]
    accelerators: dict[str, str]
    notes: tuple[str, ...]


class _Placed(NamedTuple):
    """A run of a file. part: that was timed, before identical blocks are joined."""

    where: str
    run: Found
    part: str


def imported(files: Sequence[File], graph: Graph, told: Told) -> Imported:
    """Return a timing for each part and target. Raises InputError for files that contradict each other, the
    user or the network, or that leave a target unknown.
    """
    placed = [each for file in files for each in _placed(file, graph, told)]
    for each in placed:
        _require_size(each, graph)
    _refuse_others(placed)
    placed, notes = _without_copies(placed)
    known = [each.run for each in placed]
    groups: dict[tuple[str, Target], list[_Placed]] = {}
    same = identical_blocks(graph)
    for each in placed:
        target = _target(each.run, known, told, each.where)
        groups.setdefault((same.get(each.part, each.part), target), []).append(each)
    for group in groups.values():
        _refuse_another_run(group)
    runs = {key: [each.run for each in group] for key, group in groups.items()}
    timings = tuple(_timing(part, target, each) for (part, target), each in runs.items())
    operators = tuple(
        operator
        for (part, target), each in runs.items()
        for operator in _operators(graph, part, target, each)
    )
    if alone := next((t.part for t in timings if not t.bursts and not t.reported), None):
        raise InputError(f"part {alone}: has operators, but no time; expected also the file that has it")
    accelerators = {run.backend: run.accelerator for run in known if run.accelerator}
    unread = dict.fromkeys(run.note for run in known if run.note)
    return Imported(timings, operators, accelerators, (*notes, *unread))


def _placed(file: File, graph: Graph, told: Told) -> list[_Placed]:
    """Return the runs of a file, of the model that the user names, each with its part: the user's, or the one
    that the model is named after.
    """
    runs = _of_model(file, told.model)
    models = {run.label: run.model for run in runs if run.label}
    given = file.part or told.part
    named = {label: stem for label, stem in models.items() if stem in {*graph.block_names, NET}}
    if len(models) > 1 and (given or len(named) < len(models)):
        by_likeness = sorted(models, key=lambda label: -_likeness(models[label], graph.name))
        begin = f"{file.where}: has times of {len(models)} models"
        end = shortened("", list(map(quote, by_likeness)), len(begin) + 60)
        raise UnsaidError(begin, ["model"], f", or names of parts: {end}")
    if given is None:
        return [_Placed(file.where, run, named.get(run.label, NET)) for run in runs]
    part, *more = selected_parts(graph, [given], file.where)
    if more:
        raise InputError(f"{file.where}: {quote(given)} is several parts; expected one")
    return [_Placed(file.where, run, part) for run in runs]


def _require_size(placed: _Placed, graph: Graph) -> None:
    """Raise InputError for the whole network at another input than the graph's, in either layout."""
    if placed.part != NET or not placed.run.shape or len(graph.inputs) != 1:
        return
    said, expected = placed.run.shape[1:], graph.inputs[0].shape
    if sorted(said) != sorted(expected):
        shown = ("×".join(map(str, shape)) for shape in (said, expected))
        raise InputError(
            "{}: is of an input of {}; expected that of the network, {}".format(placed.where, *shown)
        )


def _of_model(file: File, model: str | None) -> tuple[Found, ...]:
    """Return the runs of a model, and those that do not say theirs. Raises InputError if there is none."""
    found = tuple(
        run for run in file.runs if model is None or not run.label or model in (run.label, run.model)
    )
    if not found:
        models = sorted({run.label for run in file.runs}, key=lambda label: -_likeness(label, str(model)))
        begin = f"{file.where}: has no times of the model {quote(model)}; expected "
        raise InputError(shortened(begin, list(map(quote, models))))
    return found


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _refuse_others(placed: Sequence[_Placed]) -> None:
    """Raise InputError for files of one part that name different models, and of one runtime that name
    different accelerators.
    """
    models: dict[tuple[str, str], _Placed] = {}
    accelerators: dict[str, _Placed] = {}
    for each in placed:
        run = each.run
        if run.model:
            first = models.setdefault((each.part, run.backend), each)
            if first.run.model != run.model:
                raise InputError(
                    f"{each.where}: is of the model {quote(run.label)}, and {first.where} is of "
                    f"{quote(first.run.label)}; expected files of one model, or of a part each"
                )
        if run.accelerator is not None:
            first = accelerators.setdefault(run.backend, each)
            if first.run.accelerator != run.accelerator:
                raise InputError(
                    f"{each.where}: was run on {_ran_on(run)}, and {first.where} on {_ran_on(first.run)}; "
                    "expected files of one of them"
                )


def _ran_on(run: Found) -> str:
    return run.accelerator or "the CPU"


def _without_copies(placed: Sequence[_Placed]) -> tuple[list[_Placed], tuple[str, ...]]:
    """Return each run once, and a note on those that are there again."""
    kept: dict[tuple[str, bytes], _Placed] = {}
    copies: list[tuple[_Placed, _Placed]] = []
    for each in placed:
        if (first := kept.setdefault((each.part, identity(each.run)), each)) is not each:
            copies.append((each, first))
    if not copies:
        return list(kept.values()), ()
    copy, first = copies[0]
    where = f"has that of {first.where}" if first.where != copy.where else "has it twice, or is given twice"
    count = f"{len(copies)} runs are copies" if len(copies) > 1 else "A run is a copy"
    return list(kept.values()), (f"{count} of another one and not counted: {copy.where} {where}.",)


def _refuse_another_run(group: Sequence[_Placed]) -> None:
    """Raise InputError for statistics of another run than those with samples."""
    sampled = [each for each in group if each.run.samples]
    others = (each for each in group if each.run.reported and not each.run.samples and not each.run.profiled)
    for each in others if sampled else ():
        if not any(is_same(each.run, one.run) for one in sampled):
            raise InputError(
                f"{each.where}: is the text of another run than {sampled[0].where}, by its mean or number of "
                "calls; expected the text of a run with samples, or none"
            )


def _target(run: Found, known: Sequence[Found], told: Told, where: str) -> Target:
    """Return the target of a run, by its file, else by the other files of its tool, else by the user."""
    threads = _setting("threads", run, known, told.threads, where)
    batch = _setting("batch", run, known, told.batch, where) or 1
    missing = [name for name, value in (("dtype", told.dtype), ("threads", threads)) if value is None]
    if missing or told.dtype is None or threads is None:
        raise UnsaidError(f"{where}: does not say its {' and '.join(missing)}", missing)
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
    """Say which outputs were not compared, and which times have too few runs to be compared."""
    places = dict.fromkeys(t.target.place for t in timings if t.rms_rel_err is None)
    few = [t for t in timings if t.bursts and len(t.bursts) < LEAST_BURSTS]
    return (
        *([f"Outputs on {', '.join(places)} were not compared with PyTorch's."] if places else []),
        *(
            f"{t.part} on {t.target.place} has samples of {len(t.bursts)} run{'s' * (len(t.bursts) > 1)}, "
            f"each one burst: import {LEAST_BURSTS} runs together to compare it."
            for t in few
        ),
    )
