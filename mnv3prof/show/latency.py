"""The sheets of `latency` and `backends`: times with their spread, part by part and runtime by runtime."""

from collections.abc import Mapping, Sequence

from msgspec.structs import astuple

from ..analysis.compare import VERDICTS, compare
from ..analysis.grid import grid_of, part_costs, rates, timings_of
from ..graph.align import aligned
from ..graph.graph import Graph
from ..record.run import NET, Run
from ..record.target import labels, shared_settings
from ..record.timing import Timing
from ..render.sheet import Column, Sheet, words
from .costs import titled
from .times import times_sheet
from .timing_notes import drifted


def latency_sheets(run: Run) -> tuple[Sheet, ...]:
    """For each network: the parts' times on each target, and what preparing them took; then what each
    variant really saves beside what it should.
    """
    if not run.timings:
        return (Sheet(titled(run.subject.graph, "latency"), (), (), notes=("This run has no timings.",)),)
    sheets: list[Sheet] = []
    for variant, subject in run.subjects.items():
        timings = timings_of(run, variant)
        if timings:
            sheets += [times_sheet(subject.graph, timings, run), _preparing_sheet(timings, run)]
            sheets.append(_errors_sheet(subject.graph, timings))
    sheets += [_saving_sheet(run, name) for name in run.variants]
    return tuple(sheet for sheet in sheets if sheet.rows)


def samples_sheet(run: Run) -> Sheet:
    """A row for each part and target with every figure in full, for CSV."""
    columns = (
        Column("variant", "Variant", "text"), Column("part", "Part", "text"),
        Column("device", "Device", "text"), Column("backend", "Backend", "text"),
        Column("dtype", "Type", "text"), Column("batch", "Batch"),
        Column("threads", "Threads"), Column("status", "Status", "text"), Column("reason", "Reason", "text"),
        Column("macs", "MACs"),
        Column("median_s", "Median, s", "number"), Column("p10_s", "p10, s", "number"),
        Column("p90_s", "p90, s", "number"), Column("iqr_s", "IQR, s", "number"),
        Column("low_s", "Interval from, s", "number"), Column("high_s", "to, s", "number"),
        Column("per_image_s", "Median per image, s", "number"),
        Column("uncut_median_s", "Median with excluded bursts, s", "number"), Column("calls", "Calls"),
        Column("launches", "Launches"), Column("bursts", "Bursts"), Column("excluded", "Excluded"),
        Column("contended", "Contended", "text"), Column("noisy", "Noisy", "text"),
        Column("drifts", "Drifts", "text"), Column("outliers", "Outliers"),
        Column("stopped", "Stopped", "text"), Column("gmacs_per_s", "GMAC/s", "number"),
        Column("of_peak", "Of peak", "percent"), Column("of_roof", "Of roof", "percent"),
        Column("bound", "Bound", "text"), Column("convert_s", "Convert, s", "number"),
        Column("load_s", "Load, s", "number"), Column("first_s", "First run, s", "number"),
        Column("file_bytes", "File, bytes"), Column("max_abs_err", "Max abs error", "number"),
        Column("max_rel_err", "Max rel error", "number"), Column("rms_rel_err", "RMS rel error", "number"),
        Column("cpu_per_wall", "CPU/wall", "number"),
    )  # fmt: skip
    asked = dict.fromkeys((t.variant, t.target.dtype) for t in run.timings)
    known = {
        (variant, dtype): part_costs(run.subjects[variant].graph, dtype, timings_of(run, variant))
        for variant, dtype in asked
    }
    rows = []
    for t in run.timings:
        target, s = t.target, t.summary
        costs = known[t.variant, target.dtype][t.part]
        spread = (s.median, s.p10, s.p90, s.iqr, s.low, s.high, s.median / target.batch) if s else (None,) * 7
        steadiness = (_yes(s.noisy), _yes(drifted(t)), t.outliers) if s else (None,) * 3
        bursts = (len(t.launches), len(t.bursts), t.excluded, _yes(t.contended)) if t.bursts else (None,) * 4
        found = rates(t, costs, run)
        rows.append((
            t.variant, t.part, *astuple(target), t.status, t.reason, costs.macs,
            *spread, t.uncut_median, t.calls, *bursts, *steadiness, t.stopped,
            found.gmacs, found.of_peak, found.of_roof, found.bound,
            t.convert_s, t.load_s, t.first_s, t.file_bytes, t.max_abs_err, t.max_rel_err, t.rms_rel_err,
            t.cpu_per_wall,
        ))  # fmt: skip
    return Sheet(titled(run.subject.graph, "latency"), columns, tuple(rows))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _preparing_sheet(timings: Sequence[Timing], run: Run) -> Sheet:
    """Of each target's largest part: conversion, file, loading, first run, error, processors."""
    columns = (
        Column("target", "Target", "text"), Column("part", "Part", "text"),
        Column("convert_s", "Conversion, s", "number"), Column("file_bytes", "File", "bytes"),
        Column("load_ms", "Loading, ms", "number"), Column("first_ms", "First run, ms", "number"),
        Column("max_abs_err", "Max abs error", "figure"), Column("max_rel_err", "Max rel error", "figure"),
        Column("rms_rel_err", "RMS rel error", "figure"), Column("worst", "Largest in", "text"),
        Column("cpu_per_wall", "CPU/wall", "number"),
    )  # fmt: skip
    rows = []
    called = labels((t.target for t in timings), with_backend=True)
    for target, name in called.items():
        ready = [t for t in timings if t.target == target and t.first_s is not None]
        if not ready:
            continue
        whole = next((t for t in ready if t.part == NET), max(ready, key=lambda t: t.file_bytes or 0))
        worst = _worst(ready)
        errors = [
            max((getattr(t, key) for t in ready if getattr(t, key) is not None), default=None)
            for key in ("max_abs_err", "max_rel_err", "rms_rel_err")
        ]
        rows.append((
            name, whole.part, whole.convert_s, whole.file_bytes, _ms(whole.load_s),
            _ms(whole.first_s), *(None if e is None else f"{e:.1e}" for e in errors), worst and worst.part,
            whole.cpu_per_wall,
        ))  # fmt: skip
    note = (
        "Errors: the largest of all parts, against PyTorch eager in fp32, relative to its largest magnitude, "
        "or root mean square by root mean square; Largest in: the part with the largest RMS error."
    )
    compiled = _compiled_beside(timings, run)
    return Sheet("Getting ready, apart from the times above", columns, tuple(rows), notes=(note, *compiled))


def _worst(timings: Sequence[Timing]) -> Timing | None:
    """The part with the largest error, by root mean square; of several parts not the whole network."""
    known = [timing for timing in timings if timing.rms_rel_err is not None]
    parts = [timing for timing in known if timing.part != NET] or known
    return max(parts, key=lambda timing: timing.rms_rel_err or 0, default=None)


def _errors_sheet(graph: Graph, timings: Sequence[Timing]) -> Sheet:
    """Each part's error on the targets whose dtype rounds, and the largest; no rows for a single part."""
    rounded = [t for t in timings if t.target.dtype != "fp32" and t.rms_rel_err is not None]
    grid = grid_of(graph, rounded)
    called = labels(grid.targets, with_backend=True)
    columns = [Column("part", "Part", "text")]
    columns += [Column(f"{name}_error", name, "percent") for name in called.values()]
    rows = tuple(
        (part, *(found.rms_rel_err if (found := grid.at(part, target)) else None for target in called))
        for part in grid.parts
        if grid.same[part] == part
    )
    worst = [(name, _worst([t for t in rounded if t.target == target])) for target, name in called.items()]
    said = [f"part {t.part} on {name} ({t.rms_rel_err or 0:.1%})" for name, t in worst if t]
    notes = (
        "RMS of the difference from PyTorch eager in fp32 ÷ RMS of its output.",
        *([f"Largest: {words(said)}."] if said else []),
    )
    title = f"Error of each part's output, {shared_settings(grid.targets)}"
    return Sheet(title, tuple(columns), rows if len(rows) > 1 else (), notes=notes, stacked=True)


def _compiled_beside(timings: Sequence[Timing], run: Run) -> tuple[str, ...]:
    """That a backend compiled while the others loaded, where it did: their load times are longer for it."""
    ready = dict.fromkeys(t.target for t in timings if t.first_s is not None)
    runtimes = {target: run.hosts[target.device].runtimes.get(target.backend) for target in ready}
    beside = list(dict.fromkeys(t.place for t, runtime in runtimes.items() if runtime and runtime.compiles))
    return (f"The others loaded while {words(beside)} compiled.",) if beside and len(ready) > 1 else ()


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _saving_sheet(run: Run, variant: str) -> Sheet:
    """How often a variant's MACs, and its time on each target, hold those of the main network."""
    base, other = run.subject.graph, run.variants[variant].graph
    grids = [grid_of(base, timings_of(run, "")), grid_of(other, timings_of(run, variant))]
    costs = [part_costs(graph) for graph in (base, other)]
    columns = [Column("part", "Part", "text"), Column("macs_ratio", "MACs", "ratio")]
    columns += [Column(f"{name}_change", f"{name}, time", "figure") for name in grids[0].labels.values()]
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
    title = f"{variant}: MACs and measured time, as a multiple of {base.name}'s"
    note = (
        "If the latency ratio is closer to 1 than the MAC ratio, the measured change is smaller than the "
        f"computed one. {VERDICTS}"
    )
    alone = [part for part in grids[0].parts if same.get(part) not in grids[1].parts]
    left = (f"Parts without a measured counterpart are left out: {', '.join(alone)}.",) if alone else ()
    return Sheet(title, tuple(columns), tuple(rows), notes=(note, *left), stacked=True)


def backends_sheet(rows: Sequence[Mapping[str, object]]) -> Sheet:
    """A row for each backend: what it is, where it runs, or why it cannot."""
    columns = (
        Column("name", "Backend", "text"),
        Column("usable", "Usable", "text"),
        Column("version", "Version", "text", importance=2),
        Column("chip", "Chip", "text", importance=3),
        Column("dtypes", "Types", "text", importance=4),
        Column("what", "What it is", "text", importance=5),
        *([Column("check", "Check", "text")] if any(row["check"] for row in rows) else []),
    )
    cells = []
    for row in rows:
        usable = "yes" if row["usable"] else "no"
        written = {**row, "usable": usable, "dtypes": " ".join(row["dtypes"])}  # type: ignore[arg-type]
        cells.append(tuple(written[column.key] for column in columns))
    notes = [f"{row['name']}: {row['reason']}." for row in rows if not row["usable"]]
    failed = frozenset(n for n, row in enumerate(rows) if str(row["check"]).startswith("FAIL"))
    return Sheet("Runtimes", columns, tuple(cells), notes=tuple(notes), alarms=failed)
