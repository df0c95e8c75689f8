"""Summary of a report, for pull request comments, job summaries and the page's first section."""

from collections.abc import Callable, Sequence

from ..advice.sheet import advice_sheet
from ..analysis.compare import VERDICTS, compare
from ..analysis.side_by_side import Compared, compared_times, shared_size
from ..analysis.view import View, views
from ..cost.conventions import reconcile
from ..cost.memory import arena, peaks
from ..graph.align import joined
from ..graph.parts import NET
from ..mobilenetv3.published import Published, published
from ..record.run import Run
from ..record.target import Target
from ..render.numbers import milliseconds
from ..render.sheet import Column, Sheet, format_value
from ..show import sentences
from ..show.costs import at_least
from ..show.load import busy_sheets
from ..show.times import spread_text
from ..show.timing_notes import failures
from .rows import row_title


def summary_sheets(runs: Sequence[Run]) -> tuple[Sheet, ...]:
    """Return, per view, its metrics and cost breakdown, and what to try with the last; several views start
    with their comparison.
    """
    seen = views(runs)
    side = [side_by_side_sheet(seen)] if len(seen) > 1 else []
    busy = dict.fromkeys(sheet for view in seen for sheet in busy_sheets(view.run))
    advised = advice_sheet(seen[-1])
    return (
        *busy,
        *side,
        *(headline_sheet(view) for view in seen),
        advised,
        *(_shares_sheet(view) for view in seen),
    )


def headline_sheet(view: View) -> Sheet:
    """Return the network's metrics, next to the published ones of the same configuration if there are any."""
    paper = published(view.run.subject.listed, view.run.subject.input)
    columns = [Column("measure", "Metric", "text"), Column("here", "Value", "figure")]
    rows: list[tuple[object, ...]] = list(_computed(view, paper))
    for target, _ in view.ranking():
        for clock, (text, spread) in sentences.latency(view, target).items():
            what = "latency" if clock == "wall" else "CPU time"
            rows.append((f"{what}, {view.label_of(target)}", f"{text} {spread}", None))
    notes = []
    if paper:
        columns.append(Column("published", "Published", "figure"))
        rows.append(("latency, Pixel 1, one big core", None, f"{paper.pixel1_ms:g} ms"))
        rows.append(("top-1 on ImageNet", None, f"{paper.top1:g} %"))
        notes.append(f"Published: {paper.source}.")
    else:
        rows = [row[:2] for row in rows]
        if view.run.subject.listed:
            notes.append("The paper publishes no metrics for this table at this input.")
    notes += failures(view.grid.cells.values(), view.names)
    return Sheet(f"{view.name}: metrics", tuple(columns), tuple(rows), notes=tuple(notes))


def _computed(view: View, paper: Published | None) -> list[tuple[object, ...]]:
    cost = view.costs[NET]
    dtype, batch = view.dtype, view.batch
    memory_peaks, plan = peaks(view.graph, dtype, batch), arena(view.graph, dtype, batch)
    eager = (
        (("PyTorch eager peak memory", format_value(memory_peaks.eager.bytes, "bytes"), None),)
        if memory_peaks.eager
        else ()
    )
    return [
        ("MACs", f"{at_least(cost, 'macs')}{cost.macs:,}", paper and f"{paper.madds_m} M"),
        ("FLOPs", f"{at_least(cost, 'flops')}{cost.flops:,}", None),
        ("parameters", f"{cost.params:,}", paper and f"{paper.params_m:g} M"),
        (f"weights, {dtype}", format_value(cost.weight_bytes, "bytes"), None),
        *eager,
        ("fused peak memory", format_value(memory_peaks.fused.bytes, "bytes"), None),
        ("planned arena", format_value(plan.bytes, "bytes"), None),
    ]


def _shares_sheet(view: View) -> Sheet:
    """Return MACs and latency on the fastest target by block; notes: the report's sentences."""
    fastest = view.fastest()
    times = view.time_shares(fastest) if fastest else {}
    macs = view.mac_shares()
    columns = [
        Column("block", "Block", "text"),
        Column("macs_share", "Share of MACs", "share"),
        Column("macs", "MACs"),
    ]
    rows: list[tuple[object, ...]] = [(b, macs[b], view.costs[b].macs) for b in view.graph.block_names]
    if fastest and times:
        columns += [
            Column("time_share", f"Share of latency, {view.label_of(fastest)}", "share"),
            Column("time", "Latency per call" if fastest.batch > 1 else "Latency", "figure"),
        ]
        rows = [
            (*row, times[block], _spread(view, block, fastest))
            for row, block in zip(rows, view.graph.block_names, strict=True)
        ]
    dtype, batch = view.dtype, view.batch
    notes = [
        sentences.headline(view),
        sentences.shares(view),
        sentences.memory(view, peaks(view.graph, dtype, batch)),
    ]
    if len(view.grid.targets) > 1:
        notes += [sentences.matrix(view), sentences.additivity(view)]
    if view.run.readings:
        notes.append(sentences.counters(reconcile(view.graph, view.run.readings)))
    return Sheet("Cost breakdown by block", tuple(columns), tuple(rows), notes=tuple(notes))


def _spread(view: View, block: str, target: Target) -> str:
    timing = view.timing(block, target)
    assert timing is not None  # it has a share of the latency
    return f"{milliseconds(timing.seconds or 0)} {spread_text(timing)}"


def side_by_side_sheet(seen: Sequence[View]) -> Sheet:
    """Return the metrics of the views, a column each, with ratios to the first."""
    columns = [Column("measure", "Metric", "text")]
    columns += [Column(f"value{n}", view.called, "figure") for n, view in enumerate(seen)]
    columns += [
        Column(f"ratio{n}", f"{view.called} ÷ {seen[0].called}" if len(seen) > 2 else "Ratio", "figure")
        for n, view in enumerate(seen[1:], 1)
    ]
    metrics: dict[str, list[float | None]] = {
        title: [getattr(view.costs[NET], name) for view in seen]
        for title, name in (("MACs", "macs"), ("FLOPs", "flops"), ("parameters", "params"))
    }
    rows = [_compared(title, values, "{:,}".format) for title, values in metrics.items()]
    rows.append(_arenas(seen))
    times = compared_times(seen)
    several = any(target.batch > 1 for view in seen for target in view.grid.targets)
    for row in times:
        shown = [_time_of(*each) for each in zip(seen, row.targets, row.times, strict=True)]
        title = f"latency{' per image' if several else ''}, {row.label}"
        rows.append((title, *shown, *(change and change.described for change in row.changes)))
    reasons = dict.fromkeys(
        f"{row.label}: {change.verdict}: {change.reason}."
        for row in times
        for change in row.changes
        if change and change.reason
    )
    notes = [*(f"{v.label}." for v in seen), *reasons]
    return Sheet("Side by side", tuple(columns), tuple(rows), notes=tuple(notes))


def _time_of(view: View, target: Target | None, seconds: float | None) -> str | None:
    """Return a latency with its spread."""
    timing = view.timing(NET, target) if target else None
    return f"{milliseconds(seconds)} {spread_text(timing)}" if timing and seconds is not None else None


def changed_sheet(seen: Sequence[View]) -> Sheet:
    """Return, by aligned block and compared targets, each view's change of latency from the first."""
    rows = compared_times(seen)
    columns = [Column("block", "Block", "text")]
    kept = [row for row in rows if sum(target is not None for target in row.targets) > 1]
    for n, row in enumerate(kept):
        columns += [
            Column(f"change{n}_{m}", ": ".join(filter(None, (view.called, row.label))), "text")
            for m, view in enumerate(seen[1:], 1)
        ]
    lines: list[tuple[object, ...]] = []
    names = joined([view.graph for view in seen])
    for line in [*names, (NET,) * len(seen)]:
        changes = [_changed(seen, line, row, m) for row in kept for m in range(1, len(seen))]
        lines.append((row_title(line), *changes))
    title = f"Changes of latency from {seen[0].called}, by block"
    return Sheet(title, tuple(columns), tuple(lines), notes=(VERDICTS,))


def _changed(seen: Sequence[View], line: tuple[str | None, ...], row: Compared, number: int) -> str | None:
    """Return the change of one block from the first view to another, None if one of them has none."""
    timings = []
    for n in (0, number):
        part, target = line[n], row.targets[n]
        timings.append(seen[n].timing(part, target) if part and target else None)
    old, new = timings
    return compare(old, new, seen[0].run, seen[number].run).described if old and new else None


def _arenas(seen: Sequence[View]) -> tuple[object, ...]:
    """Return the planned arenas at a dtype and batch that all views share; without one, no ratios."""
    shared = shared_size(seen)
    plans = [arena(view.graph, *(shared or view.sizes[0])).bytes for view in seen]
    if shared is None:
        how = (f"{dtype}, batch {batch}" for dtype, batch in (view.sizes[0] for view in seen))
        cells = [f"{format_value(size, 'bytes')} ({each})" for size, each in zip(plans, how, strict=True)]
        return ("planned arena", *cells, *[None for _ in seen[1:]])
    several = any(len(view.sizes) > 1 for view in seen)
    title = f"planned arena, {shared[0]}, batch {shared[1]}" if several else "planned arena"
    return _compared(title, plans, lambda size: format_value(size, "bytes"))


def _compared(title: str, values: Sequence[float | None], write: Callable[..., str]) -> tuple[object, ...]:
    base = values[0]
    shown = [None if value is None else write(value) for value in values]
    ratios = [value / base if base and value is not None else None for value in values[1:]]
    return (title, *shown, *(None if ratio is None else format_value(ratio, "ratio") for ratio in ratios))
