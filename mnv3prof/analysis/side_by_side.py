"""Several views' times of the whole network, each target's beside the one that it is compared with."""

from collections.abc import Sequence
from typing import NamedTuple

from ..record.run import NET
from ..record.target import Target, compared_fields, key_of, labels
from ..record.timing import Timing
from .change import other_machine, without_times
from .view import View

_Row = list[Target | None]


class Compared(NamedTuple):
    """The times of the whole network per image, one in each view. names: the target in each, "" for none.

    ratios: of each view but the first to the first; None where they cannot be compared. reasons: why not.
    """

    names: list[str]
    times: list[float | None]
    ratios: list[float | None]
    reasons: list[str]

    @property
    def label(self) -> str:
        """The one target, or that of each view where they differ."""
        known = list(filter(None, self.names))
        return known[0] if len(set(known)) == 1 else " → ".join(name or "–" for name in self.names)


def compared_times(seen: Sequence[View]) -> list[Compared]:
    """Return the times that belong together: those of the first view's targets, then of others."""
    rows = _rows([view.grid.targets for view in seen])
    names = labels((target for view in seen for target in view.grid.targets), with_backend=True)
    return [
        _compared(seen, row, [names[t] if t else "" for t in row]) for row in rows if any(_whole(seen, row))
    ]


def _rows(targets: Sequence[Sequence[Target]]) -> list[_Row]:
    """Put together the targets that are compared, with one view's or none in each place.

    They are the same in all views, but for the fields that are compared (record.target.compared_fields).
    """
    compared = compared_fields(targets)
    rows: dict[tuple[object, ...], _Row] = {}
    for n, known in enumerate(targets):
        for target in known:
            rows.setdefault(key_of(target, compared), [None] * len(targets))[n] = target
    return list(rows.values())


def _compared(seen: Sequence[View], row: _Row, names: list[str]) -> Compared:
    whole = _whole(seen, row)
    times = [timing.per_image if timing else None for timing in whole]
    pairs = zip(whole[1:], seen[1:], strict=True)
    reasons = [_apart(whole[0], timing, seen[0], view) for timing, view in pairs]
    ratios = [
        time / times[0] if times[0] and time and not reason else None
        for time, reason in zip(times[1:], reasons, strict=True)
    ]
    return Compared(names, times, ratios, list(filter(None, reasons)))


def _whole(seen: Sequence[View], row: _Row) -> list[Timing | None]:
    return [view.timing(NET, target) if target else None for view, target in zip(seen, row, strict=True)]


def _apart(old: Timing | None, new: Timing | None, first: View, view: View) -> str:
    """Why two timings cannot be compared; "" where they can, or where there is only one."""
    return (other_machine(old, new, first.run, view.run) or without_times(old, new)) if old and new else ""
