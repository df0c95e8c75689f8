"""MNN on the CPU."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..protocol import RuntimeOp
from . import Bind, Job, input_names, output_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from . import Arrays, Call

WHAT = "MNN (mobile runtime)"
DTYPES = ("fp32",)
FORMAT = "mnn"
PACKAGE = "MNN"
PEAK = "cpu"
IMPORTS = ("MNN",)


def load(job: Job) -> Bind:
    """Create a session with precision "high", which is fp32."""
    import numpy as np

    interpreter, session = _session(job)
    names = output_names(len(job.expected))
    results = [
        (interpreter.getSessionOutput(session, name), _tensor(np.zeros_like(each)), each.shape)
        for name, each in zip(names, job.expected)
    ]

    def bind(given: Arrays) -> Call:
        images = _inputs(interpreter, session, given)

        def call() -> object:
            for source, image in images:
                source.copyFrom(image)
            interpreter.runSession(session)
            outputs = []
            for target, output, shape in results:
                target.copyToHostTensor(output)
                outputs.append(np.asarray(output.getNumpyData()).reshape(shape))
            return outputs

        return call

    return bind


def _session(job: Job) -> tuple[Any, Any]:
    """Return the interpreter and a session."""
    import MNN

    interpreter = MNN.Interpreter(str(job.model))
    session = interpreter.createSession({"numThread": job.threads, "backend": "CPU", "precision": "high"})
    return interpreter, session


def _inputs(interpreter: Any, session: Any, given: Arrays) -> list[tuple[Any, Any]]:
    """Return each of the session's inputs with what is copied there; it has none that nothing reads."""
    sources = interpreter.getSessionInputAll(session)
    named = zip(input_names(len(given)), given)
    return [(sources[name], _tensor(each)) for name, each in named if name in sources]


def _tensor(values: NDArray[Any]) -> Any:
    """Return a tensor of floats, or of integers of 32 bits, which are all that MNN has."""
    import MNN

    kind = MNN.Halide_Type_Float
    if values.dtype.kind != "f":
        kind, values = MNN.Halide_Type_Int, values.astype("int32")
    return MNN.Tensor(values.shape, kind, values, MNN.Tensor_DimensionType_Caffe)


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """Return the median time between MNN's callbacks before and after each operator."""
    interpreter, session = _session(job)
    images = _inputs(interpreter, session, job.given)
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
        for source, image in images:
            source.copyFrom(image)
        interpreter.runSessionWithCallBackInfo(session, before, after)
    return tuple(
        RuntimeOp(name, kind, median(taken), shapes[name, kind]) for (name, kind), taken in times.items()
    )
