"""The sheets of `latency` and `backends`: times with their spread, part by part and runtime by runtime."""

from collections.abc import Mapping, Sequence

from msgspec.structs import astuple

from ..cost.counts import Dtype, Totals
from ..graph.graph import Graph
from ..record.run import NET, Roof, Run, Weights
from ..record.stats import DISTURBED, LEAST_BURSTS, NOISY_INTERVAL, NOISY_SPREAD, Summary, drifts
from ..record.target import Target, labels, placed, shared_settings, threads_of
from ..record.timing import Timing
from .costs import titled
from .grid import Grid, grid_of, part_costs, rates, roof_of, timings_of
from .sheet import Column, Sheet, words

NOISY_MARK = "~"
_THREADS_OFF = 0.15


def latency_sheets(run: Run) -> tuple[Sheet, ...]:
    """For each network: the parts' times on each target, and what preparing them took; then what each
    variant really saves beside what it should.
    """
    sheets: list[Sheet] = []
    for variant, subject in run.subjects.items():
        timings = timings_of(run, variant)
        if timings:
            sheets += [_parts_sheet(subject.graph, timings, run), _preparing_sheet(timings, run)]
    sheets += [_saving_sheet(run, name) for name in run.variants]
    return tuple(sheet for sheet in sheets if sheet.rows)


def samples_sheet(run: Run) -> Sheet:
    """A row for each part and backend with every figure in full, for CSV."""
    columns = (
        Column("variant", "Variant", "text"), Column("part", "Part", "text"),
        Column("device", "Device", "text"), Column("backend", "Backend", "text"),
        Column("dtype", "Type", "text"), Column("batch", "Batch"),
        Column("threads", "Threads"), Column("status", "Status", "text"), Column("reason", "Reason", "text"),
        Column("macs", "MACs"),
        Column("median_s", "Median, s", "number"), Column("p10_s", "p10, s", "number"),
        Column("p90_s", "p90, s", "number"), Column("iqr_s", "IQR, s", "number"),
        Column("per_image_s", "Median per image, s", "number"), Column("calls", "Calls"),
        Column("bursts", "Bursts"), Column("excluded", "Excluded"), Column("noisy", "Noisy", "text"),
        Column("drifts", "Drifts", "text"), Column("outliers", "Outliers"),
        Column("stopped", "Stopped", "text"), Column("gmacs_per_s", "GMAC/s", "number"),
        Column("of_peak", "Of peak", "percent"), Column("of_roof", "Of roof", "percent"),
        Column("bound", "Bound", "text"), Column("convert_s", "Convert, s", "number"),
        Column("load_s", "Load, s", "number"), Column("first_s", "First run, s", "number"),
        Column("file_bytes", "File, bytes"), Column("max_abs_err", "Max abs error", "number"),
        Column("max_rel_err", "Max rel error", "number"), Column("rms_rel_err", "RMS rel error", "number"),
        Column("cpu_per_wall", "CPU/wall", "number"),
    )  # fmt: skip
    rows = []
    for t in run.timings:
        target, s = t.target, t.summary
        costs = part_costs(run.subjects[t.variant].graph, target.dtype, (t,))[t.part]
        spread = (s.median, s.p10, s.p90, s.iqr, s.median / target.batch) if s else (None,) * 5
        steadiness = (_yes(s.noisy), _yes(_drifted(t)), t.outliers) if s else (None,) * 3
        bursts = (len(t.bursts), t.excluded) if t.bursts else (None, None)
        found = rates(t, costs, run)
        rows.append((
            t.variant, t.part, *astuple(target), t.status, t.reason, costs.macs,
            *spread, t.calls, *bursts, *steadiness, t.stopped,
            found.gmacs, found.of_peak, found.of_roof, found.bound,
            t.convert_s, t.load_s, t.first_s, t.file_bytes, t.max_abs_err, t.max_rel_err, t.rms_rel_err,
            t.cpu_per_wall,
        ))  # fmt: skip
    return Sheet(titled(run.subject.graph, "latency"), columns, tuple(rows))


def weights_notes(weights: Weights | None) -> tuple[str, ...]:
    """Whose weights ran, in a sentence, where they are not random."""
    if weights is None:
        return ()
    data = f", trained on {weights.data}" if weights.data else ""
    right = "" if weights.accuracy is None else f", {weights.accuracy:.1%} of its held-out images right"
    return (f"Weights: {weights.file} (SHA-256 {weights.sha256[:12]}){data}{right}.",)


def _drifted(timing: Timing) -> bool:
    return drifts([burst.median for burst in timing.bursts])


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _parts_sheet(graph: Graph, timings: Sequence[Timing], run: Run) -> Sheet:
    grid = grid_of(graph, timings)
    shown = _measured_targets(grid)
    columns = [Column("part", "Part", "text"), Column("macs", "MACs"), Column("bound", "Bound", "text")]
    for target in shown:
        name, images = grid.labels[target], target.batch > 1
        columns.append(Column(f"{name}_ms", f"{name}, ms{' a call' if images else ''}", "figure"))
        if images:
            columns.append(Column(f"{name}_ms_per_image", "ms an image", "figure"))
        columns.append(Column(f"{name}_gmacs", "GMAC/s", "number"))
        columns.append(Column(f"{name}_of_peak", "of peak", "percent"))
    costs = {dtype: part_costs(graph, dtype, timings) for dtype in {t.dtype for t in grid.targets}}
    rows = tuple(_row(part, grid, shown, costs, run) for part in grid.parts)
    notes = [
        f"Median ± half of p90 − p10, in ms; {NOISY_MARK} noisy: the interquartile range is above "
        f"{NOISY_SPREAD:.0%} of the median, its 95 % confidence interval beyond ±{NOISY_INTERVAL:.0%}, or "
        f"there are fewer than {LEAST_BURSTS} bursts. Bursts whose median is over {DISTURBED:.0%} above the "
        f"fastest one's are excluded, but for the {LEAST_BURSTS} fastest.",
        *_roof_notes(timings, run),
        *_twin_notes(grid),
        *_device_notes(grid, run),
        *_steadiness_notes(timings, grid.labels),
        *_reasons(timings, grid.labels),
        *weights_notes(run.subject.weights),
    ]
    additive = {*graph.block_names, NET} <= set(grid.parts)
    totals = _additivity(grid, shown, (*graph.block_names, NET)) if additive else ()
    how = f"latency on {run.host.cpu}, {shared_settings(grid.targets)}".rstrip(", ")
    return Sheet(
        titled(graph, how), tuple(columns), rows, totals, tuple(notes), _alarms(grid), stacked=True
    )  # fmt: skip


def _measured_targets(grid: Grid) -> list[Target]:
    """The targets on which a part was timed; all of them where none was. Why others were not is a note."""
    timed = {timing.target for timing in grid.cells.values() if timing.bursts}
    return [target for target in grid.targets if target in timed] or grid.targets


def spread_ms(s: Summary) -> str:
    """The median in ms, its noise, and the mark of what is noisy."""
    return f"{s.median * 1e3:.3f} ±{s.noise:4.1%} {NOISY_MARK if s.noisy else ' '}"


def _row(
    part: str, grid: Grid, shown: Sequence[Target], costs: Mapping[Dtype, Mapping[str, Totals]], run: Run
) -> tuple[object, ...]:
    cells: list[object] = []
    bounds: dict[str, None] = {}
    for target in shown:
        timing = grid.at(part, target)
        s = timing.summary if timing and timing.status == "ok" else None
        blank = [None] * (3 if target.batch > 1 else 2)
        if timing is None or s is None:
            cells += [timing.status if timing and timing.status != "ok" else None, *blank]
            continue
        found = rates(timing, costs[target.dtype][part], run)
        if found.bound:
            bounds[found.bound] = None
        each = [f"{s.median / target.batch * 1e3:.3f}"] if target.batch > 1 else []
        cells += [spread_ms(s), *each, found.gmacs, found.of_peak]
    name = part if grid.same[part] == part else f"{part} = {grid.same[part]}"
    return (name, costs[shown[0].dtype][part].macs, " / ".join(bounds) or None, *cells)


def _roof_notes(timings: Sequence[Timing], run: Run) -> list[str]:
    roofs = list(dict.fromkeys(filter(None, (roof_of(t, run) for t in timings))))
    return [_roof_note(roof) for roof in roofs]


def _roof_note(roof: Roof) -> str:
    product = "fp32" if roof.dtype == "int8" else roof.dtype
    ridge = roof.macs_per_s / roof.bytes_per_s
    used = " for int8" if roof.dtype == "int8" else ""
    return (
        f"Peak of {roof.device} at {threads_of(roof.threads)}{used}: {roof.macs_per_s / 1e9:,.1f} GMAC/s "
        f"in the best {product} matrix product, {roof.bytes_per_s / 1e9:,.1f} GB/s in the best copy; "
        f"a part under {ridge:.2f} MAC per byte moved is bound by memory."
    )


def _twin_notes(grid: Grid) -> list[str]:
    copies = [part for part in grid.parts if grid.same[part] != part]
    return [f"a = b: part a is identical to b and was measured as it ({words(copies)})."] if copies else []


def _device_notes(grid: Grid, run: Run) -> list[str]:
    found = {t.place: run.hosts[t.device].runtimes.get(t.backend) for t in grid.targets}
    return [
        f"{name} runs on {runtime.device}."
        for name, runtime in found.items()
        if runtime and runtime.device not in {"", "cpu", "clock"}
    ]


def _steadiness_notes(timings: Sequence[Timing], called: Mapping[Target, str]) -> list[str]:
    measured = [t for t in timings if t.bursts]
    if not measured:
        return []
    noisy = sum(t.summary.noisy for t in measured if t.summary)
    parts = [f"{noisy} of {len(measured)} figures are noisy"]
    if away := sum(t.excluded for t in measured):
        parts.append(f"{away:,} of {sum(len(t.bursts) for t in measured):,} bursts are excluded")
    if far := sum(t.outliers for t in measured):
        calls = sum(burst.calls for t in measured for burst in t.kept)
        parts.append(f"{far:,} of {calls:,} calls are outliers")
    if moved := [t for t in measured if _drifted(t)]:
        parts.append(f"the time drifted while sampling {_by_target(moved, called)}")
    unsettled = sum(t.stopped == "budget" for t in measured)
    if unsettled:
        parts.append(f"{unsettled} ended with the time budget, before their interval was within ±2%")
    if cut := sum(t.stopped in ("interrupted", "") for t in measured):
        parts.append(f"{cut} were interrupted")
    threads = [t for t in measured if t.cpu_per_wall and t.cpu_per_wall > t.target.threads + _THREADS_OFF]
    if threads:
        where = _by_target(threads, called, load=True)
        parts.append(f"more processors worked than threads were asked for: {where}")
    idle = [
        t for t in measured if t.cpu_per_wall and t.target.threads > 1 and t.cpu_per_wall < 1 + _THREADS_OFF
    ]  # fmt: skip
    if idle:
        parts.append(f"one processor worked where more threads were asked for: {_by_target(idle, called)}")
    sentence = "; ".join(parts)
    return [f"{sentence[0].upper()}{sentence[1:]}."]


def _by_target(timings: Sequence[Timing], called: Mapping[Target, str], *, load: bool = False) -> str:
    """Parts as "stem and 1 on cpu; net on mnn"; load: each with how many processors worked."""
    found: dict[str, list[str]] = {}
    for t in timings:
        found.setdefault(called[t.target], []).append(f"{t.part} ({t.cpu_per_wall:.2f})" if load else t.part)
    return words([f"{words(parts)} on {name}" for name, parts in found.items()])


def _additivity(grid: Grid, shown: Sequence[Target], parts: Sequence[str]) -> tuple[tuple[object, ...], ...]:
    """The sum of the parts' medians, and how far it is from the whole network's."""
    added: list[object] = ["sum of parts", None, None]
    whole: list[object] = ["net − sum", None, None]
    ratios: list[object] = ["sum / net", None, None]
    for target in shown:
        blank = [None] * (3 if target.batch > 1 else 2)
        timings = {part: grid.at(part, target) for part in parts}
        found = {part: t.seconds for part, t in timings.items() if t and t.seconds is not None}
        if len(found) < len(parts) or not found[NET]:
            for row in (added, whole, ratios):
                row += [None, *blank]
            continue
        net = found.pop(NET)
        alone = sum(found.values())
        added += [f"{alone * 1e3:.3f}{'':9}", *blank]
        whole += [f"{(net - alone) * 1e3:+.3f}{'':9}", *blank]
        ratios += [f"×{alone / net:.3f}{'':9}", *blank]
    return tuple(added), tuple(whole), tuple(ratios)


def _reasons(timings: Sequence[Timing], called: Mapping[Target, str]) -> list[str]:
    bad: dict[str, list[str]] = {}
    for t in timings:
        if t.status != "ok":
            bad.setdefault(f"{called[t.target]} {t.status}: {t.reason}", []).append(t.part)
    return [f"{reason} (parts: {', '.join(parts)})." for reason, parts in bad.items()]


def _alarms(grid: Grid) -> frozenset[int]:
    wrong = {part for (part, _), timing in grid.cells.items() if timing.status == "wrong"}
    return frozenset(n for n, part in enumerate(grid.parts) if grid.same[part] in wrong)


def _preparing_sheet(timings: Sequence[Timing], run: Run) -> Sheet:
    """Of each target's largest part: conversion, file, loading, first run, error, processors."""
    columns = (
        Column("target", "Target", "text"), Column("part", "Part", "text"),
        Column("convert_s", "Conversion, s", "number"), Column("file_bytes", "File", "bytes"),
        Column("load_ms", "Loading, ms", "number"), Column("first_ms", "First run, ms", "number"),
        Column("max_abs_err", "Max abs error", "figure"), Column("max_rel_err", "Max rel error", "figure"),
        Column("rms_rel_err", "RMS rel error", "figure"),
        Column("cpu_per_wall", "CPU/wall", "number"),
    )  # fmt: skip
    rows = []
    called = labels(t.target for t in timings)
    for target, name in called.items():
        ready = [t for t in timings if t.target == target and t.first_s is not None]
        if not ready:
            continue
        whole = next((t for t in ready if t.part == NET), max(ready, key=lambda t: t.file_bytes or 0))
        errors = [
            max((getattr(t, key) for t in ready if getattr(t, key) is not None), default=None)
            for key in ("max_abs_err", "max_rel_err", "rms_rel_err")
        ]
        rows.append((
            placed(target, name), whole.part, whole.convert_s, whole.file_bytes, _ms(whole.load_s),
            _ms(whole.first_s), *(None if e is None else f"{e:.1e}" for e in errors), whole.cpu_per_wall,
        ))  # fmt: skip
    note = (
        "Errors: the largest of all parts, against PyTorch eager in fp32, relative to its largest magnitude, "
        "or root mean square by root mean square."
    )
    compiled = _compiled_beside(timings, run)
    return Sheet("Getting ready, apart from the times above", columns, tuple(rows), notes=(note, *compiled))


def _compiled_beside(timings: Sequence[Timing], run: Run) -> tuple[str, ...]:
    """That a backend compiled while the others loaded, where it did: their load times are longer for it."""
    ready = {t.target.place: run.hosts[t.target.device] for t in timings if t.first_s is not None}
    beside = [n for n, host in ready.items() if n in host.runtimes and host.runtimes[n].compiles]
    return (f"The others loaded while {words(beside)} compiled.",) if beside and len(ready) > 1 else ()


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _saving_sheet(run: Run, variant: str) -> Sheet:
    """How often a variant's MACs, and its time on each target, hold those of the main network."""
    base, other = run.subject.graph, run.variants[variant].graph
    grids = [grid_of(base, timings_of(run, "")), grid_of(other, timings_of(run, variant))]
    costs = [part_costs(graph) for graph in (base, other)]
    columns = [Column("part", "Part", "text"), Column("macs_ratio", "MACs", "ratio")]
    columns += [Column(f"{name}_ratio", f"{name}, time", "ratio") for name in grids[0].labels.values()]
    rows = []
    for part in grids[0].parts:
        if part not in grids[1].parts or not costs[0][part].macs:
            continue
        ratios = [_ratio(*(grid.at(part, target) for grid in grids)) for target in grids[0].targets]
        rows.append((part, costs[1][part].macs / costs[0][part].macs, *ratios))
    title = f"{variant}: MACs and measured time, as a multiple of {base.name}'s"
    note = "Where a time's ratio is nearer to 1 than the MACs', a runtime gains or loses less than on paper."
    return Sheet(title, tuple(columns), tuple(rows), notes=(note,), stacked=True)


def _ratio(base: Timing | None, other: Timing | None) -> float | None:
    if base is None or other is None or not base.seconds or other.seconds is None:
        return None
    return other.seconds / base.seconds


def backends_sheet(rows: Sequence[Mapping[str, object]]) -> Sheet:
    """A row for each backend: what it is, where it runs, or why it cannot."""
    columns = (
        Column("name", "Backend", "text"),
        Column("usable", "Usable", "text"),
        Column("version", "Version", "text", importance=2),
        Column("device", "Device", "text", importance=3),
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
