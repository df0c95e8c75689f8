"""`mnv3prof train`: train a network with the article's recipe."""

import os
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer
from msgspec.structs import asdict, replace

from ...bench.progress import OnProgress, Progress
from ...graph.errors import InputError, printable
from ...mobilenetv3.expand import DEFAULT_SIZE
from ...mobilenetv3.table import Table
from ...mobilenetv3.variants import vary
from ...record.document import training_document
from ...record.training import Epoch, Training
from ...show.training import history_sheet, training_sheet
from ..interrupts import stopped, stopping
from ..network import Settings, input_option
from ..options import (
    DEFAULT_SOURCE,
    EpochsOption,
    ResumeOption,
    SourceArgument,
    data_option,
    open_source,
    recipe_option,
)
from ..output import Destination, Output, Result, emit
from ..progress import progress
from ..spread import spread

if TYPE_CHECKING:
    from ...train.data import Data
    from ...train.recipe import Recipe

_DIGITS_SIZE = (32, 32)
_SUFFIXES = (".pt", ".pth")


class TrainSettings(Settings, frozen=True):
    """The input size and the changes to the network."""

    input: Annotated[str | None, input_option("32 for digits, 224 with --data")] = None


class Switches(msgspec.Struct, frozen=True):
    """The options of the recipe."""

    epochs: EpochsOption = 40
    batch_size: Annotated[int, recipe_option("--batch-size", help="Images per step.")] = 64
    optimizer: Annotated[
        Literal["rmsprop", "adam"],
        recipe_option("--optimizer", help="RMSprop as in the article, or Adam with PyTorch's defaults."),
    ] = "rmsprop"
    lr: Annotated[float, recipe_option("--lr", help="Learning rate after the warm-up.")] = 0.01
    alpha: Annotated[
        float, recipe_option("--alpha", help="RMSprop's smoothing constant of the squared gradient.")
    ] = 0.9
    eps: Annotated[float, recipe_option("--eps", help="Term added to RMSprop's denominator.")] = 1e-3
    momentum: Annotated[float, recipe_option("--momentum", help="Momentum of RMSprop.")] = 0.0
    warmup: Annotated[
        bool, recipe_option("--warmup/--no-warmup", help="Linear warm-up of the learning rate over 5 epochs.")
    ] = True
    cosine: Annotated[
        bool,
        recipe_option("--cosine/--no-cosine", help="Cosine decay of the learning rate after the warm-up."),
    ] = True
    label_smoothing: Annotated[
        bool, recipe_option("--label-smoothing/--no-label-smoothing", help="Label smoothing of 0.1.")
    ] = True
    autoaugment: Annotated[
        bool, recipe_option("--autoaugment/--no-autoaugment", help="AutoAugment with its ImageNet policy.")
    ] = True
    seed: Annotated[int, recipe_option("--seed", help="Random seed.")] = 0
    threads: Annotated[int, recipe_option("--threads", help="Number of threads per runtime.")] = 1

    def recipe(self) -> "Recipe":
        """Return the recipe. Raises InputError for invalid values."""
        from ...train.recipe import Recipe

        return Recipe(
            epochs=self.epochs,
            batch=self.batch_size,
            optimizer=self.optimizer,
            lr=self.lr,
            alpha=self.alpha,
            eps=self.eps,
            momentum=self.momentum,
            warmup_epochs=5 if self.warmup else 0,
            cosine=self.cosine,
            label_smoothing=0.1 if self.label_smoothing else 0.0,
            autoaugment=self.autoaugment,
            seed=self.seed,
            threads=self.threads,
        )


@spread
def train(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    data: Annotated[Path | None, data_option(recipe_option, "", "scikit-learn's digits")] = None,
    resume: ResumeOption = False,
    switches: Switches,
    settings: TrainSettings,
    output: Destination,
) -> None:
    """Train a network with the article's recipe and save its weights.

    The article is a practitioner's text on MobileNetV3-Large in PyTorch. Its recipe: RMSprop at 0.01, 5
    epochs of warm-up, cosine decay, label smoothing 0.1, AutoAugment. It leaves open, and the defaults
    here are: batch size 64, alpha 0.9, eps 1e-3, no momentum, no weight decay. With momentum 0.9
    instead, training diverges until the cosine decay has lowered the learning rate.

    The default data are 1,797 digits of 8x8 pixels, upsampled to the input: enough to see a network
    learn, not to compare it with results on ImageNet. A fixed fifth of each class is held out. The
    single epoch of the example ends at chance.

    --output FILE.pt is required and replaced after each epoch. --resume continues from it; on the same
    machine the weights are bit-identical to those of an uninterrupted training. latency, profile, report
    and export take the file as --weights. Ctrl-C prints the epochs so far. The exit code is 1 if the loss
    becomes infinite or NaN.

    Example: mnv3prof train small --width 0.35 --epochs 1 -o digits.pt
    """
    path = _checkpoint_path(output.output)
    recipe = switches.recipe()
    known = replace(open_source(source).subject, input=_DIGITS_SIZE if data is None else DEFAULT_SIZE)
    subject = settings.variant(known, source)
    network, size = subject.table, subject.input
    before = _modified(path)
    with stopping(lambda: _what_is_saved(path, before)), progress() as on_progress:
        on_progress(Progress("loading PyTorch and the data"))
        from ...train.batches import steps_of

        images = _data(data, size, on_progress)
        if settings.classes is None:
            network = vary(network, classes=len(images.classes))
        history, reason, interrupted = _epochs(network, images, recipe, path, resume, on_progress)
    if interrupted and not history:
        raise stopped(_what_is_saved(path, before))
    training = Training(
        table=network,
        input=size,
        data=images.name,
        classes=images.classes,
        trained_on=len(images.train_labels),
        held_out=len(images.held_labels),
        skipped=images.skipped,
        recipe=asdict(recipe),
        steps=len(history) * steps_of(images, recipe.batch),
        history=history,
        accuracy=history[-1].accuracy if history else nan,
        stopped=reason,
        checkpoint=printable(str(path)),
    )
    result = Result((training_sheet(training),), history_sheet(training), lambda: training_document(training))
    emit(result, Output(format=output.format))
    if interrupted:
        raise stopped(_what_is_saved(path, before))
    if reason:
        raise typer.Exit(1)


def _epochs(
    network: Table, images: "Data", recipe: "Recipe", path: Path, resume: bool, on_progress: OnProgress
) -> tuple[tuple[Epoch, ...], str, bool]:
    """Train. Return the finished epochs, why training ended early, and whether by an interrupt."""
    from ...train.recipe import train as train_network

    finished: tuple[Epoch, ...] = ()

    def keep(history: tuple[Epoch, ...]) -> None:
        nonlocal finished
        finished = history

    try:
        trained = train_network(
            network, images, recipe, on_progress=on_progress, on_update=keep, checkpoint=path, resume=resume
        )
    except KeyboardInterrupt:
        return finished, f"epoch {len(finished) + 1}: interrupted", True
    return trained.history, trained.stopped, False


def _modified(path: Path) -> int:
    """Return the modification time of the file in ns, 0 if there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _what_is_saved(path: Path, before: int) -> str:
    if _modified(path) == before:
        return f"no epoch was finished, {f'{path} is unchanged' if before else 'nothing is saved'}"
    return f"the finished epochs are saved in {path}; continue with the same command and --resume"


def _checkpoint_path(path: Path | None) -> Path:
    """Check, before training, that the checkpoint can be written."""
    if path is None:
        raise InputError("train: --output FILE.pt is required")
    if path.suffix not in _SUFFIXES:
        raise InputError(
            f"{path}: is not a file of weights; expected a name that ends in {' or '.join(_SUFFIXES)}"
        )
    if path.is_dir():
        raise InputError(f"{path}: is a directory; --output takes a file")
    if not os.access(path.parent, os.W_OK):
        reason = "is not writable" if path.parent.is_dir() else "does not exist"
        raise InputError(f"{path}: the folder {path.parent} {reason}")
    return path


def _data(place: Path | None, size: tuple[int, int], on_progress: OnProgress) -> "Data":
    from ...train.data import digits, image_folder

    return digits(size) if place is None else image_folder(place, size, on_progress)
