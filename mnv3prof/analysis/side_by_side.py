"""Latency of the whole network in several views, by compared targets."""

from collections.abc import Sequence
from typing import NamedTuple

from ..cost.counts import Dtype
from ..graph.parts import NET
from ..record.target import Target, compared_fields, key_of, labels
from ..record.timing import Timing
from .compare import Change, compare
from .view import View

_Row = list[Target | None]


class Compared(NamedTuple):
    """Latency of the whole network per image in each view; None if not measured.

    targets: in each view, None for none; names: theirs, "" for none. changes: from the first view to each of
    the others; None if one of the two was not measured.
    """

    targets: list[Target | None]
    names: list[str]
    times: list[float | None]
    changes: list[Change | None]

    @property
    def label(self) -> str:
        """The target, or the targets of all views if they differ."""
        known = list(filter(None, self.names))
        return known[0] if len(set(known)) == 1 else " → ".join(name or "–" for name in self.names)


def compared_times(seen: Sequence[View]) -> list[Compared]:
    """Return one row per group of compared targets, those of the first view first."""
    rows = _rows([view.grid.targets for view in seen])
    names = labels((target for view in seen for target in view.grid.targets), with_backend=True)
    return [
        _compared(seen, row, [names[t] if t else "" for t in row]) for row in rows if any(_whole(seen, row))
    ]


def shared_size(seen: Sequence[View]) -> tuple[Dtype, int] | None:
    """Return a dtype and batch that all views were measured at, None without one."""
    return next((size for size in seen[0].sizes if all(size in view.sizes for view in seen)), None)


def _rows(targets: Sequence[Sequence[Target]]) -> list[_Row]:
    """Group the targets that are compared: one of each view, or None.

    They are equal in all views, except in the compared fields (record.target.compared_fields).
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
    first = whole[0]
    changes = [
        compare(first, timing, seen[0].run, view.run) if first and timing else None
        for timing, view in zip(whole[1:], seen[1:], strict=True)
    ]
    return Compared(row, names, times, changes)


def _whole(seen: Sequence[View], row: _Row) -> list[Timing | None]:
    return [view.timing(NET, target) if target else None for view, target in zip(seen, row, strict=True)]
