"""The batches of each epoch, shuffled and augmented from seed, epoch and step."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch import Tensor

from ..device.process import settle, silence
from ..graph.errors import InputError
from .data import Data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_AHEAD: Final = 4
"""Number of batches that are augmented ahead."""


class Batch(NamedTuple):
    """images: (n, 3, H, W), normalized. labels: (n,)."""

    images: Tensor
    labels: Tensor


Batches = Callable[[int], Iterator[Batch]]
"""From the number of an epoch to its batches."""


def derived_seed(*facts: int | str) -> int:
    """Return a seed of 63 bits, hashed from the facts."""
    digest = hashlib.sha256(repr(facts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def steps_of(data: Data, batch: int) -> int:
    """Return the number of steps per epoch. An incomplete last batch is dropped."""
    return max(1, len(data.train_labels) // batch)


def order(data: Data, batch: int, seed: int, epoch: int) -> list[Tensor]:
    """Return the indices of each step's images, shuffled for each epoch."""
    generator = torch.Generator().manual_seed(derived_seed("order", seed, epoch))
    shuffled = torch.randperm(len(data.train_labels), generator=generator)
    return list(torch.split(shuffled, batch))[: steps_of(data, batch)]


def plain_batches(data: Data, batch: int, seed: int) -> Batches:
    """Return batches without augmentation."""

    def batches(epoch: int) -> Iterator[Batch]:
        for which in order(data, batch, seed, epoch):
            yield Batch(data.train_images[which], data.train_labels[which])

    return batches


@contextmanager
def augmented_batches(data: Data, batch: int, seed: int) -> Iterator[Batches]:
    """Return batches with AutoAugment, which another process prepares ahead.

    Raises InputError if kornia is not installed or that process ends.
    """
    if find_spec("kornia") is None:
        raise InputError(
            "autoaugment: kornia is not installed; pip install 'mnv3prof[train]' or train without AutoAugment"
        )
    with ProcessPoolExecutor(1, get_context("spawn"), _settle) as pool:

        def prepare(which: Tensor, epoch: int, step: int) -> "Future[Array]":
            derived = derived_seed("augment", seed, epoch, step)
            return pool.submit(augment, data.train_images[which].numpy(), data.mean, data.std, derived)

        def batches(epoch: int) -> Iterator[Batch]:
            steps = order(data, batch, seed, epoch)
            waiting = [prepare(which, epoch, step) for step, which in enumerate(steps[:_AHEAD])]
            for step, which in enumerate(steps):
                images = torch.from_numpy(_answer(waiting.pop(0)))
                if step + _AHEAD < len(steps):
                    waiting.append(prepare(steps[step + _AHEAD], epoch, step + _AHEAD))
                yield Batch(images, data.train_labels[which])

        yield batches


def _settle() -> None:
    """Silence the process, and end it when its parent ends, even if that was killed."""
    import os
    import threading
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    def end_with_the_parent() -> None:
        if parent := parent_process():
            wait([parent.sentinel])
            os._exit(1)

    silence(1, 2)
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    settle()


def _answer(prepared: "Future[Array]") -> "Array":
    try:
        return prepared.result()
    except BrokenProcessPool:
        raise InputError(
            "autoaugment: the process that augments images has ended, possibly out of memory; resume the "
            "training, or start another one with a smaller batch or without AutoAugment"
        ) from None


_policies: list[Any] = []


def augment(images: "Array", mean: tuple[float, ...], std: tuple[float, ...], seed: int) -> "Array":
    """Augment each image of (n, 3, H, W) by one of AutoAugment's 25 ImageNet policies.

    kornia draws one sub-policy per call, the paper one per image (Cubuk et al., arXiv 1805.09501,
    section 3). Therefore images with the same sub-policy are augmented together.
    """
    torch.set_num_threads(1)
    if not _policies:
        _policies.extend(_sub_policies())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        center, scale = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
        pictures = torch.from_numpy(images) * scale + center
        drawn = torch.randint(len(_policies), (len(pictures),))
        for number in torch.unique(drawn).tolist():
            chosen = drawn == number
            pictures[chosen] = _policies[number](pictures[chosen].clamp(0, 1))
        augmented: Array = ((pictures - center) / scale).numpy()
    return augmented


def _sub_policies() -> list[Any]:
    from kornia.augmentation.auto import AutoAugment
    from kornia.augmentation.auto.autoaugment.autoaugment import imagenet_policy

    return [AutoAugment([sub_policy]) for sub_policy in imagenet_policy]
