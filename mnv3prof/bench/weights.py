"""Trained weights from a file: read, held against a table, loaded into its network."""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..graph.errors import InputError
from ..mobilenetv3.expand import image_size
from ..mobilenetv3.table import Table
from ..record.run import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from ..mobilenetv3.modules import MobileNetV3


class Loaded(NamedTuple):
    """What a file of weights holds. table, input, images: None where it is a bare state_dict.

    images: (n, 3, H, W), normalised, a few of those that the weights were trained on.
    """

    weights: Weights
    state: "dict[str, Tensor]"
    table: Table | None = None
    input: tuple[int, int] | None = None
    images: "Tensor | None" = None

    @property
    def classes(self) -> int | None:
        """How many classes they tell apart; None where that cannot be told."""
        bias = self.state.get("classifier.3.bias")
        return None if bias is None else len(bias)


def read_weights(path: Path) -> Loaded:
    """The weights in a checkpoint of `train`, or a state_dict such as torchvision's. Raises InputError."""
    found, digest = load(path)
    state = found.get("state_dict", found)
    if not isinstance(state, dict) or not state or not all(map(_is_tensor, state.values())):
        raise InputError(f"{path}: holds no weights; allowed are train's checkpoint and a state_dict")
    if "mnv3prof" not in found:
        return Loaded(Weights(str(path), digest), state)
    try:
        weights = Weights(str(path), digest, found["data"], found["accuracy"])
        table = msgspec.json.decode(found["table"], type=Table)
        return Loaded(weights, state, table, image_size(found["input"], f"{path}: input"), found["images"])
    except (KeyError, TypeError, msgspec.MsgspecError) as error:
        raise InputError(f"{path}: is a damaged checkpoint ({type(error).__name__}: {error})") from None


def load(path: Path) -> tuple[dict[str, Any], str]:
    """What torch.save wrote to the file, tensors and plain values only, and its SHA-256 in hexadecimal.

    Raises InputError.
    """
    import pickle

    import torch

    try:
        data = path.read_bytes()
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError) as error:
        raise InputError(f"{path}: is no file of weights ({_reason(error)})") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds a {type(found).__name__}; allowed is what mnv3prof train writes")
    return found, hashlib.sha256(data).hexdigest()


def load_into(model: "MobileNetV3", weights: Weights) -> "Tensor | None":
    """Give `model` the weights; the images that came with them. Raises InputError.

    The file must still be the one that `weights` were read from.
    """
    found = read_weights(Path(weights.file))
    if found.weights.sha256 != weights.sha256:
        raise InputError(f"{weights.file}: has changed meanwhile")
    refuse_misfit(found, model.table)
    model.load_state_dict(found.state)
    return found.images


def refuse_misfit(found: Loaded, table: Table) -> None:
    """Raises InputError where the weights are not of the network of `table`, whatever its name."""
    import torch

    from ..mobilenetv3.network import build

    where = found.weights.file
    if found.table is not None and (field := _difference(found.table, table)):
        raise InputError(
            f"{where}: holds the weights of {found.table.name}, which differs from {table.name} in {field}; "
            "leave SOURCE and its options out to take the network that was trained"
        )
    with torch.device("meta"):
        wanted = build(table).state_dict()
    problems = (
        *(f"it lacks {key}" for key in wanted if key not in found.state),
        *(f"{key} is none of its parameters" for key in found.state if key not in wanted),
        *(
            f"{key} is {_shape(found.state[key])}, not {_shape(tensor)}"
            for key, tensor in wanted.items()
            if key in found.state and found.state[key].shape != tensor.shape
        ),
    )
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"{where}: does not fit {table.name}: {problems[0]}{more}")


def _difference(known: Table, table: Table) -> str:
    """The first field in which two tables differ, their names apart; "" where they do not."""
    fields = (name for name in Table.__struct_fields__ if name != "name")
    return next((name for name in fields if getattr(known, name) != getattr(table, name)), "")


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _shape(tensor: "Tensor") -> str:
    return "×".join(map(str, tensor.shape)) or "a scalar"


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].partition(". ")[0][:200] or type(error).__name__
