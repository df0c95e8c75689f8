"""What parts are timed on: the runtimes of device/, and here PyTorch's own, which run a module.

A file here is as one in device/runtimes/ (which says what it holds), but reads a module where its FORMAT
is "". Its stem is the backend's name, with - for _.
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
    """Whether a backend runs here: its `version`, and the `chip` that it runs on, if so, else the `reason`
    with what to do about it.
    """

    ok: bool
    version: str = ""
    chip: str = ""
    reason: str = ""


class Backend(Protocol):
    """What a backend's file holds."""

    WHAT: str
    DTYPES: tuple[Dtype, ...]
    FORMAT: str
    PACKAGE: str
    ROOF: str
    IMPORTS: tuple[str, ...]

    def prepare(self, job: Job) -> Call:
        """The call that runs the part. Raises Unsupported where the runtime lacks what it needs."""


def names() -> tuple[str, ...]:
    """The backends there are."""
    return tuple(sorted({*_HERE, *file_names(runtimes.__file__)}))


def name_of(called: str) -> str:
    """The name of the backend called so, by name or alias. Raises InputError, with those there are."""
    return canonical(called, "backend", names(), backend)


def backend(name: str) -> Backend:
    """The backend called `name`; only its file is imported."""
    if needs_pytorch(name):
        return cast("Backend", import_module(f".{name.replace('-', '_')}", __name__))
    return cast("Backend", runtime(name))


def needs_pytorch(name: str) -> bool:
    """Whether the backend runs in PyTorch, and so on this machine only."""
    return name in _HERE


def compiles(name: str) -> bool:
    """Whether loading a part on that backend takes seconds."""
    return getattr(backend(name), "COMPILES", False)


def is_simulated(name: str, chip: str) -> bool:
    """Whether times of the backend on that chip mean nothing."""
    part = getattr(backend(name), "SIMULATED", "")
    return bool(part) and part in chip


def usable(name: str) -> Usable:
    """Whether the backend can run here, and its parts be converted to what it reads."""
    file = backend(name)
    converter = form(file.FORMAT).CONVERTER if file.FORMAT else ""
    extra = "mnv3prof" if needs_pytorch(name) else f"'mnv3prof[{name}]'"
    for package in filter(None, (converter, file.PACKAGE)):
        if not _is_installed(package):
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
