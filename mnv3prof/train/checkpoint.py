"""Checkpoints of a training, written atomically and read as weights only."""

import io
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import torch
from msgspec.structs import asdict

from ..graph.errors import InputError
from ..mobilenetv3.table import Table
from ..record.atomic import replace_file
from ..workers.weights import load, read_facts, read_state

_FORM: Final = 1


class Checkpoint(NamedTuple):
    """The state of a training, and what the weights were trained on.

    state: the model's state_dict, with torchvision's names. images: a few training images, normalized.
    recipe, history: as JSON. data: the name of the data. digest: its hash.
    """

    table: Table
    input: tuple[int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: str
    digest: str
    images: torch.Tensor
    accuracy: float
    recipe: str
    history: str
    state: dict[str, torch.Tensor]
    optimizer: dict[str, Any]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file at `path` atomically. Raises InputError."""
    fields = checkpoint._asdict()
    table, state = msgspec.json.encode(fields.pop("table")).decode(), fields.pop("state")
    out = io.BytesIO()
    torch.save({"mnv3prof": _FORM, "table": table, "state_dict": state, **fields}, out)
    try:
        replace_file(path, out.getvalue())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the checkpoint in the file at `path`. Raises InputError for any other file."""
    saved, _ = load(path)
    table, facts = read_facts(saved, path)
    own = {"table": table, "state": read_state(saved, path)}
    fields: dict[str, Any] = {"images": None, **saved, **asdict(facts), **own}
    if not isinstance(fields.get("optimizer"), dict):
        raise InputError(f"{path}: is damaged: optimizer; expected a state_dict")
    return Checkpoint(**{name: fields[name] for name in Checkpoint._fields})
