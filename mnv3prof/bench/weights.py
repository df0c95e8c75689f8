"""Trained weights from a file, for what is timed and exported."""

import hashlib
import io
from pathlib import Path
from typing import Any, NamedTuple

from ..arch.table import InputError


class WeightFile(NamedTuple):
    """A file of weights as it was when it was first read. sha256: in hexadecimal."""

    path: Path
    sha256: str


def load(path: Path) -> dict[str, Any]:
    """What torch.save wrote to the file at `path`, tensors and plain values only. Raises InputError."""
    import pickle

    import torch

    try:
        found = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{path}: is no file of weights ({_first_line(error)})") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds {type(found).__name__}, no weights; mnv3prof train writes some")
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].partition(". ")[0][:200] or type(error).__name__


def sha256(data: bytes) -> str:
    """SHA-256, as sha256sum prints it."""
    return hashlib.sha256(data).hexdigest()
