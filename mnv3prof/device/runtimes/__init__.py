"""The runtimes that can be timed on any device, one module each.

The stem of the file is the backend's name, with - for _. Each module defines
    WHAT: a description; DTYPES: the dtypes it supports; FORMAT: the format it reads ("" for none);
    PACKAGE: the package it needs, as pip names it ("" for none);
    PEAK: the device whose measured peaks are its limits ("" for none);
    IMPORTS: modules to import before anything is timed;
    load(job): load a part and return a Bind, which makes a Call of inputs;
and may define
    ALIASES: other names; COMPILES: True if it compiles each part for seconds when it loads it;
    SIMULATED: text in the name of a simulated device, whose times mean nothing;
    chip(): the name of the device, if it is not "cpu"; operators(job, calls): the time of each operator;
    planned(job): the arena.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Tuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arrays = Tuple["NDArray[Any]", ...]
"""Inputs or outputs of a part, in its order."""


class Unsupported(Exception):  # noqa: N818 - an expected result
    """Raised, with the reason, if a runtime or converter does not support something."""


class Unavailable(Exception):  # noqa: N818 - an expected result
    """Raised, with the reason, if the device cannot do now what it was asked for, e.g. keep a file."""


class Job(NamedTuple):
    """A part to load.

    model: the converted file, or the module itself. given: the inputs, each (N, ...). expected: PyTorch
    eager's outputs. threads: number of inference threads.
    """

    part: str
    model: Any
    given: Arrays
    expected: Arrays
    dtype: str
    threads: int


Call = Callable[[], Any]
"""Runs a part once, from the inputs in memory to the outputs in memory.

Returns the outputs in order, arrays or tensors, as a tuple or list; the only one may be by itself."""

Bind = Callable[[Arrays], Call]
"""Makes the call of a loaded part on inputs of the job's shapes and dtypes."""


def input_names(count: int) -> tuple[str, ...]:
    """Return the names of a part's inputs in an ONNX model: x, x1, x2, ..."""
    return _numbered("x", count)


def output_names(count: int) -> tuple[str, ...]:
    """Return the names of a part's outputs in an ONNX model: y, y1, y2, ..."""
    return _numbered("y", count)


def _numbered(letter: str, count: int) -> tuple[str, ...]:
    return tuple(f"{letter}{n or ''}" for n in range(count))


def runtime(name: str) -> Any:
    """Import the module of the runtime called `name`. Raises ImportError."""
    return import_module(f".{name.replace('-', '_')}", __name__)
