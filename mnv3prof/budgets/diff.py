"""Compare two networks or runs: metrics per block and in total, and latencies."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from ..analysis.compare import Change, compare
from ..graph.align import aligned, joined
from ..graph.parts import NET
from ..record.run import Run
from ..record.target import Target, named_field, paired
from ..record.timing import Timing
from .figures import NAMES, Figure, Side, Unit, figures, targets_of, timings_by_part


class FigureChange(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of two aligned blocks (or of the network: "") before and after; None if missing."""

    variant: str
    name: str
    unit: Unit
    old_block: str | None
    new_block: str | None
    old: int | None
    new: int | None

    @property
    def block(self) -> str:
        """The block's name, or both if they differ: "12", "12 → 7", "12 → –"."""
        return " → ".join(dict.fromkeys("–" if n is None else n for n in (self.old_block, self.new_block)))

    @property
    def differs(self) -> bool:
        """True if the value changed."""
        return self.old != self.new


class TimeChange(msgspec.Struct, frozen=True, kw_only=True):
    """A part's latency before and after; a timing is None if it was not measured.

    part, counterpart: the part's name in the new and in the old network.
    """

    variant: str
    part: str
    counterpart: str
    old: Timing | None
    new: Timing | None
    change: Change


class Diff(msgspec.Struct, frozen=True):
    """All compared metrics and latencies, changed or not. notes: other differences.

    >>> figure = mnv3prof.diff("large", "small").figures[0]
    >>> figure.name, figure.old, figure.new
    ('macs', 216589760, 56510400)
    """

    old: Side
    new: Side
    figures: tuple[FigureChange, ...]
    times: tuple[TimeChange, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        changed = sum(each.differs for each in self.figures)
        counts = f"{changed} metrics changed, {len(self.times)} times"
        return f"Diff({self.old.source!r}, {self.new.source!r}, {counts})"


def diff(old: Side, new: Side) -> Diff:
    """Compare `old` with `new`: the network, and the variants that both have.

    Bytes are for a dtype and batch that both were measured with, else for the first of each.
    """
    size = next((each for each in new.sizes if each in old.sizes), None)
    if size:
        old, new = (replace(each, dtype=size[0], batch=size[1]) for each in (old, new))
    shared = [name for name in old.subjects if name in new.subjects]
    times = tuple(each for name in shared for each in _times(old, new, name))
    return Diff(
        old,
        new,
        tuple(each for name in shared for each in _figures(old, new, name)),
        times,
        tuple(_notes(old, new, times)),
    )


def _figures(old: Side, new: Side, variant: str) -> Iterator[FigureChange]:
    graphs = [each.subjects[variant].graph for each in (old, new)]
    before = figures(graphs[0], old.dtype, old.batch)
    after = figures(graphs[1], new.dtype, new.batch)
    for name in NAMES:
        a, b = before[name], after[name]
        yield FigureChange(
            variant=variant, name=name, unit=a.unit, old_block="", new_block="", old=a.value, new=b.value
        )
        if name != "arena":  # its blocks are equal to those of peak.fused
            yield from _blocks(variant, name, a, b, joined(graphs))


def _blocks(
    variant: str, name: str, old: Figure, new: Figure, rows: Sequence[tuple[str | None, ...]]
) -> Iterator[FigureChange]:
    for before, after in rows:
        yield FigureChange(
            variant=variant,
            name=name,
            unit=old.unit,
            old_block=before,
            new_block=after,
            old=old.blocks.get(before or ""),
            new=new.blocks.get(after or ""),
        )


def _times(old: Side, new: Side, variant: str) -> Iterator[TimeChange]:
    """Compare the latencies of the parts that both networks have."""
    if old.run is None or new.run is None:
        return
    before, after = timings_by_part(old.run, variant), timings_by_part(new.run, variant)
    pairs = paired(targets_of(old.run, variant), targets_of(new.run, variant)).pairs
    seen = set()
    for part, counterpart in _counterparts(old, new, variant).items():
        for a, b in _pairs(before.get(counterpart, []), after.get(part, []), pairs):
            if (id(a), id(b)) in seen:  # of an identical part
                continue
            seen.add((id(a), id(b)))
            change = _change(a, b, old.run, new.run)
            yield TimeChange(variant=variant, part=part, counterpart=counterpart, old=a, new=b, change=change)


def _counterparts(old: Side, new: Side, variant: str) -> dict[str, str]:
    """Map each part of the new network to its counterpart in the old one.

    Blocks are aligned; modules have the same path; the whole network is compared with the whole network.
    """
    timed = [timings_by_part(each.run, variant) if each.run else {} for each in (old, new)]
    graphs = [each.subjects[variant].graph for each in (old, new)]
    blocks = {name for graph in graphs for name in graph.block_names}
    modules = {part: part for part in timed[1] if part in timed[0] and part not in blocks}
    return {**aligned(*graphs), NET: NET, **modules}


def _pairs(
    old: list[Timing], new: list[Timing], pairs: Mapping[Target, Target]
) -> Iterator[tuple[Timing | None, Timing | None]]:
    """Pair the timings of one part by target; then yield those of the old run without a pair."""
    before = {timing.target: timing for timing in old}
    for timing in new:
        yield before.pop(pairs[timing.target], None) if timing.target in pairs else None, timing
    yield from ((timing, None) for timing in before.values())


def _change(old: Timing | None, new: Timing | None, before: Run, after: Run) -> Change:
    if old is None or new is None:
        return Change("not comparable", reason=f"not in the {'old' if old is None else 'new'} run")
    return compare(old, new, before, after)


def _notes(old: Side, new: Side, times: Sequence[TimeChange]) -> Iterator[str]:
    for each in (old, new):
        graph = each.subject.graph
        unpriced = {layer.op: None for layer in graph.layers if layer.operation.flops is None}
        if unpriced:
            uncounted = any(not layer.macs for layer in graph.layers if layer.op in unpriced)
            which = "MACs and FLOPs" if uncounted else "FLOPs"
            yield f"{each.source}: no price is known for {', '.join(unpriced)}. {which} are lower bounds."
    if old.subject.graph.size != new.subject.graph.size:
        sizes = [each.subject.graph.size for each in (old, new)]
        yield f"The input is {sizes[0]} in the old network and {sizes[1]} in the new one."
    if (old.dtype, old.batch) == (new.dtype, new.batch):
        images = "; MACs and FLOPs are per image" if new.batch > 1 else ""
        yield f"Bytes are for {new.dtype}, batch {new.batch}{images}."
    else:
        yield (
            f"Bytes are for {old.dtype}, batch {old.batch} in the old network "
            f"and for {new.dtype}, batch {new.batch} in the new one."
        )
    for name in [*old.subjects, *new.subjects]:
        if (name in old.subjects) != (name in new.subjects):
            yield f"The variant {name} is only in the {'old' if name in old.subjects else 'new'} run."
    if old.run and new.run:
        if any(each.change.verdict != "not comparable" for each in times):
            yield from _target_notes(old.run, new.run)
        yield from _alignment_notes(old, new)
        yield from _host_notes(old.run, new.run)


def _target_notes(old: Run, new: Run) -> Iterator[str]:
    """Name the fields of the targets that differ between compared latencies."""
    for field in paired(targets_of(old), targets_of(new)).differing:
        a, b = (named_field(run.targets[0], field) for run in (old, new))
        how = ", per image" if field == "batch" else ""
        yield f"Times for {a} in the old run are compared with times for {b} in the new run{how}."


def _alignment_notes(old: Side, new: Side) -> Iterator[str]:
    """Name the measured parts without a counterpart in the other network."""
    for variant in [name for name in old.subjects if name in new.subjects]:
        parts = _counterparts(old, new, variant)
        for which, side, compared in (("old", old, parts.values()), ("new", new, parts.keys())):
            timed = timings_by_part(side.run, variant) if side.run else {}
            alone = [part for part, timings in timed.items() if timings and part not in compared]
            if alone:
                of = f"the {which} network" + (f" {variant}" if variant else "")
                yield f"Parts of {of} without a counterpart are not compared: {', '.join(alone)}."


def _host_notes(old: Run, new: Run) -> Iterator[str]:
    for device in [name for name in old.hosts if name in new.hosts]:
        a, b = old.hosts[device], new.hosts[device]
        versions = {"python": (a.python, b.python), "system": (a.os, b.os)}
        versions |= {k: (a.versions[k], b.versions[k]) for k in a.versions if k in b.versions}
        changed = [f"{name} {x} → {y}" for name, (x, y) in versions.items() if x != y]
        if changed:
            yield f"Versions changed{f' on {device}' if device else ''}: {', '.join(changed)}."
