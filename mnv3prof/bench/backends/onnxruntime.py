"""ONNX Runtime on the CPU."""

from ..onnx import to_onnx
from . import Call, Part, Usable, installed

WHAT = "ONNX Runtime, CPU provider"
DTYPES = ("fp32",)


def usable() -> Usable:
    """Where its package is installed."""
    return installed("onnxruntime", "onnxruntime")


def prepare(part: Part, threads: int) -> Call:
    """A session over the exported part."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait for work by spinning would slow the next worker.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(to_onnx(part), options, providers=["CPUExecutionProvider"])
    feed = {"x": part.given.numpy()}
    return lambda: session.run(None, feed)[0]
