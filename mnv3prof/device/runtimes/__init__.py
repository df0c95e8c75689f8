"""The runtimes that can be timed on any device, one module each.

The stem of the file is the backend's name, with - for _. Each module defines
    WHAT: a description; DTYPES: the dtypes it supports; FORMAT: the format it reads ("" for none);
    PACKAGE: the package it needs, as pip names it ("" for none);
    PEAK: the device whose measured peaks are its limits ("" for none);
    IMPORTS: modules to import before anything is timed;
    load(job): load a part and return a Bind, which makes a Call of an input;
and may define
    ALIASES: other names; COMPILES: True if it compiles each part for seconds when it loads it;
    SIMULATED: text in the name of a simulated device, whose times mean nothing;
    chip(): the name of the device, if it is not "cpu"; operators(job, calls): the time of each operator;
    planned(job): the arena.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Unsupported(Exception):  # noqa: N818 - an expected result
    """Raised, with the reason, if a runtime or converter does not support something."""


class Job(NamedTuple):
    """A part to load.

    model: the converted file, or the module itself. given: the input, (N, ...), fp32. expected: PyTorch
    eager's output, fp32. threads: number of inference threads.
    """

    part: str
    model: Any
    given: NDArray[Any]
    expected: NDArray[Any]
    dtype: str
    threads: int


Call = Callable[[], Any]
"""Runs a part once, from the input in memory to the output in memory. Returns an array or a tensor."""

Bind = Callable[["NDArray[Any]"], Call]
"""Makes the call of a loaded part on an input of the job's shape, fp32."""


def runtime(name: str) -> Any:
    """Import the module of the runtime called `name`. Raises ImportError."""
    return import_module(f".{name.replace('-', '_')}", __name__)
