"""Sheets of `latency` and `backends`."""

from collections.abc import Mapping, Sequence

from msgspec.structs import astuple

from ..analysis.compare import VERDICTS, compare
from ..analysis.grid import grid_of, part_costs, rates, timings_of
from ..analysis.load import clock_of
from ..graph.align import aligned
from ..graph.graph import Graph
from ..record.run import NET, Run
from ..record.target import labels, shared_settings
from ..record.timing import Timing
from ..render.sheet import Column, Sheet, join_words
from .costs import titled
from .times import times_sheet
from .timing_notes import drifted


def latency_sheets(run: Run) -> tuple[Sheet, ...]:
    """Return, per network, latencies, load times and output errors; then the ratios of the variants."""
    if not run.timings:
        return (Sheet(titled(run.subject.graph, "latency"), (), (), notes=("This run has no timings.",)),)
    sheets: list[Sheet] = []
    for variant, subject in run.subjects.items():
        timings = timings_of(run, variant)
        if timings:
            sheets += [times_sheet(subject.graph, timings, run), _loading_sheet(timings, run)]
            sheets.append(_errors_sheet(subject.graph, timings))
    sheets += [_saving_sheet(run, name) for name in run.variants]
    return tuple(sheet for sheet in sheets if sheet.rows)


def samples_sheet(run: Run) -> Sheet:
    """Return a row per part and target with all metrics unrounded, for CSV."""
    columns = (
        Column("variant", "Variant", "text"),
        Column("part", "Part", "text"),
        Column("device", "Device", "text"),
        Column("backend", "Backend", "text"),
        Column("dtype", "Dtype", "text"),
        Column("batch", "Batch"),
        Column("threads", "Threads"),
        Column("status", "Status", "text"),
        Column("reason", "Reason", "text"),
        Column("macs", "MACs"),
        Column("median_s", "Median, s", "number"),
        Column("p10_s", "p10, s", "number"),
        Column("p90_s", "p90, s", "number"),
        Column("iqr_s", "IQR, s", "number"),
        Column("low_s", "Interval from, s", "number"),
        Column("high_s", "to, s", "number"),
        Column("per_image_s", "Median per image, s", "number"),
        Column("uncut_median_s", "Median with excluded bursts, s", "number"),
        Column("calls", "Calls"),
        Column("launches", "Launches"),
        Column("bursts", "Bursts"),
        Column("excluded", "Excluded"),
        Column("contended", "Contended", "text"),
        Column("clock", "Clock of the rates", "text"),
        Column("noisy", "Noisy", "text"),
        Column("drifts", "Drifts", "text"),
        Column("outliers", "Outliers"),
        Column("stopped", "Stopped", "text"),
        Column("gmacs_per_s", "GMAC/s", "number"),
        Column("of_peak", "% of peak", "percent"),
        Column("of_bandwidth", "% of peak bandwidth", "percent"),
        Column("limited_by", "Limited by", "text"),
        Column("convert_s", "Convert, s", "number"),
        Column("load_s", "Load, s", "number"),
        Column("first_s", "First call, s", "number"),
        Column("file_bytes", "File, bytes"),
        Column("max_abs_err", "Max abs error", "number"),
        Column("max_rel_err", "Max rel error", "number"),
        Column("rms_rel_err", "RMS rel error", "number"),
        Column("cpu_per_wall", "CPU/wall", "number"),
        Column("cpu_median_s", "Median CPU time, s", "number"),
    )
    costs = {
        (variant, dtype): part_costs(run.subjects[variant].graph, dtype, timings_of(run, variant))
        for variant, dtype in {(t.variant, t.target.dtype) for t in run.timings}
    }
    rows = []
    for t in run.timings:
        target, s = t.target, t.summary
        cost = costs[t.variant, target.dtype][t.part]
        spread = (s.median, s.p10, s.p90, s.iqr, s.low, s.high, s.median / target.batch) if s else (None,) * 7
        steadiness = (_yes(t.noisy), _yes(drifted(t)), t.outliers) if s else (None,) * 3
        bursts = (
            (len(t.launches), len(t.bursts), t.excluded, _yes(t.contended), clock_of(t, run))
            if t.bursts
            else (None,) * 5
        )
        rate = rates(t, cost, run)
        rows.append(
            (
                t.variant,
                t.part,
                *astuple(target),
                t.status,
                t.reason,
                cost.macs,
                *spread,
                t.uncut_median,
                t.calls,
                *bursts,
                *steadiness,
                t.stopped,
                rate.gmacs,
                rate.of_peak,
                rate.of_bandwidth,
                rate.limited_by,
                t.convert_s,
                t.load_s,
                t.first_s,
                t.file_bytes,
                t.max_abs_err,
                t.max_rel_err,
                t.rms_rel_err,
                t.cpu_per_wall,
                t.cpu_median,
            )
        )
    return Sheet(titled(run.subject.graph, "latency"), columns, tuple(rows))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _loading_sheet(timings: Sequence[Timing], run: Run) -> Sheet:
    """Return a row per target: conversion and load time of its largest part, and the largest errors."""
    columns = (
        Column("target", "Target", "text"),
        Column("part", "Part", "text"),
        Column("convert_s", "Conversion, s", "number"),
        Column("file_bytes", "File", "bytes"),
        Column("load_ms", "Load, ms", "number"),
        Column("first_ms", "First call, ms", "number"),
        Column("max_abs_err", "Max abs error", "figure"),
        Column("max_rel_err", "Max rel error", "figure"),
        Column("rms_rel_err", "RMS rel error", "figure"),
        Column("worst", "Largest in", "text"),
        Column("cpu_per_wall", "CPU/wall", "number"),
    )
    rows = []
    for target, name in labels((t.target for t in timings), with_backend=True).items():
        loaded = [t for t in timings if t.target == target and t.first_s is not None]
        if not loaded:
            continue
        largest = next((t for t in loaded if t.part == NET), max(loaded, key=lambda t: t.file_bytes or 0))
        worst = _largest_error(loaded)
        errors = [
            max((getattr(t, key) for t in loaded if getattr(t, key) is not None), default=None)
            for key in ("max_abs_err", "max_rel_err", "rms_rel_err")
        ]
        rows.append(
            (
                name,
                largest.part,
                largest.convert_s,
                largest.file_bytes,
                _ms(largest.load_s),
                _ms(largest.first_s),
                *(None if e is None else f"{e:.1e}" for e in errors),
                worst and worst.part,
                largest.cpu_per_wall,
            )
        )
    note = (
        "Errors are the largest of all parts, compared with PyTorch eager in fp32. Max rel error: relative "
        "to the largest magnitude of the output; RMS rel error: RMS of the difference ÷ RMS of the output; "
        "Largest in: the part with the largest RMS rel error."
    )
    title = "Conversion and load time (not part of latency)"
    return Sheet(title, columns, tuple(rows), notes=(note, *_compilation_notes(timings, run)))


def _largest_error(timings: Sequence[Timing]) -> Timing | None:
    """Return the timing with the largest RMS error; the whole network's only if there is no other."""
    known = [t for t in timings if t.rms_rel_err is not None]
    parts = [t for t in known if t.part != NET] or known
    return max(parts, key=lambda t: t.rms_rel_err or 0, default=None)


def _errors_sheet(graph: Graph, timings: Sequence[Timing]) -> Sheet:
    """Return the output error of each part at reduced precision; no rows if there is a single part."""
    rounded = [t for t in timings if t.target.dtype != "fp32" and t.rms_rel_err is not None]
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
        "RMS of the difference from PyTorch eager in fp32 ÷ RMS of its output.",
        *([f"Largest: {join_words(largest)}."] if largest else []),
    )
    title = f"Output error per part, {shared_settings(grid.targets)}"
    return Sheet(title, tuple(columns), rows if len(rows) > 1 else (), notes=notes, stacked=True)


def _compilation_notes(timings: Sequence[Timing], run: Run) -> tuple[str, ...]:
    """Return the backends whose compilation made the load times of the others longer, as a sentence."""
    loaded = dict.fromkeys(t.target for t in timings if t.first_s is not None)
    runtimes = {target: run.hosts[target.device].runtimes.get(target.backend) for target in loaded}
    compiled = list(dict.fromkeys(t.place for t, runtime in runtimes.items() if runtime and runtime.compiles))
    several = len(loaded) > 1
    return (
        (f"Load times overlap with the compilation of {join_words(compiled)}.",)
        if compiled and several
        else ()
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _saving_sheet(run: Run, variant: str) -> Sheet:
    """Return the ratios of a variant's MACs and latencies to the main network's, by part and target."""
    base, other = run.subject.graph, run.variants[variant].graph
    grids = [grid_of(base, timings_of(run, "")), grid_of(other, timings_of(run, variant))]
    costs = [part_costs(graph) for graph in (base, other)]
    columns = [Column("part", "Part", "text"), Column("macs_ratio", "MACs", "ratio")]
    columns += [Column(f"{name}_change", f"{name}, latency", "figure") for name in grids[0].labels.values()]
    same = {**{old: new for new, old in aligned(base, other).items()}, NET: NET}
    rows = []
    for part in grids[0].parts:
        counterpart = same.get(part)
        if counterpart not in grids[1].parts or not costs[0][part].macs:
            continue
        pairs = [(grids[0].at(part, target), grids[1].at(counterpart, target)) for target in grids[0].targets]
        changes = [compare(a, b, run, run).told if a and b else None for a, b in pairs]
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
    return Sheet("Backends", columns, tuple(cells), notes=tuple(notes), alarms=failed)
