"""MNN on the CPU."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..protocol import RuntimeOp
from . import Bind, Job

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from . import Call

WHAT = "MNN (mobile runtime)"
DTYPES = ("fp32",)
FORMAT = "mnn"
PACKAGE = "MNN"
PEAK = "cpu"
IMPORTS = ("MNN",)


def load(job: Job) -> Bind:
    """Create a session with precision "high", which is fp32."""
    import MNN
    import numpy as np

    interpreter, session = _session(job)
    source, target = interpreter.getSessionInput(session), interpreter.getSessionOutput(session)
    shape = job.expected.shape
    buffer = np.zeros(shape, np.float32)
    output = MNN.Tensor(shape, MNN.Halide_Type_Float, buffer, MNN.Tensor_DimensionType_Caffe)

    def bind(images: NDArray[Any]) -> Call:
        given = _tensor(images)

        def call() -> object:
            source.copyFrom(given)
            interpreter.runSession(session)
            target.copyToHostTensor(output)
            return np.asarray(output.getNumpyData()).reshape(shape)

        return call

    return bind


def _session(job: Job) -> tuple[Any, Any]:
    """Return the interpreter and a session."""
    import MNN

    interpreter = MNN.Interpreter(str(job.model))
    session = interpreter.createSession({"numThread": job.threads, "backend": "CPU", "precision": "high"})
    return interpreter, session


def _tensor(images: NDArray[Any]) -> Any:
    import MNN

    return MNN.Tensor(images.shape, MNN.Halide_Type_Float, images, MNN.Tensor_DimensionType_Caffe)


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """Return the median time between MNN's callbacks before and after each operator."""
    interpreter, session = _session(job)
    given = _tensor(job.given)
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    shapes: dict[tuple[str, str], tuple[int, ...]] = {}
    start = 0.0

    def before(tensors: Any, op: Any) -> bool:
        nonlocal start
        start = perf_counter()
        return True

    def after(tensors: Any, op: Any) -> bool:
        seconds = perf_counter() - start
        key = op.getName(), op.getType()
        times[key].append(seconds)
        shapes[key] = tuple(tensors[0].getShape()[1:])
        return True

    for _ in range(calls):
        interpreter.getSessionInput(session).copyFrom(given)
        interpreter.runSessionWithCallBackInfo(session, before, after)
    return tuple(
        RuntimeOp(name, kind, median(taken), shapes[name, kind]) for (name, kind), taken in times.items()
    )
