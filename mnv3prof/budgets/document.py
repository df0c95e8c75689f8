"""JSON documents of `diff` and `check`."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from ..record.document import network_fields, summary_document
from ..record.run import SCHEMA
from ..record.timing import Timing
from .diff import Diff, FigureChange, TimeChange
from .figures import Side
from .judge import Judgement


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


def gate_document(checked: Side, baseline: Side | None, judged: Sequence[Judgement]) -> dict[str, Any]:
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
