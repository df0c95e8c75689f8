"""Sheets of `memory`: the peaks, their live tensors, the planned arena, and the plans of runtimes."""

from collections.abc import Sequence
from typing import Final

from ..analysis.plans import differences
from ..cost.counts import Dtype
from ..cost.memory import Arena, Fit, Fits, Peak, Peaks
from ..graph.graph import Graph
from ..record.plan import RuntimePlan
from ..render.sheet import Column, Sheet, format_value, join_words
from .costs import titled

_MOST_TENSORS: Final = 12

EAGER: Final = "PyTorch eager peak"
UNFUSED: Final = "unfused peak"
FUSED: Final = "fused peak"

_MEANING: Final = {
    EAGER: "PyTorch eager, in which every open module call keeps its input",
    UNFUSED: "every operation has its own output buffer, kept until its last reader",
    FUSED: "batch norm and activation fused into the layer before",
}


def summary_sheet(
    graph: Graph, peaks: Peaks, arena: Arena, weight_bytes: int, dtype: Dtype, batch: int, *, image: bool
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
        if peak is None:
            rows.append((name, None, None, None, None, "PyTorch eager does not run int8"))
        else:
            rows.append((name, peak.bytes, peak.bytes, peak.block, peak.layer, _MEANING[name]))
    sums = (
        ("planned arena", arena.bytes, "one buffer for the fused network, placed greedily by size"),
        ("its lower bound", arena.lower_bound, "no placement needs fewer bytes"),
        ("naive sum", arena.naive_bytes, "every tensor of the fused network has its own buffer"),
        ("weights", weight_bytes, "deployed: convolution and linear weights, one bias per channel"),
    )
    rows += [(name, value, value, None, None, meaning) for name, value, meaning in sums]
    images = f"batch {batch}" if batch > 1 else "one image"
    counted = "the input image is included" if image else "the input image is included in PyTorch eager only"
    notes = (f"Activations for {images} at {dtype}; {counted}. KiB = 1,024 bytes.",)
    return Sheet(titled(graph, "memory"), columns, tuple(rows), notes=notes)


def blocks_sheet(graph: Graph, peaks: Peaks) -> Sheet:
    """Return the most live bytes in each block, by definition of the peak."""
    columns = (
        Column("block", "Block", "text"),
        Column("share", "Fused / its peak", "share"),
        Column("fused_bytes", "Fused"),
        Column("unfused_bytes", "Unfused", importance=1),
        Column("eager_bytes", "PyTorch eager", importance=2),
    )
    eager = peaks.eager.blocks if peaks.eager else (None,) * len(graph.blocks)
    rows = tuple(
        (block, fused / peaks.fused.bytes, fused, unfused, eager_bytes)
        for block, fused, unfused, eager_bytes in zip(
            graph.block_names, peaks.fused.blocks, peaks.unfused.blocks, eager, strict=True
        )
    )
    return Sheet("Most live bytes in each block", columns, rows)


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


def arena_sheet(graph: Graph, arena: Arena) -> Sheet:
    """Return offset, size and lifetime of each tensor in the arena."""
    columns = (
        Column("tensor", "Output of", "text"),
        Column("offset", "Offset"),
        Column("bytes", "Bytes"),
        Column("first", "First layer", "text", importance=2),
        Column("last", "Last layer", "text", importance=1),
    )
    names = [layer.name for layer in graph.layers]
    rows = tuple((p.tensor, p.offset, p.bytes, names[p.first], names[p.last]) for p in arena.placements)
    title = f"Arena of {arena.bytes:,} bytes (lower bound {arena.lower_bound:,}), greedy by size"
    return Sheet(title, columns, rows)


def fit_sheets(graph: Graph, arena: Arena, fit: Fit, planned: Sequence[Fits]) -> tuple[Sheet, ...]:
    """Return the verdict on a memory budget, for the runtimes' plans if there are any, and for ours."""
    ours = Fits("mnv3prof, fused", arena.bytes, fit.fits)
    runtimes = (_plans_fit_sheet(graph, fit.budget, (ours, *planned)),) if planned else ()
    return (*runtimes, _fit_sheet(graph, arena, fit))


def _size(size: int) -> str:
    """Write a budget in KiB or MiB and in bytes, since 256KB is ambiguous."""
    return f"{format_value(size, 'bytes')} ({size:,} bytes)" if size >= 1024 else f"{size} bytes"


def _plans_fit_sheet(graph: Graph, budget: int, fits: Sequence[Fits]) -> Sheet:
    columns = (
        Column("planner", "Planned by", "text"),
        Column("bytes", "Arena", "bytes"),
        Column("left", "Left", "bytes"),
        Column("fits", "Verdict", "text"),
    )
    verdicts = {True: "fits", False: "does not fit", None: "unknown"}
    rows = tuple(
        (one.planner, one.bytes, None if one.bytes is None else budget - one.bytes, verdicts[one.fits])
        for one in fits
    )
    bad = [n for n, one in enumerate(fits) if not one.fits]
    where = join_words(
        [f"{verdicts[fits[n].fits]} with the plan of {fits[n].planner}" for n in bad] or ["fits"]
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
    arenas = f"the fused arena of {arena.bytes:,} bytes"
    if fit.fits:
        left = fit.budget - arena.bytes
        return Sheet(f"{name} fits: {arenas} leaves {left:,} of {budget}", (), ())
    title = f"{name} does not fit: {arenas} is {arena.bytes - fit.budget:,} over {budget}"
    if rows:
        return Sheet(title, columns, rows, highlighted=frozenset(range(len(rows))))
    reason = (
        f"No single block exceeds it: the arena is {arena.bytes - arena.lower_bound:,} bytes above the lower "
        "bound."
    )
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
