"""The runtimes: one file each; the file's stem is the backend's name, with - for _.

A file says WHAT it is and which DTYPES it takes, and has two functions: usable() tells whether it
can run here, and prepare(part) makes of a part a call that returns when its output is ready.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ...arch.table import InputError, shown

if TYPE_CHECKING:
    from torch import Tensor, nn


class Usable(NamedTuple):
    """Whether a backend runs here: `version` and `device` if so, else the `reason` and the remedy."""

    ok: bool
    version: str = ""
    device: str = ""
    reason: str = ""


def installed(package: str, extra: str, device: str = "cpu") -> Usable:
    """Usable if the distribution `package` is installed, else with the command that installs it."""
    try:
        return Usable(True, version(package), device)
    except PackageNotFoundError:
        return Usable(False, reason=f"{package} is not installed: pip install 'mnv3prof[{extra}]'")


class Part(NamedTuple):
    """A piece of the network with its image or the activations it gets, (N, ...), and eager's output."""

    name: str
    module: "nn.Module"
    given: "Tensor"
    expected: "Tensor"


Call = Callable[[], Any]
"""Runs a part once, input in place to output ready; the output, as numpy reads it."""


class Backend(Protocol):
    """What a backend's file holds."""

    WHAT: str
    DTYPES: tuple[str, ...]

    def usable(self) -> Usable:
        """Whether it can run here."""

    def prepare(self, part: Part, threads: int) -> Call:
        """The call that runs `part` with so many threads."""


def names() -> tuple[str, ...]:
    """The backends there are."""
    files = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
    return tuple(stem.replace("_", "-") for stem in files if stem != "__init__")


def backend(name: str) -> Backend:
    """The backend called `name`; only its file is imported. Raises InputError, with those there are."""
    if name not in names():
        raise InputError(f"backend: {shown(name)} is not known; allowed are {', '.join(names())}")
    return import_module(f".{name.replace('-', '_')}", __name__)
