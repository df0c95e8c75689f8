"""OpenVINO on the CPU."""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from statistics import median
from typing import TYPE_CHECKING, Any

from ..protocol import RuntimeOp
from . import Bind, Job, Unsupported, input_names, output_names

if TYPE_CHECKING:
    from . import Arrays, Call

WHAT = "OpenVINO, CPU plugin"
DTYPES = ("fp32", "fp16", "bf16", "int8")
FORMAT = "openvino"
PACKAGE = "openvino"
PEAK = "cpu"
IMPORTS = ("openvino",)

_PRECISION = {"fp32": "f32", "int8": "f32", "fp16": "f16", "bf16": "bf16"}
_CAPABILITY = {"fp16": "FP16", "bf16": "BF16"}


def load(job: Job) -> Bind:
    """Create an infer request, whose calls share their input with the caller."""
    model = compiled(job)
    request = model.create_infer_request()
    places = _places(model.outputs)
    chosen = itemgetter(*(places[name] for name in output_names(len(job.expected))))

    def bind(given: Arrays) -> Call:
        feed = _feed(model, given)
        return lambda: chosen(request.infer(feed, share_inputs=True).to_tuple())

    return bind


def _feed(model: Any, given: Arrays) -> dict[int, Any]:
    """Return the inputs by index, without those that the converter left out, which nothing reads."""
    places = _places(model.inputs)
    return {places[name]: each for name, each in zip(input_names(len(given)), given) if name in places}


def _places(ports: Any) -> dict[str, int]:
    """Return the index of the port with each name."""
    return {name: n for n, port in enumerate(ports) for name in port.names}


def compiled(job: Job, *, count: bool = False) -> Any:
    """Compile the model in the job's dtype; OpenVINO's default on some CPUs is bf16.

    count: record the time of each operation. Raises Unsupported if the CPU lacks the precision.
    """
    import openvino

    core = openvino.Core()
    needed = _CAPABILITY.get(job.dtype)
    if needed and needed not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unsupported(f"OpenVINO does not compute in {job.dtype} on this CPU")
    hints = {
        "INFERENCE_NUM_THREADS": job.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _PRECISION[job.dtype],
        "PERF_COUNT": count,
    }
    return core.compile_model(core.read_model(job.model), "CPU", hints)


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """Return the median time of each executed node from the request's profiling."""
    model = compiled(job, count=True)
    request, feed = model.create_infer_request(), _feed(model, job.given)
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(calls):
        request.infer(feed, share_inputs=True)
        for node in request.get_profiling_info():
            if node.status == node.Status.EXECUTED:
                times[node.node_name, node.node_type].append(node.real_time.total_seconds())
    return tuple(RuntimeOp(name, kind, median(taken)) for (name, kind), taken in times.items())
