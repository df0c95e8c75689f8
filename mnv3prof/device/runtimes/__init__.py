"""The runtimes that can be timed on any device: one file each; its stem is the backend's name, with - for _.

A file says
    WHAT it is, which DTYPES it takes, in which FORMAT it reads a part ("" for none), and the PACKAGE (as pip
    names it) that it needs ("" for none);
    which peak rates of the machine, its ROOF, its own are held against ("" for none);
    which IMPORTS its process makes before anything is timed;
    that it COMPILES a part for seconds whenever it loads it, if it does; its ALIASES, if it has any;
    what is in the name of a chip that is SIMULATED, so that times on it mean nothing, if there is one;
and has a function prepare(job), which makes a call that returns when its output is ready. Others it may
have: chip() tells what it runs on, other than "cpu"; operators(job, calls) what its profiler says of each
operator; planned(job) what arena it makes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Unsupported(Exception):  # noqa: N818 - a finding, not an error
    """Raised for what a runtime or converter does not support, with the reason."""


class Job(NamedTuple):
    """A part to be loaded.

    model: the file that its FORMAT wrote, or the module itself. given: the input, (N, ...), fp32.
    expected: PyTorch eager's output, fp32. threads: of the runtime.
    """

    part: str
    model: Any
    given: NDArray[Any]
    expected: NDArray[Any]
    dtype: str
    threads: int


Call = Callable[[], Any]
"""Run a part once, from the input in memory to the output in memory. Returns an array or a tensor."""


def runtime(name: str) -> Any:
    """Import the file of the runtime called `name`. Raises ImportError."""
    return import_module(f".{name.replace('-', '_')}", __name__)
