"""PyTorch eager on the CPU."""

from ...cost.counts import Dtype
from ...device.protocol import RuntimeOp
from ...device.runtimes import Call, Job
from ..torch_call import torch_call, torch_operators

WHAT = "PyTorch eager"
DTYPES: tuple[Dtype, ...] = ("fp32", "fp16", "bf16")
FORMAT = ""
ROOF = "cpu"
PACKAGE = "torch"
IMPORTS = ("torch",)
ALIASES = ("torch",)


def prepare(job: Job) -> Call:
    """The module itself, without gradients."""
    return torch_call(job)


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """What PyTorch's profiler says of each operator."""
    return torch_operators(job, calls)
