"""Sheets of `train`: epochs and accuracy."""

from typing import Final

from ..record.training import Epoch, Training
from ..render.sheet import Column, Sheet
from .costs import titled

_MOST_ROWS: Final = 20
_UNSETTLED: Final = 0.05
_COLUMNS: Final = (
    Column("epoch", "Epoch", "text"),
    Column("lr", "Learning rate", "text"),
    Column("loss", "Loss", "text"),
    Column("accuracy", "Held-out accuracy", "percent"),
    Column("seconds", "Seconds", "number"),
)


def training_sheet(training: Training) -> Sheet:
    """Return at most 20 epochs, evenly spaced, including the last."""
    history = training.history
    step = -(-len(history) // _MOST_ROWS) or 1
    shown = tuple(epoch for epoch in history if (len(history) - epoch.number) % step == 0)
    every = (f"Every {_ordinal(step)} epoch is shown; CSV has all.",) if step > 1 else ()
    rows = tuple((str(e.number), f"{e.lr:.6f}", f"{e.loss:.4f}", e.accuracy, e.seconds) for e in shown)
    return Sheet(_title(training), _COLUMNS, rows, notes=(*every, *_notes(training)))


def history_sheet(training: Training) -> Sheet:
    """Return a row per epoch, unrounded, for CSV."""
    columns = tuple(Column(name, name, "number") for name in Epoch.__struct_fields__)
    rows = tuple((e.number, e.lr, e.loss, e.accuracy, e.seconds) for e in training.history)
    return Sheet(_title(training), columns, rows)


def _title(training: Training) -> str:
    return titled(training.subject.graph, f"trained on {training.data}")


def _notes(training: Training) -> list[str]:
    images = f"{training.trained_on:,} other images of {len(training.classes)} classes"
    accuracy = f"Accuracy: {training.accuracy:.1%} of {training.held_out:,} held-out images"
    notes = [f"{accuracy}; trained on {images}." if training.history else "No epoch was finished."]
    notes.append(f"Accuracy on {training.data} is not comparable with the paper's, measured on ImageNet.")
    if training.stopped:
        notes.append(f"Stopped in {training.stopped}.")
    if training.history and training.unsettled > _UNSETTLED:
        notes.append(
            f"After {training.steps:,} steps the initial values still make up {training.unsettled:.0%} of "
            f"batch norm's running averages (bn_momentum {training.table.bn_momentum:g}). They lower the "
            "accuracy; train more epochs."
        )
    if training.skipped:
        (file, reason), count = training.skipped[0], len(training.skipped)
        more = f" and {count - 1:,} more, which the JSON document lists" if count > 1 else ""
        notes.append(f"Skipped, not an image: {file} ({reason}){more}.")
    notes.append(f"Recipe: {', '.join(f'{name} {_value(v)}' for name, v in training.recipe.items())}.")
    if training.history:
        notes.append(f"Weights: {training.checkpoint}, for latency, profile, report and export.")
    return notes


def _value(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else f"{value}"


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
