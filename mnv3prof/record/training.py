"""The record of a training: its data, recipe and epochs."""

import msgspec

from ..mobilenetv3.table import Table
from .run import Subject


class Epoch(msgspec.Struct, frozen=True):
    """An epoch. number: from 1. loss: mean of its steps. accuracy: on held-out images."""

    number: int
    lr: float
    loss: float
    accuracy: float
    seconds: float


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """A training, and its result.

    trained_on, held_out: numbers of images. skipped: (file, reason) of each file that is not an image.
    steps: of all epochs. accuracy: after the last complete epoch, nan if there is none. stopped: why the
    training ended early, or "". checkpoint: the file of the weights.
    """

    table: Table
    input: tuple[int, int]
    data: str
    classes: tuple[str, ...]
    trained_on: int
    held_out: int
    skipped: tuple[tuple[str, str], ...] = ()
    recipe: dict[str, bool | int | float | str] = {}
    steps: int
    history: tuple[Epoch, ...] = ()
    accuracy: float
    stopped: str = ""
    checkpoint: str

    @property
    def subject(self) -> Subject:
        """The network."""
        return Subject(self.table, self.input)

    @property
    def unsettled(self) -> float:
        """The share of the initial values in batch norm's running averages.

        (1 − bn_momentum) ^ steps: each step replaces the share bn_momentum (torch.nn.BatchNorm2d).
        """
        return (1 - self.table.bn_momentum) ** self.steps
