"""ONNX Runtime on the CPU."""

from typing import Any

from ...cost.counts import Dtype
from . import Call, Job, Usable, installed

WHAT = "ONNX Runtime, CPU provider"
DTYPES: tuple[Dtype, ...] = ("fp32", "int8")
FORMAT = "onnx"
ROOF = "cpu"
IMPORTS = ("onnxruntime",)


def usable() -> Usable:
    """Where its package is installed, and what exports to it."""
    exporter = installed("onnx", "onnxruntime")
    return installed("onnxruntime", "onnxruntime") if exporter.ok else exporter


def prepare(job: Job) -> Call:
    """A session over the exported part."""
    import onnxruntime

    session = onnxruntime.InferenceSession(job.model, options(job), providers=["CPUExecutionProvider"])
    feed = {"x": job.given}
    return lambda: session.run(None, feed)[0]


def options(job: Job) -> Any:
    """How sessions run here: threads that wait for work by spinning would slow the next worker."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return options
