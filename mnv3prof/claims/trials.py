"""Trainings of the claims: the article's recipe with one change at a time, over several seeds."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec.structs import replace

from ..bench.progress import OnProgress, Progress, within
from ..mobilenetv3.files import preset
from ..mobilenetv3.table import Table
from ..mobilenetv3.variants import vary
from ..record.findings import Trial
from .claim import Ablation

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..train.data import Data
    from ..train.recipe import Recipe

INPUT: Final = (32, 32)
LIMIT_S: Final = 25 * 60.0
FORM: Final = 1
"""Increased when the trainings change and no version of a package does."""

_PLANNED: Final = 0.85
"""Share of the limit that epochs are chosen for, since later trainings may be slower than the first."""
_WARMUP: Final = 5
_QUANTIZING_S: Final = 15.0
_BATCH: Final = 32
_CALIBRATION_IMAGES: Final = 320


class AblationPlan(NamedTuple):
    """What to train. epochs: at most; fewer if all trainings would take longer than limit_s."""

    ablations: tuple[Ablation, ...]
    seeds: int = 3
    epochs: int = 40
    threads: int = 1
    limit_s: float = LIMIT_S


class AblationResult(NamedTuple):
    """All trainings, with the earlier ones. interrupted: by the user."""

    trials: tuple[Trial, ...]
    interrupted: bool = False


def trained_table() -> Table:
    """Return the table that is trained: Small at width 0.35, for ten classes.

    Batch norm's momentum is PyTorch's 0.1: an epoch of digits has 23 steps, in which the paper's 0.01
    would move the statistics by only a fifth.
    """
    return replace(vary(preset("small"), width=0.35, classes=10), bn_momentum=0.1)


def train_ablations(
    plan: AblationPlan,
    known: Sequence[Trial] = (),
    on_progress: OnProgress = lambda _: None,
    on_update: Callable[[tuple[Trial, ...]], None] = lambda _: None,
) -> AblationResult:
    """Train every ablation with every seed that is not in `known`.

    on_update: called with all trainings after each. An interrupt or the limit ends the training.
    Trainings that are resumed keep their number of epochs.
    """
    done = list(known)
    wanted = [
        (ablation, seed)
        for seed in range(plan.seeds)
        for ablation in plan.ablations
        if not any((t.ablation, t.seed) == (ablation.name, seed) for t in known)
    ]
    if not wanted:
        return AblationResult(tuple(done))
    try:
        on_progress(Progress("loading PyTorch and the digits"))
        from ..train.data import digits

        data = digits(INPUT)
        begin = monotonic()
        epochs = (
            known[0].epochs if known else affordable(plan, wanted, _seconds_an_epoch(plan, data, on_progress))
        )
        for number, (ablation, seed) in enumerate(wanted, 1):
            if monotonic() - begin > plan.limit_s - (done[-1].seconds if done else 0.0):
                break
            phase = f"training {number} of {len(wanted)} ({ablation.name}, seed {seed})"
            done.append(_trial(ablation, seed, epochs, plan.threads, data, within(phase, on_progress)))
            on_update(tuple(done))
    except KeyboardInterrupt:
        return AblationResult(tuple(done), interrupted=True)
    return AblationResult(tuple(done))


def affordable(plan: AblationPlan, wanted: Sequence[tuple[Ablation, int]], epoch_s: float) -> int:
    """Return how many epochs of `epoch_s` seconds fit into the limit per training, at least 1."""
    quantizing = _QUANTIZING_S * sum(ablation.quantized for ablation, _ in wanted)
    left = max(0.0, _PLANNED * plan.limit_s - quantizing)
    return max(1, min(plan.epochs, int(left / epoch_s / len(wanted))))


def recipe_of(ablation: Ablation, seed: int, epochs: int, threads: int) -> "Recipe":
    """Return the article's recipe with the ablation's change, without AutoAugment, which doubles the time."""
    import msgspec

    from ..train.recipe import Recipe

    article = {
        "epochs": epochs,
        "warmup_epochs": min(_WARMUP, epochs // 4),
        "autoaugment": False,
        "seed": seed,
        "threads": threads,
    }
    return msgspec.convert({**article, **ablation.recipe}, Recipe)


def _seconds_an_epoch(plan: AblationPlan, data: "Data", on_progress: OnProgress) -> float:
    """Return the shortest of two epochs; the first includes warm-up."""
    from ..train.recipe import train

    recipe = recipe_of(plan.ablations[0], 0, 2, plan.threads)
    trained = train(trained_table(), data, recipe, on_progress=within("timing an epoch", on_progress))
    return min(epoch.seconds for epoch in trained.history)


def _trial(
    ablation: Ablation, seed: int, epochs: int, threads: int, data: "Data", on_progress: OnProgress
) -> Trial:
    from ..train.recipe import train

    begin = monotonic()
    table = ablation.change(trained_table())
    trained = train(table, data, recipe_of(ablation, seed, epochs, threads), on_progress=on_progress)
    int8, reason = None, trained.stopped
    if ablation.quantized and not reason:
        on_progress(Progress("testing it in 8 bits"))
        int8, reason = in_8_bits(trained.model, data)
    return Trial(
        ablation=ablation.name,
        seed=seed,
        data=data.name,
        epochs=epochs,
        int8=int8,
        network=f"{trained_table().name} at {INPUT[0]}×{INPUT[1]}",
        held=len(data.held_labels),
        seconds=monotonic() - begin,
        reason=reason,
        accuracy=trained.accuracy if isfinite(trained.accuracy) and not trained.stopped else None,
    )


def in_8_bits(model: "nn.Module", data: "Data") -> tuple[float | None, str]:
    """Return the held-out accuracy in 8 bits (static, per channel, on ONNX Runtime), or why there is none.

    Ranges are calibrated with evenly spaced training images.
    """
    import torch

    from ..workers.backends import usable
    from ..workers.formats import Part, get_format

    if not (onnxruntime := usable("onnxruntime")).ok:
        return None, onnxruntime.reason
    model.eval()
    chosen = torch.linspace(0, len(data.train_labels) - 1, _CALIBRATION_IMAGES).long()
    given = data.held_images[:_BATCH]
    with torch.no_grad(), _silence(), tempfile.TemporaryDirectory(prefix="mnv3prof-") as folder:
        part = Part("net", model, (given,), (model(given),), (data.train_images[chosen],))
        try:
            file = get_format("onnx").convert(part, "int8", Path(folder))
            return _accuracy(file, data), ""
        except Exception as error:  # converters raise anything
            first = next(iter(str(error).splitlines()), "")
            return None, f"8 bits: {type(error).__name__}: {first[:150]}"


@contextmanager
def _silence() -> Iterator[None]:
    """Silence the warnings of converters."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _accuracy(file: Path, data: "Data") -> float:
    """Return the held-out accuracy of the model in `file`."""
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    right = 0
    for start in range(0, len(data.held_labels), _BATCH):
        labels = data.held_labels[start : start + _BATCH]
        (logits,) = session.run(None, {"x": _full(data.held_images[start : start + _BATCH]).numpy()})
        right += int((logits[: len(labels)].argmax(1) == labels.numpy()).sum())
    return right / len(data.held_labels)


def _full(images: "Tensor") -> "Tensor":
    """Pad a batch to _BATCH images by repeating its first."""
    import torch

    return torch.cat([images, images[:1].expand(_BATCH - len(images), -1, -1, -1)]).contiguous()
