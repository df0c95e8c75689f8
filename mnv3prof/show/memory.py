"""The sheets of `memory`: the peaks, where they are, what is alive there, and the planned arena."""

from collections.abc import Sequence
from typing import Final

from ..cost.counts import Dtype
from ..cost.memory import Arena, Fit, Fits, Peak, Peaks
from ..graph.graph import Graph
from ..render.sheet import Column, Sheet, words, written
from .costs import titled

EAGER: Final = "eager peak"
LIVENESS: Final = "graph liveness"
FOLDED: Final = "folded"

_MEANING: Final = {
    EAGER: "what PyTorch eager holds: each open module call keeps its input",
    LIVENESS: "every operation writes a buffer of its own, kept until its last reader",
    FOLDED: "batch norm and activation folded into the layer that feeds them",
}


def summary_sheet(
    graph: Graph, peaks: Peaks, arena: Arena, weight_bytes: int, dtype: Dtype, batch: int, *, image: bool
) -> Sheet:
    """Every figure in bytes, and where its worst moment is."""
    columns = (
        Column("what", "Memory", "text"),
        Column("bytes", "Bytes"),
        Column("size", "Size", "bytes", importance=1),
        Column("block", "Peak in", "text", importance=2),
        Column("layer", "at layer", "text", importance=3),
        Column("meaning", "Meaning", "text", importance=4),
    )
    rows: list[tuple[object, ...]] = []
    for name, peak in _named(peaks):
        if peak is None:
            rows.append((name, None, None, None, None, "PyTorch eager does not run int8"))
        else:
            rows.append((name, peak.bytes, peak.bytes, peak.block, peak.layer, _MEANING[name]))
    sums = (
        ("planned arena", arena.bytes, "one buffer for the folded network, placed greedily by size"),
        ("its lower bound", arena.lower_bound, "no placement needs fewer bytes"),
        ("naive sum", arena.naive_bytes, "every folded tensor a buffer of its own"),
        ("weights", weight_bytes, "deployed: convolution and linear weights, one bias a channel"),
    )
    rows += [(name, value, value, None, None, meaning) for name, value, meaning in sums]
    images = f"batch {batch}" if batch > 1 else "one image"
    counted = "the input image counts" if image else "the input image does not count (but in eager)"
    notes = (f"Activations for {images} at {dtype}; {counted}. KiB = 1,024 bytes.",)
    return Sheet(titled(graph, "memory"), columns, tuple(rows), notes=notes)


def blocks_sheet(graph: Graph, peaks: Peaks) -> Sheet:
    """The most bytes alive while each block runs, by each definition."""
    columns = (
        Column("block", "Block", "text"),
        Column("share", "Folded / its peak", "share"),
        Column("folded_bytes", "Folded"),
        Column("liveness_bytes", "Liveness", importance=1),
        Column("eager_bytes", "Eager", importance=2),
    )
    eager = peaks.eager.blocks if peaks.eager else (None,) * len(graph.blocks)
    rows = tuple(
        (block, folded / peaks.folded.bytes, folded, live, held)
        for block, folded, live, held in zip(
            graph.block_names, peaks.folded.blocks, peaks.liveness.blocks, eager, strict=True
        )
    )
    return Sheet("Most bytes alive while each block runs", columns, rows)


def alive_sheet(peaks: Peaks) -> Sheet:
    """The tensors alive at each definition's worst moment."""
    columns = (
        Column("definition", "Peak", "text"),
        Column("tensor", "Alive there: output of", "text"),
        Column("bytes", "Bytes"),
        Column("size", "Size", "bytes", importance=1),
    )
    rows = tuple(
        (name, tensor, size, size)
        for name, peak in _named(peaks)
        if peak is not None
        for tensor, size in peak.alive
    )
    return Sheet("What is alive at the peaks", columns, rows)


def arena_sheet(graph: Graph, arena: Arena) -> Sheet:
    """Where each tensor lies in the arena, and from which layer to which it lives."""
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
    """The verdict on a budget: of each runtime's plan, if there are any, and of the folded arena."""
    ours = Fits("mnv3prof, folded", arena.bytes, fit.fits)
    runtimes = (_plans_fit_sheet(graph, fit.budget, (ours, *planned)),) if planned else ()
    return (*runtimes, _fit_sheet(graph, arena, fit))


def _size(size: int) -> str:
    """A budget in both of its forms, so that it is clear what 256KB was taken for."""
    return f"{written(size, 'bytes')} ({size:,} bytes)" if size >= 1024 else f"{size} bytes"


def _plans_fit_sheet(graph: Graph, budget: int, found: Sequence[Fits]) -> Sheet:
    columns = (
        Column("planner", "Planned by", "text"), Column("bytes", "Arena", "bytes"),
        Column("left", "Left", "bytes"), Column("fits", "Verdict", "text"),
    )  # fmt: skip
    verdicts = {True: "fits", False: "does not fit", None: "not known"}
    rows = tuple(
        (one.planner, one.bytes, None if one.bytes is None else budget - one.bytes, verdicts[one.fits])
        for one in found
    )
    bad = [n for n, one in enumerate(found) if not one.fits]
    where = words([f"{verdicts[found[n].fits]} as {found[n].planner} plans it" for n in bad] or ["fits"])
    notes = tuple(f"{one.planner}: {one.reason}." for one in found if one.reason)
    title = f"{graph.name} in {_size(budget)}: {where}"
    return Sheet(title, columns, rows, notes=notes, alarms=frozenset(bad))


def _fit_sheet(graph: Graph, arena: Arena, fit: Fit) -> Sheet:
    columns = (
        Column("block", "Block", "text"),
        Column("alive_bytes", "Alive"),
        Column("excess_bytes", "Must shrink by"),
        Column("excess", "", "bytes", importance=1),
    )
    rows = tuple((b.block, b.alive_bytes, b.excess_bytes, b.excess_bytes) for b in fit.blocks)
    name, budget = graph.name, _size(fit.budget)
    arenas = f"the folded arena of {arena.bytes:,} bytes"
    if fit.fits:
        left = fit.budget - arena.bytes
        return Sheet(f"{name} fits: {arenas} leaves {left:,} of {budget}", (), ())
    title = f"{name} does not fit: {arenas} is {arena.bytes - fit.budget:,} over {budget}"
    if rows:
        return Sheet(title, columns, rows, alarms=frozenset(range(len(rows))))
    reason = (
        f"No block alone is over: placement costs {arena.bytes - arena.lower_bound:,} bytes beyond the bound."
    )
    return Sheet(title, (), (), notes=(reason,))


def _named(peaks: Peaks) -> Sequence[tuple[str, Peak | None]]:
    return (EAGER, peaks.eager), (LIVENESS, peaks.liveness), (FOLDED, peaks.folded)
