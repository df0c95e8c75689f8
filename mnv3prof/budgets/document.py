"""JSON documents of `diff`, `check`, `fit` and `spaces`."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import asdict

from ..cost.counts import Dtype
from ..record.document import network_fields, summary_document
from ..record.run import SCHEMA
from ..record.timing import Timing
from ..space.counting import Within
from ..space.space import Context, Space
from .choosing import Fit
from .diff import Diff, FigureChange, TimeChange
from .figures import Side
from .judge import Judgment
from .limits import Budget


def diff_document(diff: Diff) -> dict[str, Any]:
    """Return both networks, the changes of their metrics, and the changes of their latencies."""
    return {
        "schema": SCHEMA,
        "old": _found(diff.old),
        "new": _found(diff.new),
        "notes": diff.notes,
        "totals": [_figure_change(each) for each in diff.figures if not each.block],
        "blocks": [_figure_change(each) for each in diff.figures if each.block and each.differs],
        "times": [_time_change(each) for each in diff.times],
    }


def gate_document(checked: Side, baseline: Side | None, judged: Sequence[Judgment]) -> dict[str, Any]:
    """Return what was checked, and the verdict on each budget with limit, value and margin."""
    return {
        "schema": SCHEMA,
        "checked": _found(checked),
        "baseline": baseline and _found(baseline),
        "passed": all(each.breach != "error" for each in judged),
        "verdicts": [
            {
                **asdict(each),
                "budget": each.budget.name,
                "written": each.budget.written,
                "level": each.budget.level,
                "margin": each.margin,
                "breach": each.breach,
            }
            for each in judged
        ],
    }


def _found(found: Side) -> dict[str, Any]:
    run = found.run
    when = {"created": run.created, "hosts": run.hosts} if run else {}
    return {
        "source": found.source,
        **network_fields(found.subject),
        "dtype": found.dtype,
        "batch": found.batch,
        **when,
    }


def _figure_change(each: FigureChange) -> dict[str, Any]:
    place = {"block": each.new_block, "old_block": each.old_block} if each.block else {}
    return {
        "variant": each.variant,
        "figure": each.name,
        **place,
        "unit": each.unit,
        "old": each.old,
        "new": each.new,
        "ratio": each.new / each.old if each.old and each.new is not None else None,
    }


def _time_change(each: TimeChange) -> dict[str, Any]:
    return {
        "variant": each.variant,
        "part": each.part,
        "old_part": each.counterpart,
        "old": _time(each.old),
        "new": _time(each.new),
        **asdict(each.change),
    }


def _time(timing: Timing | None) -> dict[str, Any] | None:
    if timing is None:
        return None
    return {
        "part": timing.part,
        "target": timing.target,
        "status": timing.status,
        "seconds": timing.seconds,
        "seconds_per_image": timing.per_image,
        "summary": summary_document(timing),
    }


def fit_document(fit: Fit) -> dict[str, Any]:
    """Return the largest networks with their tables. Numbers beyond 64 bits are text."""
    return {
        "schema": SCHEMA,
        "space": fit.name,
        "size": str(fit.size),
        "dtype": fit.dtype,
        "maximize": fit.maximize,
        "budgets": _limits(fit.budgets),
        "proven": fit.proven,
        "bound": fit.bound,
        "gap": fit.gap,
        "complete": fit.complete,
        "held_out": msgspec.to_builtins(fit.held_out),
        "networks": [
            {
                "source": found.source,
                "width": found.width,
                "figures": found.figures,
                "estimates": found.estimates,
                "top1": found.top1,
                **network_fields(found.subject),
            }
            for found in fit.networks
        ],
    }


def spaces_document(
    space: Space, dtype: Dtype, budgets: Sequence[Budget], counted: Iterable[tuple[Context, Within]]
) -> dict[str, Any]:
    """Return how many networks of each context fit. Numbers beyond 64 bits are text."""
    return {
        "schema": SCHEMA,
        "space": space.name,
        "size": str(space.size),
        "dtype": dtype,
        "budgets": _limits(budgets),
        "contexts": [
            {
                "width": context.width,
                "input": context.input,
                **{key: msgspec.to_builtins(value) for key, value in context.outer},
                "networks": str(each.networks),
                "fit": str(each.fit),
                "share": each.share,
                "error": each.error,
                "mean_macs": None if each.mean is None else float(each.mean),
            }
            for context, each in counted
        ],
    }


def _limits(budgets: Iterable[Budget]) -> dict[str, Any]:
    lowest = sorted(budgets, key=lambda budget: budget.limit or 0, reverse=True)
    return {budget.name: budget.limit for budget in lowest}
