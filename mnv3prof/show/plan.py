"""Sheets of the arenas that runtimes plan, compared with ours."""

from collections.abc import Sequence
from typing import Final

from ..analysis.plans import differences
from ..cost.memory import Arena
from ..record.plan import RuntimePlan
from ..render.sheet import Column, Sheet

_MOST: Final = 12


def plan_sheets(plans: Sequence[RuntimePlan], ours: Arena) -> tuple[Sheet, ...]:
    """Return the runtimes' arenas and ours, then the tensors that differ; nothing without plans."""
    if not plans:
        return ()
    return (_arenas(plans, ours), *(_tensors(plan, ours) for plan in plans if plan.bytes))


def _arenas(plans: Sequence[RuntimePlan], ours: Arena) -> Sheet:
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


def _tensors(plan: RuntimePlan, ours: Arena) -> Sheet:
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
        for d in differing[:_MOST]
    )
    left = len(differing) - len(rows)
    note = (
        "Tensors of the whole inference, not of one moment. A runtime has more of one size if it does not "
        "fuse a batch norm or activation, changes the layout, or pads."
    )
    more = (f"Smaller differences that are not shown: {left}.",) if left > 0 else ()
    title = f"Different numbers of tensors in {plan.backend}"
    return Sheet(title, columns, rows, notes=(note, *more))
