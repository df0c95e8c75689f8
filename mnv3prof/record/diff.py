"""What changed from one network or run to another: every figure by block and in total, every time."""

from collections.abc import Iterator

import msgspec

from .change import Change, change, other_machine
from .figures import NAMES, Figure, Found, Unit, figures, timings_of
from .run import Host, Run, Timing


class FigureChange(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a block (or, "", of the network) before and after; None where there is none."""

    variant: str
    name: str
    unit: Unit
    block: str
    old: int | None
    new: int | None

    @property
    def differs(self) -> bool:
        """Whether it changed."""
        return self.old != self.new


class TimeChange(msgspec.Struct, frozen=True, kw_only=True):
    """A part's time on a backend before and after; the timing is None where it was not measured."""

    variant: str
    part: str
    backend: str
    old: Timing | None
    new: Timing | None
    change: Change


class Diff(msgspec.Struct, frozen=True):
    """Everything that was compared, changed or not; `notes` say what else differs."""

    old: Found
    new: Found
    figures: tuple[FigureChange, ...]
    times: tuple[TimeChange, ...]
    notes: tuple[str, ...]


def diff(old: Found, new: Found) -> Diff:
    """From `old` to `new`: the network, and the variants that both have."""
    shared = [name for name in old.subjects if name in new.subjects]
    return Diff(
        old, new,
        tuple(each for name in shared for each in _figures(old, new, name)),
        tuple(each for name in shared for each in _times(old, new, name)),
        tuple(_notes(old, new)),
    )  # fmt: skip


def _figures(old: Found, new: Found, variant: str) -> Iterator[FigureChange]:
    before = figures(old.subjects[variant].graph, old.dtype, old.batch)
    after = figures(new.subjects[variant].graph, new.dtype, new.batch)
    for name in NAMES:
        a, b = before[name], after[name]
        yield FigureChange(variant=variant, name=name, unit=a.unit, block="", old=a.value, new=b.value)
        if name != "arena":  # its blocks are those of peak.folded
            yield from _blocks(variant, name, a, b)


def _blocks(variant: str, name: str, old: Figure, new: Figure) -> Iterator[FigureChange]:
    for block in _in_order([*old.blocks], [*new.blocks]):
        yield FigureChange(
            variant=variant, name=name, unit=old.unit, block=block,
            old=old.blocks.get(block), new=new.blocks.get(block),
        )  # fmt: skip


def _in_order(old: list[str], new: list[str]) -> list[str]:
    """The blocks of both, those of the longer network in its order."""
    longer, shorter = (new, old) if len(new) >= len(old) else (old, new)
    return list(dict.fromkeys([*longer, *shorter]))


def _times(old: Found, new: Found, variant: str) -> Iterator[TimeChange]:
    if old.run is None or new.run is None:
        return
    before, after = timings_of(old.run, variant), timings_of(new.run, variant)
    seen = set()
    for part in _in_order([*before], [*after]):
        for a, b in _pairs(before.get(part, []), after.get(part, [])):
            timing = b or a
            if timing is None or (id(a), id(b)) in seen:  # an identical part's, told already
                continue
            seen.add((id(a), id(b)))
            yield TimeChange(
                variant=variant, part=part, backend=timing.backend, old=a, new=b,
                change=_change(a, b, old.run, new.run),
            )  # fmt: skip


def _pairs(old: list[Timing], new: list[Timing]) -> Iterator[tuple[Timing | None, Timing | None]]:
    """Timings of one part that belong together: those taken alike, then those of the same backend."""
    before = {(t.backend, t.condition): t for t in old}
    after = {(t.backend, t.condition): t for t in new}
    for key in [key for key in after if key in before]:
        yield before.pop(key), after.pop(key)
    for key in [*after]:
        other = next((k for k in before if k[0] == key[0]), None)
        yield (before.pop(other) if other else None), after.pop(key)
    yield from ((timing, None) for timing in before.values())


def _change(old: Timing | None, new: Timing | None, before: Run, after: Run) -> Change:
    if old is None or new is None:
        return Change("not comparable", reason=f"not in the {'old' if old is None else 'new'} run")
    differing = [
        f"{what} {a} and {b}"
        for what, a, b in zip(("type", "batch", "threads"), old.condition, new.condition, strict=True)
        if a != b
    ]
    if differing:
        return Change("not comparable", reason=f"measured differently: {', '.join(differing)}")
    apart = other_machine(before.host, after.host, new.backend)
    return Change("not comparable", reason=apart) if apart else change(old, new)


def _notes(old: Found, new: Found) -> Iterator[str]:
    for each in (old, new):
        graph = each.subject.graph
        unpriced = {op.name: None for op in graph.operations if op.flops is None}
        if unpriced:
            ops = ", ".join(unpriced)
            yield f"{each.source}: no price is known for {ops}: MACs and FLOPs are at least what is shown."
    if old.subject.input != new.subject.input:
        sizes = ["×".join(map(str, each.subject.input)) for each in (old, new)]
        yield f"The input is {sizes[0]} in the old one and {sizes[1]} in the new one."
    if (old.dtype, old.batch) != (new.dtype, new.batch):
        yield (
            f"Bytes are those of {old.dtype}, batch {old.batch} in the old one "
            f"and of {new.dtype}, batch {new.batch} in the new one."
        )
    for name in [*old.subjects, *new.subjects]:
        if (name in old.subjects) != (name in new.subjects):
            yield f"The variant {name} is only in the {'old' if name in old.subjects else 'new'} one."
    if old.run and new.run:
        yield from _host_notes(old.run.host, new.run.host)


def _host_notes(old: Host, new: Host) -> Iterator[str]:
    versions = {"python": (old.python, new.python), "system": (old.os, new.os)}
    versions |= {k: (old.versions[k], new.versions[k]) for k in old.versions if k in new.versions}
    changed = [f"{name} {a} → {b}" for name, (a, b) in versions.items() if a != b]
    if changed:
        yield f"Versions changed: {', '.join(changed)}."
