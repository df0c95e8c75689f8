"""Accuracy on held-out images, and what a dtype costs of it."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from ..analysis.accuracy import SIGNIFICANT, Difference, difference, wilson
from ..record.accuracy import Accuracy
from ..record.run import Run
from ..record.target import Target, labels
from ..render.sheet import Column, Sheet

_TEST: Final = (
    "Interval: Wilson's. Dtypes are compared on the same images by McNemar's exact test: a difference is "
    f"significant if p, the probability of one as large by chance, is below {SIGNIFICANT:g}."
)


def accuracy_sheets(run: Run) -> tuple[Sheet, ...]:
    """Return a sheet with the accuracy of each target; none if none was measured."""
    if not run.accuracies:
        return ()
    several = len({each.variant for each in run.accuracies}) > 1
    columns = (
        *([Column("variant", "Network", "text")] if several else []),
        Column("target", "Target", "text"),
        Column("accuracy", "Accuracy", "percent"),
        Column("low", "95 % interval from", "percent", importance=1),
        Column("high", "to", "percent", importance=1),
        Column("right", "Right", importance=2),
        Column("fp32", "Difference from fp32", "text"),
    )
    names = labels((each.target for each in run.accuracies), with_backend=True)
    rows = tuple(
        (*([each.variant] if several else []), names[each.target], *_row(each, run.accuracies))
        for each in run.accuracies
    )
    images = max(each.images for each in run.accuracies)
    title = f"Accuracy on {images:,} held-out images" if images else "Accuracy on held-out images"
    data = f"The images are of {run.accuracies[0].data}; train held them out." if images else ""
    reasons = dict.fromkeys(f"{names[e.target]}: {e.reason}." for e in run.accuracies if e.reason)
    compared = any(row[-1] for row in rows)
    notes = (*reasons, *filter(None, [data, _TEST if compared else "Interval: Wilson's." if images else ""]))
    return (Sheet(title, columns, rows, notes=notes),)


def _row(accuracy: Accuracy, known: Sequence[Accuracy]) -> tuple[object, ...]:
    if not accuracy.images:
        return (None, None, None, None, "not measured")
    interval = wilson(accuracy.right, accuracy.images)
    base = accuracy_of(replace(accuracy.target, dtype="fp32"), known, accuracy.variant)
    change = difference(base, accuracy) if base and base is not accuracy else None
    return (accuracy.share, *interval, accuracy.right, change and _described(change, accuracy.images))


def _described(change: Difference, images: int) -> str:
    points = 100 * (change.gained - change.lost) / images
    return f"{points:+.1f} points, {_verdict(change)}"


def _verdict(change: Difference) -> str:
    if not change.gained and not change.lost:
        return "the same images are right"
    return f"{'' if change.significant else 'not '}significant (p = {change.p:.2g})"


def accuracy_sentence(run: Run, new: Target, old: Target, where: str) -> str:
    """State what the dtype of `new` costs in accuracy, compared with `old`; "" if it was not measured."""
    first, second = accuracy_of(old, run.accuracies), accuracy_of(new, run.accuracies)
    change = difference(first, second) if first and second else None
    if first is None or second is None or change is None:
        return ""
    low, high = wilson(second.right, second.images)
    told = f"{second.share:.1%} of {second.images:,} held-out images right ({low:.1%} to {high:.1%})"
    sentence = f"{where}: {told}, {old.dtype} {first.share:.1%}"
    if not change.gained and not change.lost:
        return f"{sentence}; the same images are right."
    p = f"p = {change.p:.2g}"
    if not change.significant:
        return f"{sentence}; the difference is not significant ({p})."
    only = f"{change.lost} images are right only in {old.dtype}, {change.gained} only in {new.dtype}"
    return f"{sentence}; the difference is significant ({p}): {only}."


def accuracy_of(target: Target, known: Sequence[Accuracy], variant: str = "") -> Accuracy | None:
    """Return the accuracy of a network on a target."""
    return next((a for a in known if (a.variant, a.target) == (variant, target)), None)
