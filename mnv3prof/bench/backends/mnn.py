"""MNN on the CPU."""

from ...cost.counts import Dtype
from . import Call, Job, Usable, installed

WHAT = "MNN (mobile runtime)"
DTYPES: tuple[Dtype, ...] = ("fp32",)
FORMAT = "mnn"
ROOF = "cpu"
IMPORTS = ("MNN",)


def usable() -> Usable:
    """Where its package is installed, and what exports to it."""
    exporter = installed("onnx", "mnn")
    return installed("mnn", "mnn") if exporter.ok else exporter


def prepare(job: Job) -> Call:
    """A session in its highest precision, fp32."""
    import MNN
    import numpy as np

    interpreter = MNN.Interpreter(str(job.model))
    session = interpreter.createSession({"numThread": job.threads, "backend": "CPU", "precision": "high"})
    source, target = interpreter.getSessionInput(session), interpreter.getSessionOutput(session)
    shape, kind = job.expected.shape, MNN.Halide_Type_Float
    given = MNN.Tensor(job.given.shape, kind, job.given, MNN.Tensor_DimensionType_Caffe)
    room = np.zeros(shape, np.float32)
    output = MNN.Tensor(shape, kind, room, MNN.Tensor_DimensionType_Caffe)

    def call() -> object:
        source.copyFrom(given)
        interpreter.runSession(session)
        target.copyToHostTensor(output)
        return np.asarray(output.getNumpyData()).reshape(shape)

    return call
