"""OpenVINO on the CPU."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, Any

from ..protocol import RuntimeOp
from . import Bind, Job, Unsupported

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from . import Call

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
    request = compiled(job).create_infer_request()

    def bind(given: NDArray[Any]) -> Call:
        feed = {0: given}
        return lambda: request.infer(feed, share_inputs=True)[0]

    return bind


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
    request = compiled(job, count=True).create_infer_request()
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(calls):
        request.infer({0: job.given}, share_inputs=True)
        for node in request.get_profiling_info():
            if node.status == node.Status.EXECUTED:
                times[node.node_name, node.node_type].append(node.real_time.total_seconds())
    return tuple(RuntimeOp(name, kind, median(taken)) for (name, kind), taken in times.items())
