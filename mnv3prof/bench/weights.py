"""Trained weights from a file: read, held against a table, loaded into its network."""

import hashlib
import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec

from ..graph.errors import InputError
from ..mobilenetv3.expand import image_size
from ..mobilenetv3.table import Table
from ..record.read import decode
from ..record.run import Weights
from ..record.whole import read_file

if TYPE_CHECKING:
    from torch import Tensor

    from ..mobilenetv3.modules import MobileNetV3

_MOST_BYTES: Final = 2**31
_MOST_INFLATED: Final = 4
"""How many times its file's size an archive may hold: weights hardly compress, and torch does not try."""
_MOST_PICKLE: Final = 2**22
"""Bytes of the pickle that names the tensors: 1,000 rows take about 2,000,000."""
_MOST_IMAGES: Final = 64
_INSIDE: Final = ("state_dict", "model", "model_state_dict")
"""The keys under which others put a state_dict."""
_WRAPPERS: Final = re.compile(r"(?:module\.|_orig_mod\.)+")
"""What torch.nn.DataParallel and torch.compile put before every name."""
_EXPECTED: Final = "expected a checkpoint of train, or a state_dict with torchvision's names"
_TABLE: Final = 2**18
_Text = Annotated[str, msgspec.Meta(max_length=1_000)]


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
        return len(bias) if bias is not None and bias.dim() == 1 else None


class Facts(msgspec.Struct, kw_only=True):
    """The plain values in a checkpoint of `train`; table, recipe and history are JSON."""

    table: Annotated[str, msgspec.Meta(max_length=_TABLE)]
    input: tuple[int, int]
    classes: tuple[_Text, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: _Text
    digest: _Text
    accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)]
    recipe: _Text
    history: str


def read_weights(path: Path) -> Loaded:
    """The weights in a checkpoint of `train`, or a state_dict such as torchvision's. Raises InputError."""
    found, digest = load(path)
    if "mnv3prof" not in found:
        return Loaded(Weights(str(path), digest), _bare_state(found, path))
    table, facts = read_facts(found, path)
    weights = Weights(str(path), digest, facts.data, facts.accuracy)
    images = found.get("images")
    if not _are_images(images, facts.input):
        raise InputError(f"{path}: is damaged: images; expected a few of the size of its input")
    return Loaded(weights, read_state(found, path), table, facts.input, images)


def read_facts(found: dict[str, Any], path: Path) -> tuple[Table, Facts]:
    """The table and the plain values of a checkpoint. Raises InputError about the file at `path`."""
    try:
        facts = msgspec.convert({name: found.get(name) for name in Facts.__struct_fields__}, Facts)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: is no checkpoint of mnv3prof train ({error})") from None
    image_size(facts.input, f"{path}: input")
    return decode(facts.table.encode(), Table, f"{path}: table"), facts


def read_state(found: dict[str, Any], path: Path) -> "dict[str, Tensor]":
    """The state_dict of a checkpoint. Raises InputError about the file at `path`."""
    state: Any = found.get("state_dict")
    if not _is_state(state):
        raise InputError(f"{path}: is damaged: state_dict; expected tensors by name")
    return dict(state)


def load(path: Path) -> tuple[dict[str, Any], str]:
    """What torch.save wrote to the file, tensors and plain values only, and its SHA-256 in hexadecimal.

    Raises InputError.
    """
    import torch

    if not str(path).isprintable():  # a run tells the name
        raise InputError(f"{path}: the name has letters that cannot be printed; expected another name")
    data = read_file(path, _MOST_BYTES, _EXPECTED)
    _refuse_bomb(data, path)
    try:
        with warnings.catch_warnings(action="ignore"):
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files provoke errors of every type in torch.load
        raise InputError(f"{path}: {_reason(error)}; {_EXPECTED}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds a {type(found).__name__}; {_EXPECTED}")
    return found, hashlib.sha256(data).hexdigest()


def _refuse_bomb(data: bytes, path: Path) -> None:
    """Raises InputError for an archive that is much larger when inflated."""
    if not data.startswith(b"PK"):
        return
    try:
        files = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, LookupError, NotImplementedError) as error:
        raise InputError(f"{path}: is no file of weights ({error}); {_EXPECTED}") from None
    inflated = sum(file.file_size for file in files)
    pickled = max((file.file_size for file in files if file.filename.endswith(".pkl")), default=0)
    if inflated > _MOST_INFLATED * len(data) + _MOST_PICKLE or pickled > _MOST_PICKLE:
        raise InputError(
            f"{path}: {len(data):,} bytes inflate to {inflated:,}; expected at most {_MOST_INFLATED} times"
        )


def _bare_state(found: dict[str, Any], path: Path) -> "dict[str, Tensor]":
    """The state_dict that is all, or under a usual key; without what wrappers put before its names."""
    inside = (found[key] for key in _INSIDE if isinstance(found.get(key), dict))
    state = next(inside, found)
    if not _is_state(state):
        raise InputError(f"{path}: holds no weights; {_EXPECTED}")
    if all(map(_WRAPPERS.match, state)):
        state = {_WRAPPERS.sub("", name, count=1): tensor for name, tensor in state.items()}
    if "conv_stem.weight" in state:
        raise InputError(
            f"{path}: has timm's names (conv_stem.weight); {_EXPECTED}, e.g. features.0.0.weight"
        )
    return dict(state)


def _is_state(state: object) -> bool:
    if not isinstance(state, dict) or not state:
        return False
    return all(isinstance(name, str) and is_plain(tensor) for name, tensor in state.items())


def is_plain(value: object) -> bool:
    """Whether a value is a tensor of numbers in memory: not sparse, quantised or of shapes only."""
    import torch

    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_quantized:
        return False
    return value.device.type == "cpu" and not value.is_complex() and not value.is_nested


def _are_images(images: Any, size: tuple[int, int]) -> bool:
    import torch

    if not is_plain(images) or images.dtype != torch.float32 or images.dim() != 4:
        return False
    count, *shape = images.shape
    few = 1 <= count <= _MOST_IMAGES and images.is_contiguous()
    return few and tuple(shape) == (3, *size) and bool(torch.isfinite(images).all())


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
    if problem := misfit(found, table):
        raise InputError(problem)


def misfit(found: Loaded, table: Table) -> str:
    """Why the weights are not of the network of `table`, whatever its name; "" where they are."""
    import torch

    from ..mobilenetv3.network import build

    where = found.weights.file
    if found.table is not None and (field := _difference(found.table, table)):
        return (
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
        *(
            f"{key} is of {str(found.state[key].dtype).removeprefix('torch.')}"
            for key, tensor in wanted.items()
            if key in found.state
            and found.state[key].dtype.is_floating_point != tensor.dtype.is_floating_point
        ),
    )
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: does not fit {table.name}: {problems[0]}{more}" if problems else ""


def _difference(known: Table, table: Table) -> str:
    """The first field in which two tables differ, their names apart; "" where they do not."""
    fields = (name for name in Table.__struct_fields__ if name != "name")
    return next((name for name in fields if getattr(known, name) != getattr(table, name)), "")


def _shape(tensor: "Tensor") -> str:
    return "×".join(map(str, tensor.shape)) or "a scalar"


def _reason(error: Exception) -> str:
    """What is wrong with a file that torch.load refuses."""
    if refused := re.search(r"Unsupported global: GLOBAL (\S+)", str(error)):
        return f"holds a pickled {refused[1]}, which would run code; save model.state_dict() instead"
    first = str(error).strip().partition("\n")[0].partition(". ")[0][:100]
    return f"is no file of weights ({first or type(error).__name__})"
