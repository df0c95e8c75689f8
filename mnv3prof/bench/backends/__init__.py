"""The runtimes: one file each; the file's stem is the backend's name, with - for _.

A file says
    WHAT it is, which DTYPES it takes, and in which FORMAT it reads a part ("": the PyTorch module);
    on which PyTorch device ROOF the machine's peak rates are measured for it ("": on none);
    which IMPORTS its process makes before anything is timed;
    that it COMPILES a part for seconds whenever it loads it, if it does; its ALIASES, if it has any;
and has two functions: usable() tells whether it can run here, and prepare(job) makes a call that
returns when its output is ready. Where the runtime has a profiler, a third, operators(job, calls),
tells what it says of each of its operators; where its memory plan can be read, planned(part, dtype) does.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ...cost.counts import Dtype
from ..registry import canonical, file_names

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


class Job(NamedTuple):
    """A part that a backend is to make ready.

    model: the file that its FORMAT wrote, or the module itself. given: the input, (N, ...), fp32.
    expected: PyTorch eager's output, fp32.
    """

    part: str
    model: Any
    given: "NDArray[Any]"
    expected: "NDArray[Any]"
    dtype: Dtype
    threads: int


Call = Callable[[], Any]
"""Runs a part once, input in place to output ready; the output, as numpy or PyTorch has it."""


class Backend(Protocol):
    """What a backend's file holds."""

    WHAT: str
    DTYPES: tuple[Dtype, ...]
    FORMAT: str
    ROOF: str
    IMPORTS: tuple[str, ...]

    def usable(self) -> Usable:
        """Whether it can run here."""

    def prepare(self, job: Job) -> Call:
        """The call that runs the part. Raises Unsupported where the runtime lacks what it needs."""


def compiles(name: str) -> bool:
    """Whether loading a part on that backend takes seconds."""
    return getattr(backend(name), "COMPILES", False)


def names() -> tuple[str, ...]:
    """The backends there are."""
    return file_names(__file__)


def name_of(called: str) -> str:
    """The name of the backend called so, by name or alias. Raises InputError, with those there are."""
    return canonical(called, "backend", names(), backend)


def backend(name: str) -> Backend:
    """The backend called `name`; only its file is imported."""
    return import_module(f".{name.replace('-', '_')}", __name__)
