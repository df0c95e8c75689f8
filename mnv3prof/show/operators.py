"""Sheets of operators: what the runtimes' profilers report, joined to our layers."""

from collections.abc import Sequence
from typing import Final

from ..cost.counts import count
from ..record.run import Run
from ..record.target import labels
from ..record.timing import Operator, Timing
from ..render.sheet import Column, Sheet
from .costs import titled
from .order import UNSORTED, Order

_CLOSE = 0.10


_SORTED_BY: Final = ("time", "share", "macs")


def operator_sheets(run: Run, order: Order = UNSORTED) -> tuple[Sheet, ...]:
    """Return a sheet per target and part: operators by layer, then those without a layer.

    order: by time, share or MACs; other metrics are not those of operators.
    """
    groups: dict[tuple[object, ...], list[Operator]] = {}
    for operator in run.operators:
        groups.setdefault(_place(operator), []).append(operator)
    return tuple(_sheet(run, operators, order) for operators in groups.values())


def notes_sheets(run: Run) -> tuple[Sheet, ...]:
    """Return what was not measured, and why."""
    return (Sheet("Not measured", (), (), notes=run.notes),) if run.notes else ()


def _sheet(run: Run, operators: Sequence[Operator], order: Order) -> Sheet:
    first = operators[0]
    timing = _timing_of(first, run)
    graph = run.subjects[first.variant].graph
    macs = {cost.layer: cost.macs for cost in count(graph)}
    total = sum(operator.seconds for operator in operators)
    columns = (
        Column("layer", "Layer", "text"),
        Column("operator", "Operator", "text", importance=2),
        Column("kind", "Kind", "text", importance=1),
        Column("joined", "Joined by", "text", importance=3),
        Column("us", "µs", "number"),
        Column("share", "Share", "share"),
        Column("macs", "MACs", importance=1),
        Column("gmacs", "GMAC/s", "number"),
    )
    place = {layer.name: n for n, layer in enumerate(graph.layers)}
    ordered = sorted(operators, key=lambda operator: place.get(operator.layer, len(place)))
    if order.by not in _SORTED_BY:
        order = Order(top=order.top)
    by_macs = order.by == "macs"
    shown, left = order.of(ordered, lambda o: macs.get(o.layer) if by_macs else o.seconds, "operators")
    rows = tuple(_row(operator, macs.get(operator.layer), total) for operator in shown)
    where = labels(operator.target for operator in run.operators)[first.target]
    title = titled(graph, f"operators of {first.part}, reported by {where}")
    notes = (*left, _joined(operators, total), _accounted(total, timing))
    return Sheet(title, columns, rows, notes=tuple(filter(None, notes)))


def _timing_of(operator: Operator, run: Run) -> Timing | None:
    return next((t for t in run.timings if _place(t) == _place(operator)), None)


def _place(of: Operator | Timing) -> tuple[object, ...]:
    return of.variant, of.target, of.part


def _row(operator: Operator, macs: int | None, total: float) -> tuple[object, ...]:
    share = operator.seconds / total if total else 0.0
    return (
        operator.layer or None,
        _short(operator.name),
        operator.kind[:40],
        operator.joined or "not joined",
        operator.seconds * 1e6,
        share,
        macs,
        _rate(macs, operator),
    )


def _rate(macs: int | None, operator: Operator) -> float | None:
    return operator.target.batch * macs / operator.seconds / 1e9 if macs and operator.seconds else None


def _short(name: str) -> str:
    return name if len(name) <= 48 else f"...{name[-45:]}"


def _joined(operators: Sequence[Operator], total: float) -> str:
    alone = [operator for operator in operators if not operator.joined]
    if not alone:
        return "Every operator was joined to a layer."
    share = sum(operator.seconds for operator in alone) / total if total else 0.0
    return (
        f"{len(alone)} of {len(operators)} operators belong to no layer (e.g. layout changes, parts of an "
        f"activation): {share:.1%} of the time. Fused activations belong to the layer before."
    )


def _accounted(total: float, timing: Timing | None) -> str:
    if timing is None or not timing.seconds:
        return ""
    share = total / timing.seconds
    sentence = (
        f"The operators sum to {total * 1e3:.3f} ms, {share:.1%} of the part's {timing.seconds * 1e3:.3f} ms"
    )
    if abs(share - 1) <= _CLOSE:
        return f"{sentence}."
    if share < 1:
        return f"{sentence}: {1 - share:.1%} is spent between the operators."
    return f"{sentence}: {share - 1:.1%} too much, due to profiling or the resolution of the clock."
