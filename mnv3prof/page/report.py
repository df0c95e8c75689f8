"""Sections of the report: panels of sentences, charts and the sheets that the charts are drawn from."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ..analysis import savings
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
from ..render.numbers import compact
from ..render.sheet import Column, Sheet, format_value
from ..show import sentences
from ..show.comparison import blocks_sheet as compared_blocks
from ..show.costs import MAC, at_least, cost_sheet
from ..show.latency import latency_sheets
from ..show.load import busy_note
from ..show.memory import alive_sheet, arena_sheet, blocks_sheet, plan_sheets, summary_sheet
from ..show.operators import operator_sheets
from ..show.readings import reconciliation_sheet
from ..show.timing_notes import weights_notes
from . import charts
from .charts import Chart
from .drawing import network_drawing
from .summary import headline_sheet, side_by_side_sheet


class Tile(msgspec.Struct, frozen=True):
    """A metric in large print. detail: in smaller print under it."""

    title: str
    value: str
    detail: str = ""


class Panel(msgspec.Struct, frozen=True):
    """Content of a section for one view. label: the view's, "" if there is one view. drawing: HTML.

    sheets: collapsed; open_sheets: expanded, next to the charts if `beside`, else above them.
    """

    label: str
    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...] = ()
    drawing: str = ""
    charts: tuple[Chart, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    open_sheets: tuple[Sheet, ...] = ()
    beside: bool = False


class Section(msgspec.Struct, frozen=True):
    """A part of the report. key: its anchor."""

    key: str
    title: str
    panels: tuple[Panel, ...]


def sections(runs: Sequence[Run], also: Sequence[Section] = ()) -> tuple[Section, ...]:
    """Return the report of at least one run; `also` is inserted before the environment."""
    seen = views(runs)
    main = [
        Section(key, title, tuple(panel(view, f"{key}{number}") for number, view in enumerate(shown)))
        for key, title, panel in _SECTIONS
        if panel is not _saving or any(view.run.subject.listed for view in seen)
        for shown in [[each for view in seen for each in _by_size(view)] if panel is _memory else seen]
    ]
    side = [_side_by_side(seen)] if len(seen) > 1 else []
    return (*side, *main, *also, _environment(runs), _definitions())


def _headline(view: View, key: str) -> Panel:
    cost = view.costs[NET]
    dtype, batch = view.dtype, view.batch
    memory_peaks = peaks(view.graph, dtype, batch)
    paper = published(view.run.subject.listed, view.run.subject.input)
    beside = (f"paper: {paper.madds_m} M", f"paper: {paper.params_m:g} M") if paper else ("", "")
    tiles = [
        Tile("MACs", at_least(cost, "macs") + compact(cost.macs), beside[0]),
        Tile("FLOPs", at_least(cost, "flops") + compact(cost.flops)),
        Tile("Parameters", compact(cost.params), beside[1]),
        Tile(
            "Peak memory", format_value(memory_peaks.fused.bytes, "bytes"), f"fused, {dtype}, batch {batch}"
        ),
    ]
    tiles += _latency_tiles(view)
    shown = (charts.net_chart(view, key),) if view.ranking() else ()
    said = (busy_note(view.run), sentences.headline(view))
    return Panel(
        view.label,
        tuple(filter(None, said)),
        tuple(tiles),
        charts=shown,
        open_sheets=(headline_sheet(view),),
        beside=True,
    )


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


def _network(view: View, key: str) -> Panel:
    return Panel(view.label, (sentences.network(view),), drawing=network_drawing(view, key))


def _shares(view: View, key: str) -> Panel:
    costs = cost_sheet(view.graph, count(view.graph, view.dtype), dtype=view.dtype)
    return Panel(
        view.label, (sentences.shares(view),), charts=(charts.shares_chart(view, key),), sheets=(costs,)
    )


def _latency(view: View, key: str) -> Panel:
    if not view.grid.cells:
        return Panel(view.label, ("Latency was not measured.",))
    shown = [charts.matrix_chart(view, f"{key}m")]
    said = [sentences.matrix(view), sentences.additivity(view), sentences.roofline(view)]
    roofline = charts.roofline_chart(view, f"{key}r")
    if roofline.marks:
        shown.append(roofline)
    sheets = (*latency_sheets(view.run), *operator_sheets(view.run))
    return Panel(view.label, tuple(said), charts=tuple(shown), sheets=sheets)


def _by_size(view: View) -> list[View]:
    """Return the view once per dtype and batch that was measured, since bytes depend on them."""
    return [view._replace(dtype=dtype, batch=batch) for dtype, batch in view.sizes]


def _memory(view: View, key: str) -> Panel:
    dtype, batch = view.dtype, view.batch
    memory_peaks, plan = peaks(view.graph, dtype, batch), arena(view.graph, dtype, batch)
    weights = view.costs[NET].weight_bytes
    said = (sentences.memory(view, memory_peaks), sentences.arena(plan))
    shown = (charts.memory_chart(view, memory_peaks, f"{key}m"), charts.arena_chart(view, plan, f"{key}a"))
    sheets = (
        summary_sheet(view.graph, memory_peaks, plan, weights, dtype, batch, image=True),
        blocks_sheet(view.graph, memory_peaks),
        alive_sheet(memory_peaks),
        arena_sheet(view.graph, plan),
        *plan_sheets(view.run.planned(dtype, batch), plan),
    )
    size = (f"{dtype}, batch {batch}",) if len(view.sizes) > 1 else ()
    return Panel(", ".join(filter(None, (view.label, *size))), said, charts=shown, sheets=sheets)


def _saving(view: View, key: str) -> Panel:
    table = view.run.subject.listed
    if table is None:
        return Panel(
            view.label, ("The network is no layer table, whose rows could have standard convolutions.",)
        )
    if not all_are("separable", table):
        return Panel(view.label, ("Not every row has a depthwise-separable pair to compare.",))
    chart = charts.saving_chart(view, savings.standard_variant(view), key)
    standard = savings.standard(view)
    networks = [network_costs(graph) for graph in (view.graph, standard.graph)]
    sheet = compared_blocks(networks, separable_savings([table, standard.table]))
    return Panel(view.label, (sentences.saving(view),), charts=(chart,), sheets=(sheet,))


def _counters(view: View, key: str) -> Panel:
    if not view.run.readings:
        return Panel(view.label, ("Other FLOP counters were not run for this network.",))
    reconciled = reconcile(view.graph, view.run.readings)
    ran = any(tool.reading.printed is not None for tool in reconciled.tools)
    shown = (charts.counters_chart(reconciled, key),) if ran else ()
    sheet = reconciliation_sheet(view.graph, reconciled)
    return Panel(view.label, (sentences.counters(reconciled),), charts=shown, sheets=(sheet,))


_SECTIONS: Final[tuple[tuple[str, str, Callable[[View, str], Panel]], ...]] = (
    ("headline", "Summary", _headline),
    ("network", "Network", _network),
    ("shares", "Cost breakdown", _shares),
    ("latency", "Latency", _latency),
    ("memory", "Memory", _memory),
    ("saving", "Depthwise-separable and standard convolution", _saving),
    ("counters", "FLOP counters", _counters),
)


def _side_by_side(seen: Sequence[View]) -> Section:
    sheet = side_by_side_sheet(seen)
    return Section("side", sheet.title, (Panel("", (sentences.side_by_side(seen),), open_sheets=(sheet,)),))


def _environment(runs: Sequence[Run]) -> Section:
    return Section("environment", "Environment", tuple(_run_panel(run, len(runs) > 1) for run in runs))


def _run_panel(run: Run, several: bool) -> Panel:
    facts = [("created", run.created), ("command", run.command)]
    versions: list[Sheet] = []
    columns = (Column("what", "What", "text"), Column("value", "Value", "text"))
    for device, host in run.hosts.items():
        on = f" on {device}" if device else ""
        facts += [(f"{what}{on}", value) for what, value in _machine(host)]
        versions.append(Sheet(f"Versions{on}", columns, tuple(host.versions.items())))
    notes = (*run.notes, *weights_notes(run.subject.weights))
    machine = Sheet("Machine and command", columns, tuple(facts), notes=notes)
    sentence = "This page contains its data: mnv3prof report FILE.html renders it again."
    label = f"{run.subject.name}, {run.created}" if several else ""
    return Panel(label, (sentence,), sheets=tuple(versions), open_sheets=(machine,))


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
    return Section("definitions", "Definitions", (Panel("", (), open_sheets=(sheet,)),))
