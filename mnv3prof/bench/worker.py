"""The process that owns one runtime: it prepares parts and times them, one request at a time."""

import contextlib
import os
import warnings
from multiprocessing.connection import Connection
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..arch.layers import Graph
from ..record.run import Status
from .backends import Call, backend
from .clock import Visit, visit

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE: Final = 1e-4
"""The largest error of an fp32 output, relative to its largest magnitude."""


class Prepare(NamedTuple):
    """Ask for a part to be made ready and run once."""

    part: str


class Sample(NamedTuple):
    """Ask for a visit of so many seconds to a part that is ready."""

    part: str
    seconds: float


class Prepared(NamedTuple):
    """A part is ready: how long it took, its first run, and how far its output is from PyTorch's."""

    load_s: float
    first_s: float
    max_abs_err: float
    max_rel_err: float
    wrong: bool


class Failed(NamedTuple):
    """A request that came to nothing, and why."""

    status: Status
    reason: str


def serve(name: str, graph: Graph, batch: int, threads: int, connection: Connection) -> None:
    """Answer requests with Prepared, Visit or Failed until the other end closes."""
    _be_silent()
    from .parts import make_parts

    runtime = backend(name)
    parts = make_parts(graph, batch)
    calls: dict[str, Call] = {}

    def answer(request: Prepare | Sample) -> Prepared | Visit:
        if isinstance(request, Sample):
            return visit(calls[request.part], request.seconds)
        part = parts[request.part]
        start = perf_counter()
        call = runtime.prepare(part, threads)
        load_s = perf_counter() - start
        calls[part.name] = call
        return _first_run(call, load_s, part.expected)

    with contextlib.suppress(EOFError, KeyboardInterrupt):  # the parent has gone, or the user goes
        while True:
            request = connection.recv()
            try:
                connection.send(answer(request))
            except Exception as error:  # whatever a runtime does wrong is a row
                connection.send(Failed("crashed", _in_a_line(error)))


def _in_a_line(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}".rstrip(": ")[:200]


def _be_silent() -> None:
    """What runtimes and converters print is not the tool's output."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")


def _first_run(call: Call, load_s: float, expected: Any) -> Prepared:
    import numpy as np

    start = perf_counter()
    output = call()
    first_s = perf_counter() - start
    absolute, relative = _errors(np.asarray(output), np.asarray(expected))
    return Prepared(load_s, first_s, absolute, relative, not relative <= TOLERANCE)


def _errors(output: "NDArray[Any]", expected: "NDArray[Any]") -> tuple[float, float]:
    """Largest absolute error, and the same relative to the largest expected magnitude."""
    import numpy as np

    if output.shape != expected.shape:
        raise ValueError(f"the output's shape is {output.shape}, PyTorch's {expected.shape}")
    absolute = float(np.max(np.abs(output.astype(np.float64) - expected)))
    largest = float(np.max(np.abs(expected)))
    return absolute, absolute / largest if largest else absolute
