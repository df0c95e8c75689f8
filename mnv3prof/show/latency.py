"""Sheets of `latency` and `backends`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from ..analysis.compare import VERDICTS, compare
from ..analysis.grid import Rates, grid_of, part_costs, rates, timings_of
from ..analysis.load import Clock, clock_of
from ..graph.align import aligned
from ..graph.graph import Graph
from ..graph.parts import NET
from ..record.accuracy import Accuracy
from ..record.run import Run
from ..record.stats import Summary
from ..record.target import labels, shared_settings
from ..record.timing import Reported, Timing
from ..render.sheet import Column, Kind, Sheet, join_words
from .accuracy import accuracy_of
from .costs import titled
from .order import UNSORTED, Order
from .ranking import ranking_sheet
from .times import times_sheet
from .timing_notes import drifted, timing_notes


def latency_sheets(run: Run, order: Order = UNSORTED) -> tuple[Sheet, ...]:
    """Return, per network, latencies, load times and output errors; then the ratios of the variants."""
    if not run.timings:
        return (Sheet(titled(run.subject.graph, "latency"), (), (), notes=("This run has no timings.",)),)
    sheets: list[Sheet] = []
    for variant, subject in run.subjects.items():
        timings = timings_of(run, variant)
        if timings:
            sheets += [*_time_sheets(subject.graph, timings, run, order), _loading_sheet(timings, run)]
            sheets.append(_errors_sheet(subject.graph, timings, variant, run.reference))
    sheets += [_saving_sheet(run, name) for name in run.variants]
    return tuple(sheet for sheet in sheets if sheet.rows)


def _time_sheets(graph: Graph, timings: Sequence[Timing], run: Run, order: Order) -> Iterator[Sheet]:
    """Yield latencies by target, the fastest first, for one part or the whole network; and by part."""
    grid = grid_of(graph, timings)
    measured = dict.fromkeys(grid.same[part] for part in grid.parts)
    if len(measured) == 1:
        (part,) = measured
        yield ranking_sheet(graph, grid, part, timings, run, timing_notes(grid, timings, run))
        return
    if NET in measured and len(grid.targets) > 1:
        yield ranking_sheet(graph, grid, NET, timings, run)
    yield times_sheet(graph, timings, run, order)


class _Sample(NamedTuple):
    """A timing with what its row of the CSV needs. timed: the timing if it has bursts, as `summary`.
    accuracy: of the whole network, if it was measured.
    """

    timing: Timing
    timed: Timing | None
    summary: Summary | None
    macs: int
    rates: Rates
    clock: Clock
    accuracy: Accuracy | None


_SAMPLES: Final[tuple[tuple[str, str, Kind, Callable[[_Sample], object]], ...]] = (
    ("variant", "Variant", "text", lambda s: s.timing.variant),
    ("part", "Part", "text", lambda s: s.timing.part),
    ("device", "Device", "text", lambda s: s.timing.target.device),
    ("backend", "Backend", "text", lambda s: s.timing.target.backend),
    ("dtype", "Dtype", "text", lambda s: s.timing.target.dtype),
    ("batch", "Batch", "count", lambda s: s.timing.target.batch),
    ("threads", "Threads", "count", lambda s: s.timing.target.threads),
    ("status", "Status", "text", lambda s: s.timing.status),
    ("reason", "Reason", "text", lambda s: s.timing.reason),
    ("macs", "MACs", "count", lambda s: s.macs),
    ("median_s", "Median, s", "number", lambda s: s.summary and s.summary.median),
    ("p10_s", "p10, s", "number", lambda s: s.summary and s.summary.p10),
    ("p90_s", "p90, s", "number", lambda s: s.summary and s.summary.p90),
    ("iqr_s", "IQR, s", "number", lambda s: s.summary and s.summary.iqr),
    ("low_s", "Interval from, s", "number", lambda s: s.summary and s.summary.low),
    ("high_s", "to, s", "number", lambda s: s.summary and s.summary.high),
    (
        "per_image_s",
        "Median per image, s",
        "number",
        lambda s: s.summary and s.summary.median / s.timing.target.batch,
    ),
    ("uncut_median_s", "Median with excluded bursts, s", "number", lambda s: s.timing.uncut_median),
    ("calls", "Calls", "count", lambda s: s.timing.calls),
    ("reported_by", "Reported by", "text", lambda s: _reported(s.timing, lambda each: each.tool)),
    ("reported_s", "Reported, s", "number", lambda s: s.timing.seconds if s.timing.reported else None),
    ("reported_min_s", "Reported min, s", "number", lambda s: _reported(s.timing, lambda each: each.min_s)),
    ("reported_max_s", "Reported max, s", "number", lambda s: _reported(s.timing, lambda each: each.max_s)),
    ("launches", "Launches", "count", lambda s: s.timed and len(s.timed.launches)),
    ("bursts", "Bursts", "count", lambda s: s.timed and len(s.timed.bursts)),
    ("excluded", "Excluded", "count", lambda s: s.timed and s.timed.excluded),
    ("contended", "Contended", "text", lambda s: s.timed and _yes(s.timed.contended)),
    ("clock", "Clock of the rates", "text", lambda s: s.timed and s.clock),
    ("noisy", "Noisy", "text", lambda s: s.timed and _yes(s.timed.noisy)),
    ("drifts", "Drifts", "text", lambda s: s.timed and _yes(drifted(s.timed))),
    ("outliers", "Outliers", "count", lambda s: s.timed and s.timed.outliers),
    ("stopped", "Stopped", "text", lambda s: s.timing.stopped),
    ("gmacs_per_s", "GMAC/s", "number", lambda s: s.rates.gmacs),
    ("of_peak", "% of peak", "percent", lambda s: s.rates.of_peak),
    ("of_bandwidth", "% of peak bandwidth", "percent", lambda s: s.rates.of_bandwidth),
    ("limited_by", "Limited by", "text", lambda s: s.rates.limited_by),
    ("convert_s", "Convert, s", "number", lambda s: s.timing.convert_s),
    ("load_s", "Load, s", "number", lambda s: s.timing.load_s),
    ("first_s", "First call, s", "number", lambda s: s.timing.first_s),
    ("file_bytes", "File, bytes", "count", lambda s: s.timing.file_bytes),
    ("max_abs_err", "Max abs error", "number", lambda s: s.timing.max_abs_err),
    ("max_rel_err", "Max rel error", "number", lambda s: s.timing.max_rel_err),
    ("rms_rel_err", "RMS rel error", "number", lambda s: s.timing.rms_rel_err),
    ("cpu_per_wall", "CPU time ÷ wall time", "number", lambda s: s.timing.cpu_per_wall),
    ("cpu_median_s", "Median CPU time, s", "number", lambda s: s.timing.cpu_median),
    ("accuracy", "Accuracy", "number", lambda s: s.accuracy and s.accuracy.share),
    ("accuracy_images", "Images of the accuracy", "count", lambda s: s.accuracy and s.accuracy.images),
)
"""Key, title and kind of each column, and how its values are read."""


def _reported(timing: Timing, read: Callable[[Reported], object]) -> object:
    """Return what `read` finds in the first run that another tool reported."""
    return read(timing.reported[0]) if timing.reported else None


def samples_sheet(run: Run) -> Sheet:
    """Return a row per part and target with all metrics unrounded, for CSV."""
    columns = tuple(Column(key, title, kind) for key, title, kind, _ in _SAMPLES)
    rows = tuple(tuple(read(sample) for *_, read in _SAMPLES) for sample in _samples(run))
    return Sheet(titled(run.subject.graph, "latency"), columns, rows)


def _samples(run: Run) -> Iterator[_Sample]:
    costs = {
        (variant, dtype): part_costs(run.subjects[variant].graph, dtype, timings_of(run, variant))
        for variant, dtype in {(t.variant, t.target.dtype) for t in run.timings}
    }
    for t in run.timings:
        cost = costs[t.variant, t.target.dtype][t.part]
        timed = t if t.bursts else None
        accuracy = accuracy_of(t.target, run.accuracies, t.variant) if t.part == NET else None
        yield _Sample(t, timed, t.summary, cost.macs, rates(t, cost, run), clock_of(t, run), accuracy)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


_LOADING_COLUMNS: Final = (
    Column("target", "Target", "text"),
    Column("part", "Part", "text"),
    Column("convert_s", "Conversion, s", "number"),
    Column("file_bytes", "File", "bytes"),
    Column("load_ms", "Load, ms", "number"),
    Column("first_ms", "First call, ms", "number"),
    Column("max_abs_err", "Max abs error", "figure", importance=3),
    Column("max_rel_err", "Max rel error", "figure", importance=2),
    Column("rms_rel_err", "RMS rel error", "figure"),
    Column("worst", "Largest in", "text", importance=1),
    Column("cpu_per_wall", "CPU time ÷ wall time", "number", importance=4),
)


def _loading_sheet(timings: Sequence[Timing], run: Run) -> Sheet:
    """Return a row per target: conversion and load time of its largest part, and the largest errors."""
    rows = tuple(
        _loading_row(name, loaded)
        for target, name in labels((t.target for t in timings), with_backend=True).items()
        if (loaded := [t for t in timings if t.target == target and t.first_s is not None])
    )
    errors = (
        f"Errors are the largest of all parts, compared with {run.reference}. Max rel error: relative "
        "to the largest magnitude of the output; RMS rel error: RMS of the difference ÷ RMS of the output; "
        "Largest in: the part with the largest RMS rel error."
    )
    title = "Conversion and load time (not part of latency)"
    compared = any(timing.rms_rel_err is not None for timing in timings)
    notes = (*([errors] if compared else []), *_compilation_notes(timings, run))
    return Sheet(title, _LOADING_COLUMNS, rows, notes=notes)


def _loading_row(name: str, loaded: Sequence[Timing]) -> tuple[object, ...]:
    largest = next((t for t in loaded if t.part == NET), max(loaded, key=lambda t: t.file_bytes or 0))
    worst = _largest_error(loaded)
    return (
        name,
        largest.part,
        largest.convert_s,
        largest.file_bytes,
        _ms(largest.load_s),
        _ms(largest.first_s),
        _largest(t.max_abs_err for t in loaded),
        _largest(t.max_rel_err for t in loaded),
        _largest(t.rms_rel_err for t in loaded),
        worst and worst.part,
        largest.cpu_per_wall,
    )


def _largest(errors: Iterable[float | None]) -> str | None:
    known = [error for error in errors if error is not None]
    return f"{max(known):.1e}" if known else None


def _largest_error(timings: Sequence[Timing]) -> Timing | None:
    """Return the timing with the largest RMS error; the whole network's only if there is no other."""
    known = [t for t in timings if t.rms_rel_err is not None]
    parts = [t for t in known if t.part != NET] or known
    return max(parts, key=lambda t: t.rms_rel_err or 0, default=None)


def _errors_sheet(graph: Graph, timings: Sequence[Timing], variant: str, reference: str) -> Sheet:
    """Return the output error of each part at reduced precision; no rows if there is a single part.

    Left out are targets of the main network that were also measured at fp32: answer_sheets() has them.
    """
    targets = {t.target for t in timings if t.target.dtype != "fp32"}
    known = {t.target for t in timings} if not variant else set()
    alone = {target for target in targets if replace(target, dtype="fp32") not in known}
    rounded = [t for t in timings if t.target in alone and t.rms_rel_err is not None]
    grid = grid_of(graph, rounded)
    names = labels(grid.targets, with_backend=True)
    columns = [Column("part", "Part", "text")]
    columns += [Column(f"{name}_error", name, "percent") for name in names.values()]
    rows = tuple(
        (part, *(t.rms_rel_err if (t := grid.at(part, target)) else None for target in names))
        for part in grid.parts
        if grid.same[part] == part
    )
    worst = [
        (name, _largest_error([t for t in rounded if t.target == target])) for target, name in names.items()
    ]
    largest = [f"part {t.part} on {name} ({t.rms_rel_err or 0:.1%})" for name, t in worst if t]
    notes = (
        f"RMS of the difference from {reference} ÷ RMS of its output.",
        *([f"Largest: {join_words(largest)}."] if largest else []),
    )
    of = f" of {variant}" if variant else ""
    title = f"Output error per part{of}, {shared_settings(grid.targets)}"
    return Sheet(title, tuple(columns), rows if len(rows) > 1 else (), notes=notes, stacked=True)


def _compilation_notes(timings: Sequence[Timing], run: Run) -> tuple[str, ...]:
    """Return the backends whose compilation made the load times of the others longer, as a sentence."""
    loaded = dict.fromkeys(t.target for t in timings if t.first_s is not None)
    runtimes = {target: run.hosts[target.device].runtimes.get(target.backend) for target in loaded}
    compiled = list(dict.fromkeys(t.place for t, runtime in runtimes.items() if runtime and runtime.compiles))
    if not compiled or len(loaded) == 1:
        return ()
    return (f"Load times overlap with the compilation of {join_words(compiled)}.",)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _saving_sheet(run: Run, variant: str) -> Sheet:
    """Return the ratios of a variant's MACs and latencies to the main network's, by part and target."""
    base, other = run.subject.graph, run.variants[variant].graph
    grids = [grid_of(base, timings_of(run, "")), grid_of(other, timings_of(run, variant))]
    costs = [part_costs(g, timings=grid.cells.values()) for g, grid in zip((base, other), grids, strict=True)]
    columns = [Column("part", "Part", "text"), Column("macs_ratio", "MACs", "ratio")]
    columns += [Column(f"{name}_change", f"{name}, latency", "figure") for name in grids[0].labels.values()]
    modules = (part for part in grids[0].parts if base.block(part) is None)  # the network too
    same = {**{old: new for new, old in aligned(base, other).items()}, **{part: part for part in modules}}
    rows = []
    for part in grids[0].parts:
        counterpart = same.get(part)
        if counterpart not in grids[1].parts or not costs[0][part].macs:
            continue
        pairs = [(grids[0].at(part, target), grids[1].at(counterpart, target)) for target in grids[0].targets]
        changes = [compare(a, b, run, run).described if a and b else None for a, b in pairs]
        name = part if part == counterpart else f"{part} → {counterpart}"
        rows.append((name, costs[1][counterpart].macs / costs[0][part].macs, *changes))
    title = f"{variant}: MACs and latency, relative to {base.name}"
    note = (
        "If the latency ratio is closer to 1 than the MAC ratio, the measured change is smaller than the "
        f"computed one. {VERDICTS}"
    )
    alone = [part for part in grids[0].parts if same.get(part) not in grids[1].parts]
    omitted = (f"Parts without a measured counterpart are omitted: {', '.join(alone)}.",) if alone else ()
    return Sheet(title, tuple(columns), tuple(rows), notes=(note, *omitted), stacked=True)


def backends_sheet(rows: Sequence[Mapping[str, object]]) -> Sheet:
    """Return a row per backend: version, device, dtypes and description; notes say why one is not usable."""
    columns = (
        Column("name", "Backend", "text"),
        Column("usable", "Usable", "text"),
        Column("version", "Version", "text", importance=2),
        Column("chip", "Runs on", "text", importance=3),
        Column("dtypes", "Dtypes", "text", importance=4),
        Column("what", "Description", "text", importance=5),
        *([Column("check", "Check", "text")] if any(row["check"] for row in rows) else []),
    )
    cells = []
    for row in rows:
        usable = _yes(bool(row["usable"]))
        texts = {**row, "usable": usable, "dtypes": " ".join(row["dtypes"])}  # type: ignore[arg-type]
        cells.append(tuple(texts[column.key] for column in columns))
    notes = [f"{row['name']}: {row['reason']}." for row in rows if not row["usable"]]
    failed = frozenset(n for n, row in enumerate(rows) if str(row["check"]).startswith("FAIL"))
    return Sheet("Backends", columns, tuple(cells), notes=tuple(notes), highlighted=failed)
