"""The sheets of `train`: epoch by epoch, and what the accuracy says."""

from typing import Final

from ..record.training import Epoch, Training
from ..render.sheet import Column, Sheet
from .costs import titled

_MOST_ROWS: Final = 20
_UNSETTLED: Final = 0.05
_COLUMNS: Final = (
    Column("epoch", "Epoch", "text"),
    Column("lr", "Rate", "text"),
    Column("loss", "Loss", "text"),
    Column("accuracy", "Held-out right", "percent"),
    Column("seconds", "Seconds", "number"),
)


def training_sheet(training: Training) -> Sheet:
    """At most 20 epochs, evenly spaced, ending with the last."""
    history = training.history
    step = -(-len(history) // _MOST_ROWS) or 1
    shown = tuple(epoch for epoch in history if (len(history) - epoch.number) % step == 0)
    every = (f"Every {_ordinal(step)} epoch is shown; --format csv has all.",) if step > 1 else ()
    rows = tuple(
        (str(e.number), f"{e.lr:.6f}", f"{e.loss:.4f}", e.accuracy, e.seconds) for e in shown
    )  # fmt: skip
    return Sheet(_title(training), _COLUMNS, rows, notes=(*every, *_notes(training)))


def history_sheet(training: Training) -> Sheet:
    """Every epoch with every figure in full, for CSV."""
    columns = tuple(Column(name, name, "number") for name in Epoch.__struct_fields__)
    rows = tuple((e.number, e.lr, e.loss, e.accuracy, e.seconds) for e in training.history)
    return Sheet(_title(training), columns, rows)


def _title(training: Training) -> str:
    return titled(training.subject.graph, f"trained on {training.data}")


def _notes(training: Training) -> list[str]:
    others = f"trained on {training.trained_on:,} others, in {len(training.classes)} classes"
    right = f"{training.accuracy:.1%} of {training.held_out:,} held-out images right"
    notes = [f"{right}; {others}." if training.history else "No epoch was finished."]
    notes.append(f"An accuracy on {training.data} is none on ImageNet, where the paper's were measured.")
    if training.stopped:
        notes.append(f"Stopped in {training.stopped}.")
    if training.history and training.unsettled > _UNSETTLED:
        notes.append(
            f"After {training.steps:,} steps {training.unsettled:.0%} of batch norm's running averages is "
            f"still what they began with (bn_momentum {training.table.bn_momentum:g}): the weights are "
            "better than this accuracy, which more epochs will show."
        )
    if training.skipped:
        (file, reason), count = training.skipped[0], len(training.skipped)
        others = f" and {count - 1:,} more (--format json names all)" if count > 1 else ""
        notes.append(f"Skipped as no image: {file} ({reason}){others}.")
    notes.append(f"Recipe: {', '.join(f'{name} {_value(v)}' for name, v in training.recipe.items())}.")
    if training.history:
        notes.append(
            f"Weights: {training.checkpoint}; latency, profile, report and export take them as --weights."
        )
    return notes


def _value(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else f"{value}"


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
