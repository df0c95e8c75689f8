"""OpenVINO on the CPU."""

from typing import Any

from ...cost.counts import Dtype
from ..formats import Unsupported
from . import Call, Job, Usable, installed

WHAT = "OpenVINO, CPU plugin"
DTYPES: tuple[Dtype, ...] = ("fp32", "fp16", "bf16", "int8")
FORMAT = "openvino"
ROOF = "cpu"
IMPORTS = ("openvino",)

_PRECISION = {"fp32": "f32", "int8": "f32", "fp16": "f16", "bf16": "bf16"}
_CAPABILITY = {"fp16": "FP16", "bf16": "BF16"}


def usable() -> Usable:
    """Where its package is installed, and what exports to it."""
    exporter = installed("onnx", "openvino")
    return installed("openvino", "openvino") if exporter.ok else exporter


def prepare(job: Job) -> Call:
    """A compiled model's request, fed in place."""
    request = compiled(job).create_infer_request()
    feed = {0: job.given}
    return lambda: request.infer(feed, share_inputs=True)[0]


def compiled(job: Job, *, count: bool = False) -> Any:
    """The compiled model; its default precision on some processors is bf16, so one is asked for.

    count: let it keep the time of each operation.
    """
    import openvino

    core = openvino.Core()
    needed = _CAPABILITY.get(job.dtype)
    if needed and needed not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unsupported(f"OpenVINO does not compute in {job.dtype} on this processor")
    hints = {
        "INFERENCE_NUM_THREADS": job.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _PRECISION[job.dtype], "PERF_COUNT": count,
    }  # fmt: skip
    return core.compile_model(core.read_model(job.model), "CPU", hints)
