"""Reading of trained weights, and loading into a network that they fit."""

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
from ..record.atomic import read_file
from ..record.read import decode
from ..record.run import Weights

if TYPE_CHECKING:
    from torch import Tensor

    from ..mobilenetv3.network import MobileNetV3

_MOST_BYTES: Final = 2**31
_MOST_INFLATED: Final = 4
"""Limit of an archive's inflated size relative to the file; torch does not compress weights."""
_MOST_PICKLE: Final = 2**22
"""Bytes of the pickle that names the tensors: 1,000 rows take about 2,000,000."""
_MOST_IMAGES: Final = 64
_INSIDE: Final = ("state_dict", "model", "model_state_dict")
"""Keys of a state_dict in other projects' checkpoints."""
_WRAPPERS: Final = re.compile(r"(?:module\.|_orig_mod\.)+")
"""Prefixes that torch.nn.DataParallel and torch.compile add to all names."""
_CLASSES: Final = re.compile(r"classifier(?:\.([0-9]{1,2}))?\.bias")
"""The last of these is the classifier's bias in torchvision and timm."""
_EXPECTED: Final = "expected a checkpoint of train, or a state_dict with the network's names"
_TABLE: Final = 2**19
_Text = Annotated[str, msgspec.Meta(max_length=1_000)]


class Loaded(NamedTuple):
    """The contents of a weights file; table, input, images: None for a state_dict.

    images: (n, channels, H, W), normalized, a few of the training images.
    """

    weights: Weights
    state: "dict[str, Tensor]"
    table: Table | None = None
    input: tuple[int, int] | None = None
    images: "Tensor | None" = None

    @property
    def classes(self) -> int | None:
        """The number of classes, or None if it is not known."""
        found = [match for match in map(_CLASSES.fullmatch, self.state) if match]
        last = max(found, key=lambda match: int(match[1] or 0), default=None)
        bias = self.state[last[0]] if last else None
        return (len(bias) or None) if bias is not None and bias.dim() == 1 else None


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
    """Read the weights in a checkpoint of `train` or a state_dict. Raises InputError."""
    saved, digest = load(path)
    if "mnv3prof" not in saved:
        return Loaded(Weights(str(path), digest), _bare_state(saved, path))
    table, facts = read_facts(saved, path)
    weights = Weights(str(path), digest, facts.data, facts.accuracy)
    images = saved.get("images")
    if not _are_images(images, (table.channels, *facts.input)):
        raise InputError(f"{path}: is damaged: images; expected 1 to {_MOST_IMAGES} of its input size")
    return Loaded(weights, read_state(saved, path), table, facts.input, images)


def read_facts(saved: dict[str, Any], path: Path) -> tuple[Table, Facts]:
    """Return the table and plain values of a checkpoint. Raises InputError."""
    try:
        facts = msgspec.convert({name: saved.get(name) for name in Facts.__struct_fields__}, Facts)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: is not a checkpoint of mnv3prof train ({error})") from None
    image_size(facts.input, f"{path}: input")
    return decode(facts.table.encode(), Table, f"{path}: table"), facts


def read_state(saved: dict[str, Any], path: Path) -> "dict[str, Tensor]":
    """Return the state_dict of a checkpoint. Raises InputError."""
    state: Any = saved.get("state_dict")
    if not _is_state(state):
        raise InputError(f"{path}: is damaged: state_dict; expected tensors by name")
    return dict(state)


def load(path: Path) -> tuple[dict[str, Any], str]:
    """Load a file that torch.save wrote, of tensors and plain values only.

    Return its contents and the file's SHA-256 in hexadecimal. Raises InputError.
    """
    import torch

    if not str(path).isprintable():  # runs contain the name
        raise InputError(f"{path}: the name has characters that cannot be printed; expected another name")
    data = read_file(path, _MOST_BYTES, _EXPECTED)
    _refuse_bomb(data, path)
    try:
        with warnings.catch_warnings(action="ignore"):
            saved = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises errors of any type for damaged files
        raise InputError(f"{path}: {_reason(error)}; {_EXPECTED}") from None
    if not isinstance(saved, dict):
        raise InputError(f"{path}: holds a {type(saved).__name__}; {_EXPECTED}")
    return saved, hashlib.sha256(data).hexdigest()


def _refuse_bomb(data: bytes, path: Path) -> None:
    """Raise InputError for an archive that is much larger when inflated."""
    if not data.startswith(b"PK"):
        return
    try:
        files = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, LookupError, NotImplementedError) as error:
        raise InputError(f"{path}: is not a weights file ({error}); {_EXPECTED}") from None
    inflated = sum(file.file_size for file in files)
    pickled = max((file.file_size for file in files if file.filename.endswith(".pkl")), default=0)
    if inflated > _MOST_INFLATED * len(data) + _MOST_PICKLE or pickled > _MOST_PICKLE:
        raise InputError(
            f"{path}: {len(data):,} bytes inflate to {inflated:,}; expected at most {_MOST_INFLATED} times"
        )


def _bare_state(saved: dict[str, Any], path: Path) -> "dict[str, Tensor]":
    """Return the state_dict, which may be under a key, without wrappers' prefixes."""
    inside = (saved[key] for key in _INSIDE if isinstance(saved.get(key), dict))
    state = next(inside, saved)
    if not _is_state(state):
        raise InputError(f"{path}: holds no weights; {_EXPECTED}")
    if all(map(_WRAPPERS.match, state)):
        state = {_WRAPPERS.sub("", name, count=1): tensor for name, tensor in state.items()}
    return dict(state)


def _is_state(state: object) -> bool:
    if not isinstance(state, dict) or not state:
        return False
    return all(isinstance(name, str) and is_plain(tensor) for name, tensor in state.items())


def is_plain(value: object) -> bool:
    """Return True for a dense, real tensor in memory, neither quantized nor meta."""
    import torch

    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_quantized:
        return False
    return value.device.type == "cpu" and not value.is_complex() and not value.is_nested


def _are_images(images: Any, size: tuple[int, ...]) -> bool:
    import torch

    if not is_plain(images) or images.dtype != torch.float32 or images.dim() != 4:
        return False
    count, *shape = images.shape
    few = 1 <= count <= _MOST_IMAGES and images.is_contiguous()
    return few and tuple(shape) == size and bool(torch.isfinite(images).all())


def load_into(model: "MobileNetV3", weights: Weights) -> "Tensor | None":
    """Load the weights into `model`, and return the images that came with them.

    Raises InputError if the file has changed since `weights` were read, or they do not fit.
    """
    loaded = read_weights(Path(weights.file))
    if loaded.weights.sha256 != weights.sha256:
        raise InputError(f"{weights.file}: has changed meanwhile")
    refuse_misfit(loaded, model.table)
    model.load_state_dict(loaded.state)
    return loaded.images


def refuse_misfit(loaded: Loaded, table: Table) -> None:
    """Raise InputError if the weights do not fit the network of `table`."""
    if problem := misfit(loaded, table):
        raise InputError(problem)


def misfit(loaded: Loaded, table: Table) -> str:
    """Return the reason why the weights do not fit the network of `table`, or ""."""
    import torch

    from ..mobilenetv3.network import build

    where, state = loaded.weights.file, loaded.state
    if loaded.table is not None and (field := _difference(loaded.table, table)):
        return (
            f"{where}: holds the weights of {loaded.table.name}, which differs from {table.name} in {field}; "
            "omit the source and its options to use the trained network"
        )
    if _is_timms(state) and table.names != "timm":
        return (
            f"{where}: has timm's names (conv_stem.weight), {table.name} those of {table.names}; "
            'expected a layer table with names = "timm"'
        )
    with torch.device("meta"):
        wanted = build(table).state_dict()
    shared = {key: (state[key], tensor) for key, tensor in wanted.items() if key in state}
    problems = (
        *(f"it lacks {key}" for key in wanted if key not in state),
        *(f"{key} is none of its parameters" for key in state if key not in wanted),
        *(
            f"{key} is {_shape(own)}, not {_shape(tensor)}"
            for key, (own, tensor) in shared.items()
            if own.shape != tensor.shape
        ),
        *(
            f"{key} is of {str(own.dtype).removeprefix('torch.')}"
            for key, (own, tensor) in shared.items()
            if own.dtype.is_floating_point != tensor.dtype.is_floating_point
        ),
    )
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: does not fit {table.name}: {problems[0]}{more}" if problems else ""


def _is_timms(state: "dict[str, Tensor]") -> bool:
    return "conv_stem.weight" in state


def _difference(known: Table, table: Table) -> str:
    """Return the first field in which two tables differ, ignoring their names, or ""."""
    fields = (name for name in Table.__struct_fields__ if name != "name")
    return next((name for name in fields if getattr(known, name) != getattr(table, name)), "")


def _shape(tensor: "Tensor") -> str:
    return "×".join(map(str, tensor.shape)) or "a scalar"


def _reason(error: Exception) -> str:
    """Return the reason why torch.load failed."""
    if refused := re.search(r"Unsupported global: GLOBAL (\S+)", str(error)):
        return f"holds a pickled {refused[1]}, which would run code; save model.state_dict() instead"
    first = str(error).strip().partition("\n")[0].partition(". ")[0][:100]
    return f"is not a weights file ({first or type(error).__name__})"
