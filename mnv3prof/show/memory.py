"""Sheets of `memory`: the peaks, their live tensors, the planned arena, and the plans of runtimes."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from ..analysis.plans import differences
from ..cost.counts import Dtype, count, total
from ..cost.fitting import Remedy
from ..cost.memory import Arena, Fit, Fits, Peak, Peaks, why_no_eager
from ..graph.graph import Graph
from ..graph.parts import part_layers
from ..record.plan import RuntimePlan
from ..render.numbers import in_bytes
from ..render.sheet import Column, Sheet, format_value, join_words
from .costs import several, titled
from .order import UNSORTED, Order

_MOST_TENSORS: Final = 12

EAGER: Final = "PyTorch eager peak"
UNFUSED: Final = "unfused peak"
FUSED: Final = "fused peak"

_VERDICTS: Final = {True: "fits", False: "does not fit", None: "unknown"}

_MEANING: Final = {
    EAGER: "PyTorch eager, in which every open module call keeps its input",
    UNFUSED: "every operation has its own output buffer, kept until its last reader",
    FUSED: "batch norm and activation fused into the layer before",
}


def summary_sheet(
    graph: Graph,
    peaks: Peaks,
    arena: Arena,
    weight_bytes: int,
    dtype: Dtype,
    batch: int,
    *,
    image: bool,
    in_place: bool = False,
) -> Sheet:
    """Return peaks, arena and weights in bytes, and the location of each peak."""
    columns = (
        Column("what", "Memory", "text"),
        Column("bytes", "Bytes"),
        Column("size", "Size", "bytes", importance=1),
        Column("block", "Peak in", "text", importance=3),
        Column("layer", "at layer", "text", importance=4),
        Column("meaning", "Meaning", "prose", importance=2),
    )
    rows: list[tuple[object, ...]] = []
    for name, peak in _named(peaks):
        meaning = _eager_meaning(graph, peak, dtype) if name == EAGER else _MEANING[name]
        place = (peak.bytes, peak.bytes, peak.block, peak.layer) if peak else (None,) * 4
        rows.append((name, *place, meaning))
    sums = (
        ("planned arena", arena.bytes, "one buffer for the fused network, placed greedily by size"),
        ("its lower bound", arena.lower_bound, "no placement needs fewer bytes"),
        ("naive sum", arena.naive_bytes, "every tensor of the fused network has its own buffer"),
        ("weights", weight_bytes, "deployed: convolution and linear weights, one bias per channel"),
    )
    rows += [(name, value, value, None, None, meaning) for name, value, meaning in sums]
    images = f"batch {batch}" if batch > 1 else "one image"
    counted = "the input image is included" if image else "the input image is included in PyTorch eager only"
    over = " Depthwise convolutions write over their input in the fused network." if in_place else ""
    note = f"Activations for {images} at {dtype}; {counted}. KiB = 1,024 bytes.{over}"
    notes = (note, *_not_fused(graph))
    return Sheet(titled(graph, "memory"), columns, tuple(rows), notes=notes)


def _eager_meaning(graph: Graph, peak: Peak | None, dtype: Dtype) -> str:
    """Say how the eager peak is known, or why it is not."""
    if peak is None:
        return why_no_eager(graph, dtype)
    return "simulated on tensors without data" if graph.eager else _MEANING[EAGER]


def _not_fused(graph: Graph) -> list[str]:
    """Name the batch norms and activations of a captured network that no layer before them takes in."""
    alone: dict[str, list[str]] = {}
    for layer, op in zip(graph.layers, graph.operations, strict=True):
        if graph.eager and op.folds and layer.name not in graph.fused:
            alone.setdefault(op.title, []).append(layer.name)
    named = [f"{title} ({several(names)})" for title, names in alone.items()]
    return [f"Not fused: {'; '.join(named)}."] if named else []


def blocks_sheet(graph: Graph, peaks: Peaks, parts: Sequence[str] = (), order: Order = UNSORTED) -> Sheet:
    """Return the most live bytes in each block, or in each of `parts`, by definition of the peak."""
    columns = (
        Column("block", "Block", "text"),
        Column("share", "Fused / its peak", "share"),
        Column("fused_bytes", "Fused"),
        Column("unfused_bytes", "Unfused", importance=1),
        Column("eager_bytes", "PyTorch eager", importance=2),
    )
    known = {name: _by_layer(graph, peak) for name, peak in _named(peaks) if peak}

    def most(part: str, definition: str) -> int | None:
        live = known.get(definition)
        return max(live[layer.name] for layer in part_layers(graph, part)) if live else None

    def value(part: str) -> float | None:
        if order.by in ("memory", "share"):
            return most(part, FUSED)
        layers = {layer.name for layer in part_layers(graph, part)}
        costs = total(cost for cost in count(graph) if cost.layer in layers)
        return costs.params if order.by == "params" else costs.macs

    shown, left = order.of(parts or graph.block_names, value, "parts")
    rows = tuple(
        (
            part,
            (most(part, FUSED) or 0) / peaks.fused.bytes,
            *(most(part, x) for x in (FUSED, UNFUSED, EAGER)),
        )
        for part in shown
    )
    return Sheet("Most live bytes in each block", columns, rows, notes=left)


def _by_layer(graph: Graph, peak: Peak) -> dict[str, int]:
    return {layer.name: size for layer, size in zip(graph.layers, peak.layers, strict=True)}


def alive_sheet(peaks: Peaks) -> Sheet:
    """Return the live tensors at each peak."""
    columns = (
        Column("definition", "Peak", "text"),
        Column("tensor", "Live tensor: output of", "text"),
        Column("bytes", "Bytes"),
        Column("size", "Size", "bytes", importance=1),
    )
    rows = tuple(
        (name, tensor, size, size)
        for name, peak in _named(peaks)
        if peak is not None
        for tensor, size in peak.alive
    )
    return Sheet("Live tensors at the peaks", columns, rows)


def arena_sheet(graph: Graph, arena: Arena, parts: Sequence[str] = (), order: Order = UNSORTED) -> Sheet:
    """Return offset, size and lifetime of each tensor in the arena, or of those that `parts` write."""
    columns = (
        Column("tensor", "Output of", "text"),
        Column("offset", "Offset"),
        Column("bytes", "Bytes"),
        Column("first", "First layer", "text", importance=2),
        Column("last", "Last layer", "text", importance=1),
    )
    names = [layer.name for layer in graph.layers]
    written = {layer.name for part in parts for layer in part_layers(graph, part)}
    tensors = [p for p in arena.placements if not parts or p.tensor in written]
    shown, left = order.of(tensors, lambda p: p.bytes, "tensors")
    rows = tuple((p.tensor, p.offset, p.bytes, names[p.first], names[p.last]) for p in shown)
    title = f"Arena of {in_bytes(arena.bytes)} (lower bound {arena.lower_bound:,}), greedy by size"
    return Sheet(title, columns, rows, notes=left)


def remedies_sheet(remedies: Sequence[Remedy], budget: int | None, flash: int | None) -> Sheet:
    """Return what would make a network fit into a budget for its arena and one for its weights, with the
    costs that it then has.
    """
    columns = (
        Column("change", "Change", "text"),
        Column("arena_bytes", "Arena", "bytes"),
        Column("weight_bytes", "Weights", "bytes"),
        Column("fits", "Verdict", "text"),
        Column("macs", "MACs", importance=1),
    )
    rows = tuple((r.change, r.arena_bytes, r.weight_bytes, _VERDICTS[r.fits], r.macs) for r in remedies)
    fitting = [r.change for r in remedies if r.fits]
    limits = [*([_size(budget)] if budget else []), *([f"{_size(flash)} of flash"] if flash else [])]
    title = f"What would fit in {join_words(limits)}: {' or '.join(fitting) or 'no change of one option'}"
    note = "The largest input of this shape, and the largest width in steps of 0.01; each alone."
    return Sheet(title, columns, rows, notes=(note,))


def flash_sheet(graph: Graph, weight_bytes: int, flash: int) -> Sheet:
    """Return the verdict on the size of the weights."""
    left = flash - weight_bytes
    verdict = f"fit, with {in_bytes(left)} left" if left >= 0 else f"do not fit: {in_bytes(-left)} over"
    title = f"{graph.name}, weights of {_size(weight_bytes)} in {_size(flash)} of flash: they {verdict}"
    return Sheet(title, (), ())


def fit_sheets(
    graph: Graph, arena: Arena, fit: Fit, planned: Sequence[Fits], weight_bytes: int
) -> tuple[Sheet, ...]:
    """Return the verdict on a memory budget, for the runtimes' plans if there are any, and for ours.

    weight_bytes: shown beside it, since they need memory too.
    """
    ours = Fits("mnv3prof, fused", arena.bytes, fit.fits)
    runtimes = (_plans_fit_sheet(graph, fit.budget, (ours, *planned)),) if planned else ()
    ours_sheet = _fit_sheet(graph, arena, fit)
    weights = f"The weights need {_size(weight_bytes)} of flash besides."
    return (*runtimes, replace(ours_sheet, notes=(*ours_sheet.notes, weights)))


def _size(size: int) -> str:
    """Write a budget in KiB or MiB and in bytes, since 256KB is ambiguous."""
    return f"{format_value(size, 'bytes')} ({in_bytes(size)})" if size >= 1024 else in_bytes(size)


def _plans_fit_sheet(graph: Graph, budget: int, fits: Sequence[Fits]) -> Sheet:
    columns = (
        Column("planner", "Planned by", "text"),
        Column("bytes", "Arena", "bytes"),
        Column("left", "Left", "bytes"),
        Column("fits", "Verdict", "text"),
    )
    rows = tuple(
        (one.planner, one.bytes, None if one.bytes is None else budget - one.bytes, _VERDICTS[one.fits])
        for one in fits
    )
    bad = [n for n, one in enumerate(fits) if not one.fits]
    where = join_words(
        [f"{_VERDICTS[fits[n].fits]} with the plan of {fits[n].planner}" for n in bad] or ["fits"]
    )
    notes = tuple(f"{one.planner}: {one.reason}." for one in fits if one.reason)
    title = f"{graph.name} in {_size(budget)}: {where}"
    return Sheet(title, columns, rows, notes=notes, highlighted=frozenset(bad))


def _fit_sheet(graph: Graph, arena: Arena, fit: Fit) -> Sheet:
    columns = (
        Column("block", "Block", "text"),
        Column("alive_bytes", "Live bytes"),
        Column("excess_bytes", "Must shrink by"),
        Column("excess", "", "bytes", importance=1),
    )
    rows = tuple((b.block, b.alive_bytes, b.excess_bytes, b.excess_bytes) for b in fit.blocks)
    name, budget = graph.name, _size(fit.budget)
    arenas = f"the fused arena of {in_bytes(arena.bytes)}"
    if fit.fits:
        left = fit.budget - arena.bytes
        return Sheet(f"{name} fits: {arenas} leaves {left:,} of {budget}", (), ())
    title = f"{name} does not fit: {arenas} is {arena.bytes - fit.budget:,} over {budget}"
    if rows:
        return Sheet(title, columns, rows, highlighted=frozenset(range(len(rows))))
    above = in_bytes(arena.bytes - arena.lower_bound)
    reason = f"No single block exceeds it: the arena is {above} above the lower bound."
    return Sheet(title, (), (), notes=(reason,))


def _named(peaks: Peaks) -> Sequence[tuple[str, Peak | None]]:
    return (EAGER, peaks.eager), (UNFUSED, peaks.unfused), (FUSED, peaks.fused)


def plan_sheets(plans: Sequence[RuntimePlan], ours: Arena) -> tuple[Sheet, ...]:
    """Return the runtimes' arenas and ours, then the tensors that differ; nothing without plans."""
    if not plans:
        return ()
    return (_arenas_sheet(plans, ours), *(_tensors_sheet(plan, ours) for plan in plans if plan.bytes))


def _arenas_sheet(plans: Sequence[RuntimePlan], ours: Arena) -> Sheet:
    columns = (
        Column("who", "Planned by", "text"),
        Column("bytes", "Arena", "bytes"),
        Column("ratio", "/ ours", "ratio"),
        Column("tensors", "Tensors"),
    )
    rows: list[tuple[object, ...]] = [
        ("lower bound", ours.lower_bound, ours.lower_bound / ours.bytes, None),
        ("mnv3prof, fused", ours.bytes, 1.0, len(ours.placements)),
    ]
    rows += [(p.backend, p.bytes, p.bytes / ours.bytes, len(p.tensors)) for p in plans if p.bytes]
    notes = tuple(f"{plan.backend}: {plan.reason}." for plan in plans if plan.reason)
    return Sheet("Arenas that the runtimes plan for their own operators", columns, tuple(rows), notes=notes)


def _tensors_sheet(plan: RuntimePlan, ours: Arena) -> Sheet:
    columns = (
        Column("shape", "Shape", "shape"),
        Column("bytes", "Bytes each", "bytes"),
        Column("theirs", f"Tensors in {plan.backend}"),
        Column("ours", "Tensors in ours"),
        Column("excess", "Difference", "bytes"),
        Column("example", "Example in ours: output of", "text"),
    )
    differing = differences(plan, ours)
    rows = tuple(
        (d.shape or None, d.bytes, d.theirs, d.ours, (d.theirs - d.ours) * d.bytes, d.example or None)
        for d in differing[:_MOST_TENSORS]
    )
    left = len(differing) - len(rows)
    note = (
        "Tensors of the whole inference, not of one moment. A runtime has more of one size if it does not "
        "fuse a batch norm or activation, changes the layout, or pads."
    )
    more = (f"Smaller differences that are not shown: {left}.",) if left > 0 else ()
    title = f"Different numbers of tensors in {plan.backend}"
    return Sheet(title, columns, rows, notes=(note, *more))
