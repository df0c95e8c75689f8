"""The held-out images of a training, loaded again."""

from pathlib import Path
from typing import Final

import torch

from ..bench.accuracy import HeldOut
from ..bench.progress import OnProgress
from ..graph.errors import InputError, quote
from ..record.run import Subject
from ..workers.weights import Facts, load, read_facts
from .data import DIGITS, Data, digits, image_folder

MOST_IMAGES: Final = 500
"""Maximum of images, spread evenly over the held-out ones."""


def held_out(subject: Subject, folder: Path | None, on_progress: OnProgress = lambda _: None) -> HeldOut:
    """Load the images that the training of the subject's weights held out, at the subject's input size.

    folder: of the images, None for the digits. Raises InputError if the weights are no checkpoint of
    `train`, or the data are not those of the training: held-out images of other data could be among those
    that it has seen.
    """
    assert subject.weights is not None
    where = Path(subject.weights.file)
    saved, _ = load(where)
    _, facts = read_facts(saved, where)
    data = _same_data(facts, folder, where, on_progress)
    if subject.input != facts.input:
        data = _loaded(folder, subject.input, on_progress)
    count = len(data.held_labels)
    which = torch.linspace(0, count - 1, min(count, MOST_IMAGES)).long()
    labels = tuple(int(label) for label in data.held_labels[which])
    return HeldOut(facts.data, data.held_images[which].numpy(), labels)


def _same_data(facts: Facts, folder: Path | None, where: Path, on_progress: OnProgress) -> Data:
    """Load the data of the training, as it saw them."""
    if folder is None and facts.data != DIGITS:
        raise InputError(f"{where}: was trained on the images of {quote(facts.data)}, which are not at hand")
    data = _loaded(folder, facts.input, on_progress)
    if data._replace(name=facts.data).digest != facts.digest:
        raise InputError(
            f"{folder or data.name}: differs from the data that {where} was trained on, {quote(facts.data)}; "
            "expected the same images"
        )
    return data


def _loaded(folder: Path | None, size: tuple[int, int], on_progress: OnProgress) -> Data:
    return digits(size) if folder is None else image_folder(folder, size, on_progress)
