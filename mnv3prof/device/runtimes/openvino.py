"""OpenVINO on the CPU."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Any

from ..protocol import RuntimeOp
from . import Call, Job, Unsupported

WHAT = "OpenVINO, CPU plugin"
DTYPES = ("fp32", "fp16", "bf16", "int8")
FORMAT = "openvino"
PACKAGE = "openvino"
PEAK = "cpu"
IMPORTS = ("openvino",)

_PRECISION = {"fp32": "f32", "int8": "f32", "fp16": "f16", "bf16": "bf16"}
_CAPABILITY = {"fp16": "FP16", "bf16": "BF16"}


def prepare(job: Job) -> Call:
    """Create an infer request that shares its input with the job."""
    request = compiled(job).create_infer_request()
    feed = {0: job.given}
    return lambda: request.infer(feed, share_inputs=True)[0]


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
