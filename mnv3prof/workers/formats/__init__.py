"""The file formats that runtimes read, one module each, named as the format.

Each module defines
    WHAT: a description; DTYPES: the dtypes it can be converted to;
    CONVERTER: the converter's package, as pip names it;
    PACKAGES: packages whose versions influence the result; SUFFIX: of the main file;
    convert(part, dtype, folder): write the part;
and may define
    ALIASES: other names; MOST_IMAGES: the largest batch;
    OPSETS: the opset versions that it can be written in, by dtype; convert() then takes `opset` too;
    LAYOUTS: the layouts of its input and output, if there is more than "nchw";
    added(file): the operators in a main file that reorder or pad, which no network here has itself;
    SLOW: True if the converter takes about ten seconds to start;
    planned(part, dtype): the arena that the converter plans, for one of PLANNED_DTYPES.
"""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ...cost.counts import Dtype
from ...device.protocol import Planned
from ...registry import canonical, file_names

if TYPE_CHECKING:
    from torch import Tensor, nn

    Tensors = tuple[Tensor, ...]

Layout = Literal["nchw", "nhwc"]


class Added(NamedTuple):
    """An operator that a converter added to the network's. kind: in the format's own terms."""

    kind: str
    name: str


class Part(NamedTuple):
    """A part of a network, with its inputs and PyTorch eager's outputs.

    module: from the inputs to the only output, or a tuple of several. given, expected: each (N, ...).
    calibration: inputs for int8 calibration, each (M, ...), M a multiple of N.
    file: the model to convert or run instead of the module, of a network that was read from a file.
    """

    name: str
    module: "nn.Module"
    given: "Tensors"
    expected: "Tensors"
    calibration: "Tensors"
    file: Path | None = None


def batches(part: Part) -> "Sequence[Tensors]":
    """Split the calibration inputs into batches of the part's size."""
    split = (
        [whole[n : n + len(given)] for n in range(0, len(whole), len(given))]
        for whole, given in zip(part.calibration, part.given, strict=True)
    )
    return list(zip(*split, strict=True))


def computed(module: "nn.Module", given: "Tensors", *, copied: bool = True) -> "Tensors":
    """Return the outputs of a part's module. copied: of copies of the inputs, since it may change them."""
    import torch

    with torch.no_grad():
        found = module(*((each.clone() if copied else each) for each in given))
    return found if isinstance(found, tuple) else (found,)


class Format(Protocol):
    """The names that a format's module defines."""

    WHAT: str
    DTYPES: tuple[Dtype, ...]
    CONVERTER: str
    PACKAGES: tuple[str, ...]
    SUFFIX: str

    def convert(self, part: Part, dtype: Dtype, folder: Path) -> Path:
        """Write the part into `folder` and return the path of the main file."""


class Planner(Protocol):
    """The further names of a format whose converter plans the memory."""

    PLANNED_DTYPES: tuple[Dtype, ...]

    def planned(self, part: Part, dtype: Dtype) -> Planned:
        """Return the arena of the part. Raises Unsupported if the plan cannot be read."""


@cache
def installed(package: str) -> str:
    """Return the version of an installed package, or ""."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def names() -> tuple[str, ...]:
    """Return the names of all formats."""
    return file_names(__file__)


def name_of(called: str) -> str:
    """Return the format's name for a name or alias. Raises InputError."""
    return canonical(called, "format", names(), get_format)


def get_format(name: str) -> Format:
    """Import the module of the format called `name`."""
    return import_module(f".{name}", __name__)


def stored_dtype(name: str, dtype: Dtype) -> Dtype:
    """Return the dtype of the converted file; fp32 if the runtime rounds on loading."""
    return dtype if dtype in get_format(name).DTYPES else "fp32"
