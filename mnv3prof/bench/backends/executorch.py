"""ExecuTorch with XNNPACK on the CPU."""

from ...cost.counts import Dtype
from . import Call, Job, Usable, installed

WHAT = "ExecuTorch (mobile runtime) with XNNPACK"
DTYPES: tuple[Dtype, ...] = ("fp32", "int8")
FORMAT = "executorch"
ROOF = "cpu"
IMPORTS = ("torch", "executorch.extension.pybindings.portable_lib")


def usable() -> Usable:
    """Where its package is installed."""
    return installed("executorch", "executorch")


def prepare(job: Job) -> Call:
    """A program from its file: one from bytes would have to keep them alive."""
    import torch
    from executorch.extension.pybindings import portable_lib

    portable_lib._unsafe_reset_threadpool(job.threads)
    module = portable_lib._load_for_executorch(str(job.model))
    inputs = (torch.from_numpy(job.given),)
    return lambda: module.forward(inputs)[0]
