"""LiteRT with XNNPACK on the CPU."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from ..litert_profile import operator_times
from ..protocol import Placed, Planned, RuntimeOp
from . import Bind, Job

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from . import Call

WHAT = "LiteRT (mobile runtime) with XNNPACK, converted by litert-torch"
DTYPES = ("fp32", "int8")
FORMAT = "litert"
PACKAGE = "ai-edge-litert"
PEAK = "cpu"
IMPORTS = ("ai_edge_litert.interpreter",)
ALIASES = ("tflite",)


def load(job: Job) -> Bind:
    """Create an interpreter with XNNPACK, the default delegate."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(job.model), num_threads=job.threads)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = target["quantization"]

    def bind(images: NDArray[Any]) -> Call:
        given = _quantize(source, images)

        def call() -> object:
            interpreter.set_tensor(source["index"], given)
            interpreter.invoke()
            output = interpreter.get_tensor(target["index"])
            return Quantized(output, scale, zero) if scale else output

        return call

    return bind


class Quantized(NamedTuple):
    """An int8 output, which NumPy converts to (values - zero) * scale."""

    values: NDArray[Any]
    scale: float
    zero: int

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return (self.values.astype("float32") - self.zero) * self.scale


def _quantize(source: Any, given: NDArray[Any]) -> NDArray[Any]:
    """Quantize the input, if the model's input tensor is quantized."""
    import numpy as np

    scale, zero = source["quantization"]
    if not scale:
        return given
    bounds = np.iinfo(source["dtype"])
    levels = np.round(given / scale) + zero
    quantized: NDArray[Any] = np.clip(levels, bounds.min, bounds.max).astype(source["dtype"])
    return quantized


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """Return the mean time of each operator from LiteRT's profiler."""
    from ai_edge_litert.interpreter import Interpreter

    (source,) = Interpreter(str(job.model)).get_input_details()
    given = _quantize(source, job.given)
    times = operator_times(job.model, given, job.threads, calls)
    return tuple(RuntimeOp(f"{place}: {name}", name, seconds) for place, (name, seconds) in enumerate(times))


def planned(job: Job) -> Planned:
    """Return the arena of LiteRT's own kernels; XNNPACK's tensors cannot be read."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(job.model), num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    written = {int(index) for op in interpreter._get_ops_details() for index in op["outputs"]}
    written |= {int(source["index"]) for source in interpreter.get_input_details()}
    at = {index: interpreter.tensor(index)().__array_interface__["data"][0] for index in sorted(written)}
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    start = min(at.values())
    placed = tuple(_placed(details[index], address - start) for index, address in at.items())
    return Planned(max(tensor.offset + tensor.bytes for tensor in placed), placed)


def _placed(details: Any, offset: int) -> Placed:
    shape = tuple(map(int, details["shape"]))
    return Placed(shape, offset, prod(shape) * details["dtype"]().itemsize)
