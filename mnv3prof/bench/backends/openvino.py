"""OpenVINO on the CPU, from the part's ONNX form: its own converter would send telemetry."""

from ..onnx import to_onnx
from . import Call, Part, Usable, installed

WHAT = "OpenVINO, CPU plugin"
DTYPES = ("fp32",)


def usable() -> Usable:
    """Where its package is installed."""
    return installed("openvino", "openvino")


def prepare(part: Part, threads: int) -> Call:
    """A compiled model; its default precision on some processors is bf16, so fp32 is asked for."""
    import openvino

    core = openvino.Core()
    hints = {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }  # fmt: skip
    request = core.compile_model(core.read_model(to_onnx(part)), "CPU", hints).create_infer_request()
    feed = {0: part.given.numpy()}
    return lambda: request.infer(feed, share_inputs=True)[0]
