"""Several views' times of the whole network, each target's beside the one that it is compared with."""

from collections.abc import Sequence
from typing import NamedTuple

from ..record.change import other_machine
from ..record.run import NET
from ..record.target import Target, labels, paired, placed
from ..record.timing import Timing
from .view import View


class Compared(NamedTuple):
    """The times of the whole network per image, one in each view. label: the targets.

    ratios: of each view but the first to the first; None where they cannot be compared, for the reason.
    """

    label: str
    times: list[float | None]
    ratios: list[float | None]
    reason: str


def compared_times(seen: Sequence[View]) -> list[Compared]:
    """Return the times that belong together: those of the first view's targets, then of others."""
    rows = _rows([view.grid.targets for view in seen])
    return [_compared(seen, row) for row in rows if any(_whole(seen, row))]


def _rows(targets: Sequence[Sequence[Target]]) -> list[list[Target | None]]:
    """For each target of the first view the one that every view compares with it; then those left over."""
    pairs = [paired(targets[0], other).pairs for other in targets]
    by_old = [{old: new for new, old in found.items()} for found in pairs]
    rows: list[list[Target | None]] = [[found.get(target) for found in by_old] for target in targets[0]]
    for n, others in enumerate(targets):
        alone = [target for target in others if target not in pairs[n]]
        rows += [[target if place == n else None for place in range(len(targets))] for target in alone]
    return rows


def _compared(seen: Sequence[View], row: Sequence[Target | None]) -> Compared:
    whole = _whole(seen, row)
    times = [timing.per_image if timing else None for timing in whole]
    pairs = zip(whole[1:], seen[1:], strict=True)
    reasons = [_apart(whole[0], timing, seen[0], view) for timing, view in pairs]
    ratios = [
        time / times[0] if times[0] and time and not reason else None
        for time, reason in zip(times[1:], reasons, strict=True)
    ]
    called = labels(target for view in seen for target in view.grid.targets)
    names = dict.fromkeys(placed(target, called[target]) for target in row if target)
    return Compared(" → ".join(names), times, ratios, next(filter(None, reasons), ""))


def _whole(seen: Sequence[View], row: Sequence[Target | None]) -> list[Timing | None]:
    return [view.timing(NET, target) if target else None for view, target in zip(seen, row, strict=True)]


def _apart(old: Timing | None, new: Timing | None, first: View, view: View) -> str:
    """Why two timings cannot be compared; "" where they can, or where there is only one."""
    return other_machine(old, new, first.run, view.run) if old and new else ""
