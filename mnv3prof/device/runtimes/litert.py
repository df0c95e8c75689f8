"""LiteRT with XNNPACK on the CPU."""

from __future__ import annotations

import re
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, Callable

from ..litert_profile import operator_times
from ..protocol import Placed, Planned, RuntimeOp
from . import Bind, Job

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from . import Arrays, Call

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
    sources, targets = ends(interpreter)
    run, reads = interpreter.invoke, [reader(interpreter, target) for target in targets]

    def bind(images: Arrays) -> Call:
        fills = [
            partial(interpreter.set_tensor, source["index"], _quantize(source, each))
            for source, each in zip(sources, images)
        ]

        def call() -> object:
            for fill in fills:
                fill()
            run()
            outputs = []
            for read in reads:
                outputs.append(read())
            return outputs

        return call

    return bind


def ends(interpreter: Any) -> tuple[list[Any], list[Any]]:
    """Return the details of inputs and outputs, in the part's order.

    The converter names them args_0, args_1, ... and output_0, ..., and has them in an order of its own. Those
    of a file with other names are in the file's order.
    """
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        found = [_numbered(each) for each in (runner.get_input_details(), runner.get_output_details())]
        if all(found):
            return found[0], found[1]
    return interpreter.get_input_details(), interpreter.get_output_details()


def _numbered(details: dict[str, Any]) -> list[Any]:
    """Return the values whose keys end in the numbers from 0 in their order, [] if one does not."""
    places = {name: re.fullmatch(r"(?:args|output)_(\d+)", name) for name in details}
    by_place = {int(place[1]): details[name] for name, place in places.items() if place}
    return [by_place[n] for n in range(len(details))] if {*by_place} == {*range(len(details))} else []


def reader(interpreter: Any, target: Any) -> Callable[[], Any]:
    """Return what copies an output."""
    read = partial(interpreter.get_tensor, target["index"])
    scale, zero = target["quantization"]
    return (lambda: Quantized(read(), scale, zero)) if scale else read


class Quantized:
    """An int8 output, which NumPy converts to (values - zero) * scale."""

    def __init__(self, values: NDArray[Any], scale: float, zero: int) -> None:
        self.values, self.scale, self.zero = values, scale, zero

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return (self.values.astype("float32") - self.zero) * self.scale


def _quantize(source: Any, given: NDArray[Any]) -> NDArray[Any]:
    """Return an input in the dtype of the model's, quantized if that is."""
    import numpy as np

    scale, zero = source["quantization"]
    if not scale:
        return given.astype(source["dtype"], copy=False)
    bounds = np.iinfo(source["dtype"])
    levels = np.round(given / scale) + zero
    quantized: NDArray[Any] = np.clip(levels, bounds.min, bounds.max).astype(source["dtype"])
    return quantized


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """Return the mean time of each operator from LiteRT's profiler."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(job.model))
    sources = ends(interpreter)[0]
    given = {source["index"]: _quantize(source, each) for source, each in zip(sources, job.given)}
    in_file = [given[source["index"]] for source in interpreter.get_input_details()]
    times = operator_times(job.model, in_file, job.threads, calls)
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
