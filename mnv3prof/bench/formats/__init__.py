"""The forms that runtimes read: one file each; the file's stem is its name for `export --to`.

A file says WHAT it is, which DTYPES it can be converted to, the CONVERTER (as pip names its package), on
which PACKAGES' versions the outcome depends, the SUFFIX of its main file, its ALIASES, if it has any, and
how many images a call takes at most, MOST_IMAGES, if that is limited, and that its converter is SLOW, if it
needs some ten seconds to begin; its function convert(part, dtype, folder) writes the part there.
planned(part, dtype), if it has that, tells what arena the converter plans
for one of PLANNED_DTYPES.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ...cost.counts import Dtype
from ...device.protocol import Planned
from ...registry import canonical, file_names

if TYPE_CHECKING:
    from torch import Tensor, nn


class Part(NamedTuple):
    """A piece of the network with its image or the activations it gets, (N, ...), and eager's output.

    calibration: more inputs, (M, ...), M a multiple of N, whose ranges int8 is fitted to.
    """

    name: str
    module: "nn.Module"
    given: "Tensor"
    expected: "Tensor"
    calibration: "Tensor"


def batches(part: Part) -> "Sequence[Tensor]":
    """The calibration inputs, as many at a time as the part takes."""
    count = len(part.given)
    return [part.calibration[n : n + count] for n in range(0, len(part.calibration), count)]


class Format(Protocol):
    """What a format's file holds."""

    WHAT: str
    DTYPES: tuple[Dtype, ...]
    CONVERTER: str
    PACKAGES: tuple[str, ...]
    SUFFIX: str

    def convert(self, part: Part, dtype: Dtype, folder: Path) -> Path:
        """Write the part into `folder`; the main file's path."""


class Planner(Protocol):
    """What a format's file also holds where its converter plans the memory."""

    PLANNED_DTYPES: tuple[Dtype, ...]

    def planned(self, part: Part, dtype: Dtype) -> Planned:
        """The arena of the part. Raises Unsupported where the plan cannot be read."""


def names() -> tuple[str, ...]:
    """The formats there are."""
    return file_names(__file__)


def name_of(called: str) -> str:
    """The name of the format called so, by name or alias. Raises InputError, with those there are."""
    return canonical(called, "format", names(), form)


def form(name: str) -> Format:
    """The format called `name`; only its file is imported."""
    return import_module(f".{name}", __name__)


def stored_dtype(name: str, dtype: Dtype) -> Dtype:
    """The type in which the format called `name` is converted; fp32 where the runtime rounds as it loads."""
    return dtype if dtype in form(name).DTYPES else "fp32"
