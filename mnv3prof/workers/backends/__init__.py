"""The backends: the runtimes of device/, and PyTorch's own in this folder.

Modules define the names that device/runtimes/ describes. A backend of this folder with FORMAT "" runs the
module itself.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from ...cost.counts import Dtype
from ...device import runtimes
from ...device.runtimes import Bind, Job, Unsupported, runtime
from ...registry import canonical, file_names
from ..devices import require_name
from ..formats import get_format, installed

_HERE = frozenset(file_names(__file__))


class Usable(NamedTuple):
    """Version and chip of a backend that works here, or the reason why it does not."""

    ok: bool
    version: str = ""
    chip: str = ""
    reason: str = ""


class Backend(Protocol):
    """The names that a backend's module defines."""

    WHAT: str
    DTYPES: tuple[Dtype, ...]
    FORMAT: str
    PACKAGE: str
    PEAK: str
    IMPORTS: tuple[str, ...]

    def load(self, job: Job) -> Bind:
        """Load a part, and return what makes a call of an input. Raises Unsupported."""


def names() -> tuple[str, ...]:
    """Return the names of all backends."""
    return tuple(sorted({*_HERE, *file_names(runtimes.__file__)}))


def name_of(called: str) -> str:
    """Return the backend's name for a name or alias. Raises InputError."""
    return canonical(called, "backend", names(), backend)


def place_of(called: str) -> str:
    """Return "litert" or "litert@pi" for a name or alias, with or without a device. Raises InputError."""
    name, at, device = called.partition("@")
    if at:
        require_name(device)
    return name_of(name) + at + device


def backend(name: str) -> Backend:
    """Import the module of the backend called `name`."""
    if needs_pytorch(name):
        return cast("Backend", import_module(f".{name.replace('-', '_')}", __name__))
    return cast("Backend", runtime(name))


def needs_pytorch(name: str) -> bool:
    """Return True for a backend of PyTorch, which runs on this machine only."""
    return name in _HERE


def compiles(name: str) -> bool:
    """Return True if the backend compiles each part when it loads it."""
    return getattr(backend(name), "COMPILES", False)


def is_simulated(name: str, chip: str) -> bool:
    """Return True if the chip is simulated, so that its times mean nothing."""
    part = getattr(backend(name), "SIMULATED", "")
    return bool(part) and part in chip


def remote_names() -> tuple[str, ...]:
    """Return the names of the backends that can run on other devices."""
    return tuple(sorted({*file_names(runtimes.__file__)} - {"null", "executorch"}))


def convertible(name: str) -> Usable:
    """Check that the backend's converter is available."""
    file = backend(name)
    return _with_packages(name, ("torch", get_format(file.FORMAT).CONVERTER) if file.FORMAT else ())


def _with_packages(name: str, packages: Iterable[str]) -> Usable:
    for package in filter(None, packages):
        if not installed(package):
            extra = "mnv3prof" if package == "torch" or needs_pytorch(name) else f"'mnv3prof[{name}]'"
            return Usable(False, reason=f"{package} is not installed: pip install {extra}")
    return Usable(True)


def usable(name: str) -> Usable:
    """Check that the backend, its converter and its hardware are available."""
    file = backend(name)
    for lacking in (convertible(name), _with_packages(name, (file.PACKAGE,))):
        if not lacking.ok:
            return lacking
    try:
        chip = getattr(file, "chip", lambda: "cpu")()
    except Unsupported as error:
        return Usable(False, reason=str(error))
    return Usable(True, installed(file.PACKAGE) if file.PACKAGE else "", chip)
