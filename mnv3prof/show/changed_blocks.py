"""The blocks that changed most, for a comment on a pull request."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ..budgets.diff import Diff, FigureChange, TimeChange
from ..graph.parts import identical_blocks
from ..record.timing import Timing
from ..render.sheet import Column, Sheet, format_value
from .diff import targets_of_change
from .headlines import CLEAR, totals_of

_COSTS: Final = ("macs", "params", "flops")


class _Block(NamedTuple):
    """A block before and after.

    time: the change of its latency on one target, if it was measured in both runs. size: of the change, as
    the largest share of the network's MACs, parameters, FLOPs or, if it is clear, latency.
    """

    name: str
    costs: dict[str, FigureChange]
    time: TimeChange | None
    size: float

    @property
    def differs(self) -> bool:
        """True if its costs changed, or if it is clearly faster or slower."""
        return self.costs_differ(_COSTS) or (self.time is not None and self.time.change.verdict in CLEAR)

    def costs_differ(self, names: Sequence[str]) -> bool:
        """Return True if one of these costs changed."""
        return any(self.costs[name].differs for name in names)


def changed_blocks_sheet(diff: Diff, target: TimeChange | None, most: int) -> Sheet:
    """Return at most `most` blocks, those with the largest changes first.

    target: a change on the target whose latencies are shown.
    """
    blocks = _blocks(diff, target)
    changed = sorted((each for each in blocks if each.differs), key=lambda each: -each.size)
    timed = target is not None and any(each.time for each in blocks)
    if not changed:
        also = ", and none is clearly faster or slower" if timed else ""
        return Sheet(f"No block has other MACs, FLOPs or parameters{also}.", (), (), heading=False)
    shown = changed[:most]
    names = ["macs", "params"]
    if any(each.costs["flops"].differs and not each.costs_differ(names) for each in shown):
        names.insert(1, "flops")
    titles = {"macs": "MACs", "flops": "FLOPs", "params": "Parameters"}
    columns = [Column("block", "Block", "text"), *(Column(name, titles[name], "figure") for name in names)]
    rows: list[tuple[str | None, ...]] = [
        (each.name, *(_arrow(each.costs[name]) for name in names)) for each in shown
    ]
    if timed and target:
        columns.append(Column("latency", f"Latency, {targets_of_change(target)[0]}", "text"))
        rows = [
            (*row, each.time.change.described if each.time else None)
            for row, each in zip(rows, shown, strict=True)
        ]
    return Sheet(_counted(len(changed), len(shown)), tuple(columns), tuple(rows), heading=False)


def _counted(changed: int, shown: int) -> str:
    title = f"{changed} block{'s' if changed > 1 else ''} changed"
    left = changed - shown
    return f"{title}: the {shown} largest changes, and {left} more in the details" if left else title


def _arrow(figure: FigureChange) -> str:
    return " → ".join(dict.fromkeys(format_value(value, "count") for value in (figure.old, figure.new)))


def _blocks(diff: Diff, target: TimeChange | None) -> list[_Block]:
    """Return the main network's blocks in order."""
    costs: dict[str, dict[str, FigureChange]] = {}
    for each in diff.figures:
        if each.block and not each.variant and each.name in _COSTS:
            costs.setdefault(each.block, {})[each.name] = each
    totals, times = totals_of(diff), _times(diff, target)
    slowest = max((_seconds(each.old) for each in times.values()), default=0.0)  # the network, if measured
    same = [identical_blocks(side.subject.graph) for side in (diff.old, diff.new)]
    blocks = []
    for name, of in costs.items():
        old, new = of["macs"].old_block or "", of["macs"].new_block or ""
        time = times.get((same[0].get(old, ""), same[1].get(new, "")))
        shares = [_share(each, totals[each.name]) for each in of.values()]
        if slowest and time and time.change.verdict in CLEAR:
            shares.append(abs(_seconds(time.new) - _seconds(time.old)) / slowest)
        blocks.append(_Block(name, of, time, max(shares)))
    return blocks


def _share(block: FigureChange, whole: FigureChange) -> float:
    return abs((block.new or 0) - (block.old or 0)) / max(whole.old or 0, whole.new or 0, 1)


def _seconds(timing: Timing | None) -> float:
    return (timing.per_image if timing else None) or 0.0


def _times(diff: Diff, like: TimeChange | None) -> dict[tuple[str, str], TimeChange]:
    """Return the changes on the target of another one, by the parts that were measured before and after."""
    if like is None or like.old is None or like.new is None:
        return {}
    wanted = like.old.target, like.new.target
    return {
        (each.old.part, each.new.part): each
        for each in diff.times
        if not each.variant and each.old and each.new and (each.old.target, each.new.target) == wanted
    }
