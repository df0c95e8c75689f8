"""The backends: the runtimes of device/, and PyTorch's own in this folder, which run a module.

Files have the form that device/runtimes/ describes, but one whose FORMAT is "" runs the module itself. The
file's stem is the backend's name, with - for _.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple, Protocol, cast

from ...cost.counts import Dtype
from ...device import runtimes
from ...device.runtimes import Call, Job, Unsupported, runtime
from ...registry import canonical, file_names
from ..formats import form

_HERE = frozenset(file_names(__file__))


class Usable(NamedTuple):
    """Version and chip of a backend that runs here; of another the reason, with the remedy."""

    ok: bool
    version: str = ""
    chip: str = ""
    reason: str = ""


class Backend(Protocol):
    """The contents of a backend's file."""

    WHAT: str
    DTYPES: tuple[Dtype, ...]
    FORMAT: str
    PACKAGE: str
    ROOF: str
    IMPORTS: tuple[str, ...]

    def prepare(self, job: Job) -> Call:
        """The call that runs the part. Raises Unsupported where the runtime lacks what it needs."""


def names() -> tuple[str, ...]:
    """Return the names of all backends."""
    return tuple(sorted({*_HERE, *file_names(runtimes.__file__)}))


def name_of(called: str) -> str:
    """Return the backend's name for a name or alias. Raises InputError."""
    return canonical(called, "backend", names(), backend)


def backend(name: str) -> Backend:
    """Import the file of the backend called `name`."""
    if needs_pytorch(name):
        return cast("Backend", import_module(f".{name.replace('-', '_')}", __name__))
    return cast("Backend", runtime(name))


def needs_pytorch(name: str) -> bool:
    """True for a backend of PyTorch, which runs on this machine only."""
    return name in _HERE


def compiles(name: str) -> bool:
    """True if the backend compiles each part when it loads it."""
    return getattr(backend(name), "COMPILES", False)


def is_simulated(name: str, chip: str) -> bool:
    """True if the backend only simulates that chip, so that its times mean nothing."""
    part = getattr(backend(name), "SIMULATED", "")
    return bool(part) and part in chip


def usable(name: str) -> Usable:
    """Check that the backend and its converter are installed and that their hardware is there."""
    file = backend(name)
    converters = ("torch", form(file.FORMAT).CONVERTER) if file.FORMAT else ()
    for package in filter(None, (*converters, file.PACKAGE)):
        if not _is_installed(package):
            extra = "mnv3prof" if package == "torch" or needs_pytorch(name) else f"'mnv3prof[{name}]'"
            return Usable(False, reason=f"{package} is not installed: pip install {extra}")
    try:
        chip = getattr(file, "chip", lambda: "cpu")()
    except Unsupported as finding:
        return Usable(False, reason=str(finding))
    return Usable(True, version(file.PACKAGE) if file.PACKAGE else "", chip)


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
