"""`mnv3prof train`: an accuracy to stand beside a cost, by the article's recipe."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer
from msgspec.structs import asdict, replace

from ...graph.errors import InputError, printable
from ...mobilenetv3.expand import DEFAULT_SIZE
from ...mobilenetv3.variants import vary
from ...record.document import training_document
from ...record.training import Training
from ...show.training import history_sheet, training_sheet
from ...source import open_source
from ..interrupts import stopping
from ..network import Settings
from ..options import DEFAULT_SOURCE, EpochsOption, ResumeOption, SourceArgument
from ..output import Destination, Output, Result, emit
from ..progress import progress
from ..spread import spread

if TYPE_CHECKING:
    from ...train.data import Data, Hear
    from ...train.recipe import Recipe

_DIGITS_SIZE = (32, 32)
_SUFFIXES = (".pt", ".pth")


def _recipe(name: str, text: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel="Recipe")


class Switches(msgspec.Struct, frozen=True):
    """The recipe's switches."""

    epochs: EpochsOption = 40
    batch_size: Annotated[int, _recipe("--batch-size", "Images in a step.")] = 64
    optimizer: Annotated[
        Literal["rmsprop", "adam"], _recipe("--optimizer", "The article's, or Adam with PyTorch's settings.")
    ] = "rmsprop"
    lr: Annotated[float, _recipe("--lr", "Learning rate after the warm-up.")] = 0.01
    alpha: Annotated[float, _recipe("--alpha", "RMSprop's decay of the squared gradient.")] = 0.9
    eps: Annotated[float, _recipe("--eps", "What RMSprop adds to its denominator.")] = 1e-3
    momentum: Annotated[float, _recipe("--momentum", "RMSprop's momentum.")] = 0.0
    warmup: Annotated[
        bool, _recipe("--warmup/--no-warmup", "Raise the rate linearly over the first 5 epochs.")
    ] = True
    cosine: Annotated[
        bool, _recipe("--cosine/--no-cosine", "Let the rate then fall along a cosine, or leave it.")
    ] = True
    label_smoothing: Annotated[
        bool, _recipe("--label-smoothing/--no-label-smoothing", "Smooth the labels by 0.1.")
    ] = True
    autoaugment: Annotated[
        bool, _recipe("--autoaugment/--no-autoaugment", "Change images by AutoAugment's ImageNet policy.")
    ] = True
    seed: Annotated[int, _recipe("--seed", "What everything random follows from.")] = 0
    threads: Annotated[int, _recipe("--threads", "Threads of each runtime.")] = 1

    def recipe(self) -> "Recipe":
        """The recipe asked for. Raises InputError for what is not allowed."""
        from ...train.recipe import Recipe

        return Recipe(
            epochs=self.epochs, batch=self.batch_size, optimizer=self.optimizer, lr=self.lr,
            alpha=self.alpha, eps=self.eps, momentum=self.momentum,
            warmup_epochs=5 if self.warmup else 0, cosine=self.cosine,
            label_smoothing=0.1 if self.label_smoothing else 0.0, autoaugment=self.autoaugment,
            seed=self.seed, threads=self.threads,
        )  # fmt: skip


@spread
def train(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="A folder of images for each class; digits by default."),
    ] = None,
    resume: ResumeOption = False,
    switches: Switches,
    settings: Settings,
    output: Destination,
) -> None:
    """Train a network by the article's recipe, and keep its weights in --output FILE.pt.

    Without --data that is on scikit-learn's 8x8 digits, upsampled to the input. A fifth of each class
    is held out, always the same. The recipe: RMSprop at 0.01, 5 epochs of warm-up, cosine decay, label
    smoothing 0.1, AutoAugment. What it leaves open, and what is chosen here: batches of 64, alpha 0.9,
    eps 1e-3, no momentum and no weight decay; with momentum 0.9 and this eps, training diverges at
    0.01 and this batch size, until the cosine has brought the rate down.

    FILE.pt is replaced after each epoch; --resume goes on from it, on the same machine to the same
    bits. latency, profile, report and export take it as --weights. A loss that is no longer finite
    exits with 1.

    Example: mnv3prof train small --width 0.35 --epochs 1 -o digits.pt
    """
    path = _checkpoint_path(output.output)
    recipe = switches.recipe()
    known = replace(open_source(source).subject, input=_DIGITS_SIZE if data is None else DEFAULT_SIZE)
    subject = settings.variant(known, source)
    network, size = subject.table, subject.input
    from ...train.batches import steps_of
    from ...train.recipe import train as train_network

    before = _changed(path)
    with stopping(lambda: _what_is_saved(path, before)), progress() as hear:
        learnt = _data(data, size, hear)
        if settings.classes is None:
            network = vary(network, classes=len(learnt.classes))
        found = train_network(network, learnt, recipe, hear=hear, checkpoint=path, resume=resume)
    told = Training(
        table=network, input=size, data=learnt.name, classes=learnt.classes,
        trained_on=len(learnt.train_labels), held_out=len(learnt.held_labels), skipped=learnt.skipped,
        recipe=asdict(recipe), steps=len(found.history) * steps_of(learnt, recipe.batch),
        history=found.history, accuracy=found.accuracy, stopped=found.stopped,
        checkpoint=printable(str(path)),
    )  # fmt: skip
    result = Result((training_sheet(told),), history_sheet(told), lambda: training_document(told))
    emit(result, Output(format=output.format))
    if found.stopped:
        raise typer.Exit(1)


def _changed(path: Path) -> int:
    """When the file was written, 0 if there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _what_is_saved(path: Path, before: int) -> str:
    if _changed(path) == before:
        return f"no epoch was finished, {f'{path} is unchanged' if before else 'nothing is saved'}"
    return f"the finished epochs are saved in {path}; continue with the same command and --resume"


def _checkpoint_path(path: Path | None) -> Path:
    """Where the checkpoint goes, found out before hours are spent."""
    if path is None:
        raise InputError("train: --output FILE.pt is required; the weights are saved in it")
    if path.suffix not in _SUFFIXES:
        raise InputError(
            f"{path}: is no file of weights; expected a name that ends in {' or '.join(_SUFFIXES)}"
        )
    if path.is_dir():
        raise InputError(f"{path}: is a directory; --output takes a file")
    if not os.access(path.parent, os.W_OK):
        reason = "it cannot be written to" if path.parent.is_dir() else "there is none"
        raise InputError(f"{path}: the folder {path.parent} is to hold it, and {reason}")
    return path


def _data(place: Path | None, size: tuple[int, int], hear: "Hear") -> "Data":
    from ...train.data import digits, image_folder

    return digits(size) if place is None else image_folder(place, size, hear)
