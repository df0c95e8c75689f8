"""How a training went: its data, recipe and epochs."""

import msgspec

from ..mobilenetv3.table import Table
from .run import Subject


class Epoch(msgspec.Struct, frozen=True):
    """An epoch as it went. number: from 1. loss: the mean of its steps. accuracy: of what is held out."""

    number: int
    lr: float
    loss: float
    accuracy: float
    seconds: float


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What was trained on what, and what came of it.

    trained_on, held_out: numbers of images. skipped: (file, reason) of each that is no image.
    steps: of all epochs. accuracy: after the last whole epoch, not a number where there is none.
    stopped: why training ended early, "" where it did not. checkpoint: the file that holds the weights.
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
        """The share of batch norm's running averages that is still what they began with, not data's.

        (1 − bn_momentum) ^ steps: each step replaces the share bn_momentum (torch.nn.BatchNorm2d).
        """
        return (1 - self.table.bn_momentum) ** self.steps
