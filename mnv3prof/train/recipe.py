"""The article's training recipe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from math import cos, inf, isfinite, nan, pi
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple

import msgspec
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..bench.progress import OnProgress, Progress
from ..graph.errors import InputError, quote
from ..mobilenetv3.network import MobileNetV3, build
from ..mobilenetv3.table import Table
from ..record.read import decode
from ..record.run import Weights
from ..record.training import Epoch
from ..workers.weights import Loaded, is_plain, refuse_misfit
from .batches import Batch, augmented_batches, derived_seed, plain_batches, steps_of
from .checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from .data import Data, Images

_HELD_BATCH: Final = 256
_KEPT_IMAGES: Final = 8


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a training; batch, alpha, eps, momentum are not in the article.

    batch: images per step. cosine: decay the learning rate after the warm-up; else it is constant. alpha,
    eps, momentum: as in torch.optim.RMSprop. threads: PyTorch's, beside one process for AutoAugment.
    Raises InputError for a value out of range.
    """

    epochs: int = 40
    batch: int = 64
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    lr: float = 0.01
    warmup_epochs: int = 5
    cosine: bool = True
    alpha: float = 0.9
    eps: float = 1e-3
    momentum: float = 0.0
    label_smoothing: float = 0.1
    autoaugment: bool = True
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    f"{name}: {quote(value)} is not allowed; expected a number from {low:g} to {high:g}"
                )


_RANGES: Final[dict[str, tuple[float, float]]] = {
    "epochs": (1, 10_000),
    "batch": (2, 65_536),
    "lr": (1e-9, 1e3),
    "warmup_epochs": (0, 10_000),
    "alpha": (0, 1),
    "eps": (1e-12, 1),
    "momentum": (0, 1),
    "label_smoothing": (0, 1),
    "seed": (0, 2**63 - 1),
    "threads": (1, 1_024),
}


class Trained(NamedTuple):
    """The result of a training.

    model: in evaluation mode. accuracy: after the last complete epoch, nan if there is none. stopped: why
    the training ended early, or "".
    """

    model: MobileNetV3
    history: tuple[Epoch, ...]
    accuracy: float
    stopped: str = ""


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0.

    lr · (epoch + 1) / warmup in the warm-up, then lr · (1 + cos(π · t)) / 2, where t grows from 0 in the
    first epoch after the warm-up towards 1 at the end.
    """
    if epoch < recipe.warmup_epochs:
        return recipe.lr * (epoch + 1) / recipe.warmup_epochs
    if not recipe.cosine:
        return recipe.lr
    share = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
    return recipe.lr * (1 + cos(pi * share)) / 2


def train(
    table: Table,
    data: Data,
    recipe: Recipe,
    *,
    on_progress: OnProgress = lambda _: None,
    on_update: Callable[[tuple[Epoch, ...]], None] = lambda _: None,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> Trained:
    """Train the network of `table`; randomness depends on seed, epoch and step only.

    on_update: called with all epochs after each. checkpoint: replaced after each epoch. resume: continue from
    the checkpoint, if it exists; the weights are bit for bit those of a training without interruption. A loss
    that is not finite ends the training. Raises InputError if table, data, recipe and checkpoint do not
    match.
    """
    if table.classes != len(data.classes):
        raise InputError(f"classes: {data.name} has {len(data.classes)}, the network {table.classes}")
    if table.channels != 3:
        raise InputError(f"channels: {data.name} has 3, the network {table.channels}")
    with torch.random.fork_rng(devices=[]), _threads(recipe.threads), _batches(data, recipe) as batches:
        torch.manual_seed(derived_seed("weights", recipe.seed))
        model = build(table)
        optimizer = make_optimizer(model, recipe)
        digest = data.digest if checkpoint else ""
        history: tuple[Epoch, ...] = ()
        if resume and checkpoint and checkpoint.exists():
            history = _resume(checkpoint, table, recipe, digest, model, optimizer)
        steps = steps_of(data, recipe.batch)
        pace = _Pace(recipe.epochs * steps, on_progress)
        for epoch in range(len(history), recipe.epochs):
            start = perf_counter()
            rate = learning_rate(recipe, epoch)
            torch.manual_seed(derived_seed("dropout", recipe.seed, epoch))
            reported = pace.report(batches(epoch), epoch * steps, _message(epoch, recipe, history))
            loss = _train_epoch(model, optimizer, rate, recipe, reported)
            if not isfinite(loss):
                return Trained(model.eval(), history, _last(history), _diverged(epoch))
            right = accuracy(model, data.held_images, data.held_labels)
            history = (*history, Epoch(epoch + 1, rate, loss, right, perf_counter() - start))
            if checkpoint:
                write_checkpoint(
                    checkpoint, _checkpoint(table, data, digest, recipe, history, model, optimizer)
                )
            on_update(history)
    return Trained(model.eval(), history, _last(history))


def _last(history: tuple[Epoch, ...]) -> float:
    return history[-1].accuracy if history else nan


def make_optimizer(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimizer of the model; Adam with PyTorch's other defaults."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=recipe.lr)
    return torch.optim.RMSprop(
        model.parameters(), lr=recipe.lr, alpha=recipe.alpha, eps=recipe.eps, momentum=recipe.momentum
    )


def accuracy(model: torch.nn.Module, images: Images, labels: Tensor) -> float:
    """Return the top-1 accuracy of `model` in evaluation mode; its mode is restored."""
    training = model.training
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(labels), _HELD_BATCH):
            some = slice(start, start + _HELD_BATCH)
            right += int((model(images[some]).argmax(1) == labels[some]).sum())
    model.train(training)
    return right / len(labels)


def _train_epoch(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: float,
    recipe: Recipe,
    batches: Iterator[Batch],
) -> float:
    """Train for an epoch and return the mean loss, or inf if a loss is not finite."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    model.train()
    losses = []
    for images, labels in batches:
        loss = F.cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing)
        if not isfinite(loss.item()):
            return inf
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


class _Pace:
    """Reports progress, with the remaining time estimated from the pace so far."""

    def __init__(self, steps: int, on_progress: OnProgress) -> None:
        self.steps, self.on_progress = steps, on_progress
        self.start = perf_counter()
        self.first: int | None = None

    def report(self, batches: Iterator[Batch], first: int, what: str) -> Iterator[Batch]:
        """Yield the batches and report each. first: the training's step of the first."""
        if self.first is None:
            self.first = first
        for step, batch in enumerate(batches, first):
            done = step - self.first
            left = (perf_counter() - self.start) / done * (self.steps - step) if done else None
            self.on_progress(Progress(what, step / self.steps, left, "training"))
            yield batch


def _message(epoch: int, recipe: Recipe, history: tuple[Epoch, ...]) -> str:
    so_far = f", accuracy {history[-1].accuracy:.1%}" if history else ""
    return f"epoch {epoch + 1} of {recipe.epochs}{so_far}"


def _diverged(epoch: int) -> str:
    return f"epoch {epoch + 1}: the loss is no longer finite; a smaller learning rate or momentum may help"


def _checkpoint(
    table: Table,
    data: Data,
    digest: str,
    recipe: Recipe,
    history: tuple[Epoch, ...],
    model: MobileNetV3,
    optimizer: torch.optim.Optimizer,
) -> Checkpoint:
    count = min(_KEPT_IMAGES, len(data.train_labels))
    images = data.train_images[torch.linspace(0, len(data.train_labels) - 1, count).long()]
    return Checkpoint(
        table,
        (images.shape[2], images.shape[3]),
        data.classes,
        data.mean,
        data.std,
        data.name,
        digest,
        images,
        _last(history),
        _json(recipe),
        _json(history),
        model.state_dict(),
        optimizer.state_dict(),
    )


def _resume(
    path: Path,
    table: Table,
    recipe: Recipe,
    digest: str,
    model: MobileNetV3,
    optimizer: torch.optim.Optimizer,
) -> tuple[Epoch, ...]:
    """Load the checkpoint into model and optimizer, and return its epochs."""
    known = read_checkpoint(path)
    known_recipe = decode(known.recipe.encode(), Recipe, f"{path}: recipe")
    for what, before, now in (
        ("network", known.table, table),
        ("data", known.digest, digest),
        ("recipe", known_recipe, recipe),
    ):
        if before != now:
            how = _difference(what, before, now)
            raise InputError(f"{path}: was trained {how}; resume requires the same network, data and recipe")
    history = decode(known.history.encode(), tuple[Epoch, ...], f"{path}: history")
    if [epoch.number for epoch in history] != [*range(1, len(history) + 1)] or len(history) > recipe.epochs:
        raise InputError(f"{path}: is damaged: history; expected epochs from 1 on")
    refuse_misfit(Loaded(Weights(str(path), ""), known.state), table)
    model.load_state_dict(known.state)
    state = known.optimizer.get("state")
    if not _fits(state, model, recipe):
        raise InputError(f"{path}: is damaged: optimizer; expected the state of each parameter")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})  # its settings are the recipe's
    return history


def _fits(state: object, model: MobileNetV3, recipe: Recipe) -> bool:
    """Return True if a state fits the recipe's optimizer of the model."""
    names = {"step", *(("exp_avg", "exp_avg_sq") if recipe.optimizer == "adam" else ("square_avg",))}
    if recipe.optimizer == "rmsprop" and recipe.momentum:
        names.add("momentum_buffer")
    shapes = {number: parameter.shape for number, parameter in enumerate(model.parameters())}
    return (
        isinstance(state, dict)
        and state.keys() == shapes.keys()
        and all(
            isinstance(tensors, dict)
            and tensors.keys() == names
            and all(
                is_plain(tensor)
                and tensor.is_floating_point()
                and tensor.shape == (() if name == "step" else shapes[number])
                for name, tensor in tensors.items()
            )
            for number, tensors in state.items()
        )
    )


def _difference(what: str, before: Any, now: Any) -> str:
    if what == "recipe":
        name = next(name for name in Recipe.__struct_fields__ if getattr(before, name) != getattr(now, name))
        return f"with {name} {getattr(before, name)}, not {getattr(now, name)}"
    if what == "network":
        return f"as {before.name}, not as {now.name}" if before.name != now.name else "as another network"
    return "on other data, or at another input size"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _batches(data: Data, recipe: Recipe) -> Any:
    if recipe.autoaugment:
        return augmented_batches(data, recipe.batch, recipe.seed)
    return nullcontext(plain_batches(data, recipe.batch, recipe.seed))
