"""Sections of the report: panels of sentences, charts and the sheets that the charts are drawn from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from ..advice.advice import TITLE, Advice, advise
from ..analysis import savings
from ..analysis.conditions import conditions
from ..analysis.side_by_side import compared_times, shared_size
from ..analysis.view import View, views
from ..cost.comparison import network_costs
from ..cost.conventions import reconcile
from ..cost.counts import count
from ..cost.memory import arena, peaks
from ..graph.parts import NET
from ..mobilenetv3.published import published
from ..mobilenetv3.saving import all_are, separable_savings
from ..record.run import Host, Run
from ..record.target import Target
from ..render.numbers import compact, milliseconds
from ..render.sheet import Column, Sheet, format_value
from ..show import sentences
from ..show.accuracy import accuracy_sheets
from ..show.comparison import blocks_sheet as compared_blocks
from ..show.costs import MAC, at_least, cost_sheet
from ..show.latency import latency_sheets
from ..show.load import busy_note
from ..show.memory import alive_sheet, arena_sheet, blocks_sheet, plan_sheets, summary_sheet
from ..show.operators import operator_sheets
from ..show.readings import reconciliation_sheet
from ..show.timing_notes import failures, weights_notes
from .charts import counts, latency, memory, overview
from .charts.chart import Chart
from .drawing import network_drawing
from .rows import rows_of
from .summary import changed_sheet, headline_sheet, side_by_side_sheet


class Tile(msgspec.Struct, frozen=True):
    """A metric in large print. detail: in smaller print under it."""

    title: str
    value: str
    detail: str = ""


class Listed(NamedTuple):
    """A table of the page. anchors: of blocks that it names, by name. sortable: False where the values of a
    column have different units.
    """

    sheet: Sheet
    anchors: Mapping[str, str] = {}
    sortable: bool = True


class Panel(msgspec.Struct, frozen=True):
    """Content of a section. label: what it is of, "" if the section has one panel. alerts: what went wrong.
    advice: what to try, under the title `advised`, next to the charts; None for none of it. drawing: HTML.
    sheets: collapsed; open_sheets: expanded.
    """

    label: str
    sentences: tuple[str, ...]
    alerts: tuple[str, ...] = ()
    tiles: tuple[Tile, ...] = ()
    advice: tuple[Advice, ...] | None = None
    advised: str = ""
    drawing: str = ""
    charts: tuple[Chart, ...] = ()
    sheets: tuple[Listed, ...] = ()
    open_sheets: tuple[Listed, ...] = ()


class Section(msgspec.Struct, frozen=True):
    """A part of the report. key: its anchor."""

    key: str
    title: str
    panels: tuple[Panel, ...]


Views = Sequence[View]


def sections(runs: Sequence[Run], also: Sequence[Section] = ()) -> tuple[Section, ...]:
    """Return the report of at least one run; `also` is inserted before the environment."""
    seen = views(runs)
    main = [
        Section(key, title, panels) for key, title, make in _SECTIONS if (panels := tuple(make(seen, key)))
    ]
    return (*main, *also, _environment(runs, seen), _definitions())


def _headline(seen: Views, key: str) -> Iterator[Panel]:
    *others, view = seen
    alerts = dict.fromkeys(alert for each in seen for alert in _alerts(each, several=bool(others)))
    shown = [overview.net_chart(seen, f"{key}t")] if any(each.ranking() for each in seen) else []
    where = overview.where_chart(seen, f"{key}w")
    metrics = [
        listed._replace(sortable=False)
        for n, each in enumerate(seen)
        for listed in _listed(seen, n, headline_sheet(each))
    ]
    yield Panel(
        "",
        (sentences.side_by_side(seen) if others else sentences.headline(view),),
        tuple(alerts),
        tuple(_compared_tiles(*seen) if len(seen) == 2 else [] if others else _tiles(view)),
        advise(view),
        f"{TITLE} with {view.called}" if others else TITLE,
        charts=(*shown, where),
        sheets=tuple(metrics),
        open_sheets=(Listed(side_by_side_sheet(seen)),) if others else (),
    )


def _tiles(view: View) -> Iterator[Tile]:
    cost = view.costs[NET]
    dtype, batch = view.dtype, view.batch
    memory_peaks = peaks(view.graph, dtype, batch)
    paper = published(view.run.subject.listed, view.run.subject.input)
    beside = (f"paper: {paper.madds_m} M", f"paper: {paper.params_m:g} M") if paper else ("", "")
    yield from _latency_tiles(view)
    yield Tile("MACs", at_least(cost, "macs") + compact(cost.macs), beside[0])
    yield Tile("Parameters", compact(cost.params), beside[1])
    size = format_value(memory_peaks.fused.bytes, "bytes")
    yield Tile("Peak memory", size, f"fused, {dtype}, batch {batch}")


def _compared_tiles(old: View, new: View) -> Iterator[Tile]:
    """Yield the metrics of two views with their change; of latencies that of the target on which the old one
    is fastest of those that are compared.
    """
    rows = [(row, change) for row in compared_times([old, new]) if (change := row.changes[0])]
    known = [(row, change) for row, change in rows if change.ratio is not None]
    if known:
        row, change = min(known, key=lambda pair: pair[0].times[0] or 0.0)
        shown = " → ".join(milliseconds(seconds) for seconds in row.times if seconds is not None)
        image = ", per image" if any(target and target.batch > 1 for target in row.targets) else ""
        yield Tile("Latency", shown, f"{change.described}, {row.label}{image}")
    before, after = old.costs[NET], new.costs[NET]
    least = [at_least(cost, "macs") for cost in (before, after)]
    macs = " → ".join(
        f"{sign}{compact(cost.macs)}" for sign, cost in zip(least, (before, after), strict=True)
    )
    yield Tile("MACs", macs, "" if any(least) else _ratio(before.macs, after.macs))
    params = f"{compact(before.params)} → {compact(after.params)}"
    yield Tile("Parameters", params, _ratio(before.params, after.params))
    if (size := shared_size([old, new])) is not None:
        first, last = (peaks(view.graph, *size).fused.bytes for view in (old, new))
        value = " → ".join(format_value(each, "bytes") for each in (first, last))
        yield Tile("Peak memory", value, f"{_ratio(first, last)}, fused, {size[0]}, batch {size[1]}")


def _ratio(old: int, new: int) -> str:
    return "the same" if old == new else format_value(new / old, "ratio") if old else ""


def _alerts(view: View, *, several: bool) -> Iterator[str]:
    """Yield what went wrong: rows without times, a busy machine, a device's condition."""
    before = f"{view.called}: " if several else ""
    found = [
        *failures(view.grid.cells.values(), view.names),
        *filter(None, [busy_note(view.run)]),
        *(each for device in view.run.hosts if device for each in conditions(view.run, device)),
    ]
    yield from (before + each for each in found)


def _latency_tiles(view: View) -> list[Tile]:
    """Return the lowest latency of the whole network, and PyTorch eager's, with their spread."""
    ranking = view.ranking()
    if not ranking:
        return []
    target = ranking[0][0]
    title = "Lowest latency" if sentences.as_fast(view, target) else "Fastest"
    if len(ranking) == 1 or not view.is_clear(NET, target):
        title = "Latency"
    tiles = [_latency_tile(view, title, target, view.label_of(target))]
    eager = view.eager(target)
    if eager and eager[0] != target:
        change = view.change(NET, target, eager[0])
        title = sentences.eager_name(view, eager[0], target)
        tiles.append(_latency_tile(view, title, eager[0], change.described))
    return tiles


def _latency_tile(view: View, title: str, target: Target, detail: str) -> Tile:
    times = sentences.latency(view, target)
    value, spread = times["wall"]
    cpu = [f"CPU time {' '.join(times['CPU'])}"] if "CPU" in times else []
    return Tile(title, value, ", ".join([spread, *cpu, detail]))


def _listed(seen: Views, number: int, *sheets: Sheet) -> Iterator[Listed]:
    """Yield tables of one view, whose titles say of which of several it is."""
    called, anchors = seen[number].called, rows_of(seen).of(number)
    for sheet in sheets:
        is_told = not called or sheet.title.startswith(called)
        yield Listed(sheet if is_told else replace(sheet, title=f"{called}: {sheet.title}"), anchors)


def _network(seen: Views, key: str) -> Iterator[Panel]:
    yield Panel("", (), drawing=network_drawing(seen, f"{key}d"))


def _shares(seen: Views, key: str) -> Iterator[Panel]:
    sheets = [
        sheet
        for n, view in enumerate(seen)
        for sheet in _listed(seen, n, cost_sheet(view.graph, count(view.graph, view.dtype), dtype=view.dtype))
    ]
    said = _each(seen, sentences.shares)
    yield Panel("", said, charts=(overview.shares_chart(seen, f"{key}c"),), sheets=tuple(sheets))


def _each(seen: Views, tell: Callable[[View], str]) -> tuple[str, ...]:
    """Return a sentence of each view, with its name if there are several."""
    return tuple(f"{view.called}: {tell(view)}" if view.called else tell(view) for view in seen)


def _latency(seen: Views, key: str) -> Iterator[Panel]:
    timed = [view for view in seen if view.grid.cells]
    if not timed:
        yield Panel("", ("Latency was not measured.",))
        return
    said = [
        sentence
        for tell in (sentences.matrix, sentences.additivity, sentences.roofline)
        for sentence in _each(timed, tell)
    ]
    shown = [latency.matrix_chart(timed, f"{key}m")]
    roofline = latency.roofline_chart(timed, f"{key}r")
    if roofline.marks:
        shown.append(roofline)
    sheets = [
        sheet
        for n, view in enumerate(timed)
        for sheet in _listed(
            timed, n, *latency_sheets(view.run), *accuracy_sheets(view.run), *operator_sheets(view.run)
        )
    ]
    rows = rows_of(timed)
    by_title = dict(zip(rows.titles, rows.anchors, strict=True))
    changed = [Listed(changed_sheet(timed), by_title)] if len(timed) > 1 else []
    yield Panel("", tuple(said), charts=tuple(shown), sheets=tuple(sheets), open_sheets=tuple(changed))


def _by_size(view: View) -> list[View]:
    """Return the view once per dtype and batch that was measured, since bytes depend on them."""
    return [view._replace(dtype=dtype, batch=batch) for dtype, batch in view.sizes]


def _memory(seen: Views, key: str) -> Iterator[Panel]:
    if len(seen) > 1:
        yield Panel("", (), charts=(memory.block_memory_chart(seen, f"{key}b"),))
    sized = [(n, each) for n, view in enumerate(seen) for each in _by_size(view)]
    plans = [arena(view.graph, view.dtype, view.batch) for _, view in sized]
    top = max(plan.bytes for plan in plans)
    for number, ((of, view), plan) in enumerate(zip(sized, plans, strict=True)):
        anchors = rows_of(seen).of(of)
        dtype, batch = view.dtype, view.batch
        memory_peaks, weights = peaks(view.graph, dtype, batch), view.costs[NET].weight_bytes
        shown = (
            memory.memory_chart(view, memory_peaks, f"{key}m{number}", anchors),
            memory.arena_chart(view, plan, f"{key}a{number}", top, anchors),
        )
        sheets = (
            summary_sheet(view.graph, memory_peaks, plan, weights, dtype, batch, image=True),
            blocks_sheet(view.graph, memory_peaks),
            alive_sheet(memory_peaks),
            arena_sheet(view.graph, plan),
            *plan_sheets(view.run.planned(dtype, batch), plan),
        )
        size = (f"{dtype}, batch {batch}",) if len(view.sizes) > 1 else ()
        said = (sentences.memory(view, memory_peaks), sentences.arena(plan))
        yield Panel(
            ", ".join(filter(None, (view.called, *size))),
            said,
            charts=shown,
            sheets=tuple(_listed(seen, of, *sheets)),
        )


def _saving(seen: Views, key: str) -> Iterator[Panel]:
    for number, view in enumerate(seen):
        table = view.run.subject.listed
        if table is None or not all_are("separable", table):
            continue
        anchors = rows_of(seen).of(number)
        chart = counts.saving_chart(view, savings.standard_variant(view), f"{key}{number}", anchors)
        standard = savings.standard(view)
        networks = [network_costs(graph) for graph in (view.graph, standard.graph)]
        listed = _listed(seen, number, compared_blocks(networks, separable_savings([table, standard.table])))
        yield Panel(view.called, (sentences.saving(view),), charts=(chart,), sheets=tuple(listed))


def _counters(seen: Views, key: str) -> Iterator[Panel]:
    for number, view in enumerate(seen):
        if not view.run.readings:
            continue
        reconciled = reconcile(view.graph, view.run.readings)
        ran = any(tool.reading.printed is not None for tool in reconciled.tools)
        shown = (counts.counters_chart(reconciled, f"{key}{number}"),) if ran else ()
        listed = _listed(seen, number, reconciliation_sheet(view.graph, reconciled))
        yield Panel(view.called, (sentences.counters(reconciled),), charts=shown, sheets=tuple(listed))


_SECTIONS: Final[tuple[tuple[str, str, Callable[[Views, str], Iterator[Panel]]], ...]] = (
    ("headline", "Summary", _headline),
    ("network", "Network", _network),
    ("shares", "Cost breakdown", _shares),
    ("latency", "Latency", _latency),
    ("memory", "Memory", _memory),
    ("saving", "Depthwise-separable and standard convolution", _saving),
    ("counters", "FLOP counters", _counters),
)


def _environment(runs: Sequence[Run], seen: Views) -> Section:
    panels = [_run_panel(run, view.called) for run, view in zip(runs, seen, strict=True)]
    return Section("environment", "Environment", tuple(panels))


def _run_panel(run: Run, called: str) -> Panel:
    facts = [("created", run.created), ("command", run.command)]
    facts += [("commit", run.commit)] if run.commit else []
    versions: list[Sheet] = []
    columns = (Column("what", "What", "text"), Column("value", "Value", "text"))
    for device, host in run.hosts.items():
        on = f" on {device}" if device else ""
        facts += [(f"{what}{on}", value) for what, value in _machine(host)]
        versions.append(Sheet(f"Versions{on}", columns, tuple(host.versions.items())))
    notes = (*run.notes, *weights_notes(run.subject.weights))
    machine = Sheet("Machine and command", columns, tuple(facts), notes=notes)
    sentence = "This page contains its data: mnv3prof report FILE.html renders it again."
    return Panel(called, (sentence,), sheets=tuple(map(Listed, versions)), open_sheets=(Listed(machine),))


def _machine(host: Host) -> list[tuple[str, str]]:
    model = [("model", host.model)] if host.model else []
    governors = [("governor", ", ".join(host.governors))] if host.governors else []
    return [
        *model,
        ("CPU", host.cpu),
        *governors,
        ("cores", str(host.cores)),
        ("memory", f"{host.memory_bytes / 2**30:.1f} GiB"),
        ("GPU", host.gpu or "none used"),
        ("operating system", host.os),
        ("Python", host.python),
    ]


def _definitions() -> Section:
    rows = (
        ("MAC", f"{MAC}; MAdds in the paper."),
        ("FLOPs", "2 × MACs plus all other arithmetic: bias, batch norm, activation, pooling, add."),
        ("parameters", "Trainable values of the state_dict."),
        ("weights", "Bytes of the deployed form, with batch norm folded."),
        ("latency", "Time of one call, from input ready to output ready; not the first call."),
        ("±", "Half the distance from the 10th to the 90th percentile, in % of the median."),
        ("~", "Noisy: the notes under the table of latencies give the limits."),
        ("excluded", "Bursts that other load slowed; they do not count."),
        ("PyTorch eager peak", "Most bytes that PyTorch eager holds at a time, without parameters."),
        ("unfused peak", "Peak if every operation has its own output buffer, kept until its last reader."),
        ("fused peak", "Unfused peak, with batch norm and activation fused into the layer before."),
        ("arena", "One buffer for all activations of the fused network, placed greedily by size."),
        ("peak rates", "Best matrix product and best copy measured on this machine at that thread count."),
        ("roofline", "The highest rate that the peak rates allow at a part's MACs per byte moved."),
    )
    columns = (Column("term", "Term", "text"), Column("meaning", "Meaning", "text"))
    sheet = Sheet("Definitions", columns, rows, notes=("Sizes are height × width; KiB is 1,024 bytes.",))
    return Section("definitions", "Definitions", (Panel("", (), open_sheets=(Listed(sheet),)),))
