"""The sheets of `memory --on`: the arenas that runtimes planned, beside ours."""

from collections.abc import Sequence
from typing import Final

from ..analysis.plans import differences
from ..cost.memory import Arena
from ..record.plan import RuntimePlan
from ..render.sheet import Column, Sheet

_MOST: Final = 12


def plan_sheets(plans: Sequence[RuntimePlan], ours: Arena) -> tuple[Sheet, ...]:
    """Every runtime's arena beside ours, then of each the tensors that explain the difference; none for
    no plans.
    """
    if not plans:
        return ()
    return (_arenas(plans, ours), *(_tensors(plan, ours) for plan in plans if plan.bytes))


def _arenas(plans: Sequence[RuntimePlan], ours: Arena) -> Sheet:
    columns = (
        Column("who", "Planned by", "text"), Column("bytes", "Arena", "bytes"),
        Column("ratio", "To ours", "ratio"), Column("tensors", "Tensors"),
    )  # fmt: skip
    rows: list[tuple[object, ...]] = [
        ("lower bound", ours.lower_bound, ours.lower_bound / ours.bytes, None),
        ("mnv3prof, folded", ours.bytes, 1.0, len(ours.placements)),
    ]
    rows += [(p.backend, p.bytes, p.bytes / ours.bytes, len(p.tensors)) for p in plans if p.bytes]
    notes = tuple(f"{plan.backend}: {plan.reason}." for plan in plans if plan.reason)
    return Sheet(
        "The arena as the runtimes plan it for their own operators", columns, tuple(rows), notes=notes
    )


def _tensors(plan: RuntimePlan, ours: Arena) -> Sheet:
    columns = (
        Column("shape", "Their shape", "shape"), Column("bytes", "Each", "bytes"),
        Column("theirs", f"In {plan.backend}"), Column("ours", "In ours"),
        Column("excess", "More there", "bytes"), Column("example", "Such a tensor of ours", "text"),
    )  # fmt: skip
    found = differences(plan, ours)
    rows = tuple(
        (d.shape or None, d.bytes, d.theirs, d.ours, (d.theirs - d.ours) * d.bytes, d.example or None)
        for d in found[:_MOST]
    )
    left = len(found) - len(rows)
    note = (
        "Tensors over the whole run, not at one moment. More of one size: an operator of its own where ours "
        "is folded into the one before (batch norm, activation), a change of layout, or padding."
    )
    more = (f"{left} smaller differences are left out.",) if left > 0 else ()
    title = f"Tensors that {plan.backend} has more or fewer of"
    return Sheet(title, columns, rows, notes=(note, *more))
