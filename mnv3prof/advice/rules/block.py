"""Blocks that another runtime runs faster, or that use far less of the machine than the others."""

from collections.abc import Iterator
from statistics import median
from typing import Final, NamedTuple

from ...analysis.compare import Change
from ...analysis.view import View
from ...record.target import Target
from ...render.numbers import milliseconds
from ...show.sentences import title_of
from ..advice import Advice
from ..command import command
from .runtime import settings

_MOST: Final = 2
"""Maximum number of blocks of a kind."""
_FEW: Final = 0.5
"""A block below this multiple of the others' share of the roofline is said to be inefficient."""


class _Slow(NamedTuple):
    """A block that is faster elsewhere. share: of the latency that this would save, with identical blocks."""

    block: str
    other: Target
    change: Change
    share: float


def advise(view: View) -> Iterator[Advice]:
    """Advise to find out why blocks are slow on the fastest target that ran all of them."""
    target = view.fastest()
    if target is None or not (shares := view.time_shares(target)):
        return
    slow = sorted(_slower(view, target, shares), key=lambda one: -one.share)[:_MOST]
    yield from (_elsewhere(view, target, one) for one in slow)
    named = {one.block for one in slow}
    weak = [pair for pair in _weak(view, target, shares) if pair[0] not in named]
    for block, usual in sorted(weak, key=lambda pair: -_lost(view, target, shares, *pair))[:_MOST]:
        yield _inefficient(view, target, block, usual, _lost(view, target, shares, block, usual))


def _distinct(view: View) -> dict[str, int]:
    """Return the first of each group of identical blocks, with how many there are."""
    firsts = [view.grid.same[block] for block in view.graph.block_names]
    return {block: firsts.count(block) for block in firsts}


def _slower(view: View, target: Target, shares: dict[str, float]) -> Iterator[_Slow]:
    """Yield the blocks that another runtime at the same settings runs faster by more than noise."""
    fields = ("device", "dtype", "batch", "threads")
    others = [
        each
        for each in view.grid.targets
        if each != target and all(getattr(each, field) == getattr(target, field) for field in fields)
    ]
    for block, count in _distinct(view).items():
        changes = {other: view.change(block, target, other) for other in others}
        clear = {o: c for o, c in changes.items() if c.verdict == "faster" and c.ratio is not None}
        if clear:
            other = min(clear, key=lambda each: clear[each].ratio or 1.0)
            ratio = clear[other].ratio or 1.0
            yield _Slow(block, other, clear[other], count * shares[block] * (1 - ratio))


def _elsewhere(view: View, target: Target, slow: _Slow) -> Advice:
    here, there = view.label_of(target), view.label_of(slow.other)
    times = [milliseconds(view.seconds(slow.block, each) or 0.0) for each in (target, slow.other)]
    reach = [_reach(view, slow.block, each) for each in (target, slow.other)]
    return Advice(
        f"Find out why {title_of(view, slow.block)} is slow on {here}",
        f"up to {slow.share:.1%} of latency",
        slow.share,
        f"{times[0]}{reach[0]} on {here}, {times[1]}{reach[1]} on {there}: {slow.change}.",
        command(
            view, "latency", "--on", f"{target.place},{slow.other.place}", "--parts", slow.block, "--ops",
            *settings(target),
        ),
    )  # fmt: skip


def _reach(view: View, block: str, target: Target) -> str:
    rate = view.rates(block, target)
    return f" at {rate.of_roofline:.0%} of the roofline" if rate and rate.of_roofline is not None else ""


def _weak(view: View, target: Target, shares: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Yield the blocks far below the others' share of the roofline, with the median of all blocks."""
    found = {block: rate.of_roofline for block in shares if (rate := view.rates(block, target))}
    known = {block: share for block, share in found.items() if share and view.is_clear(block, target)}
    if len(known) < 3:
        return
    usual = median(known.values())
    for block in _distinct(view):
        if block in known and known[block] < _FEW * usual:
            yield block, usual


def _lost(view: View, target: Target, shares: dict[str, float], block: str, usual: float) -> float:
    """Return the share of the latency that a block would save at the usual share of the roofline."""
    rate = view.rates(block, target)
    own = (rate and rate.of_roofline) or usual
    return _distinct(view)[block] * shares[block] * (1 - own / usual)


def _inefficient(view: View, target: Target, block: str, usual: float, lost: float) -> Advice:
    where = view.label_of(target)
    return Advice(
        f"Find out why {title_of(view, block)} is inefficient on {where}",
        f"up to {lost:.1%} of latency",
        lost,
        f"It runs{_reach(view, block, target)}; half of the blocks reach {usual:.0%} or more.",
        command(view, "latency", "--on", target.place, "--parts", block, "--ops", *settings(target)),
    )
