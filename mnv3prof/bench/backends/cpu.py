"""PyTorch eager on the CPU."""

from ...cost.counts import Dtype
from ...record.operators import RuntimeOp
from ..torch_call import torch_call, torch_operators
from . import Call, Job, Usable, installed

WHAT = "PyTorch eager"
DTYPES: tuple[Dtype, ...] = ("fp32", "fp16", "bf16")
FORMAT = ""
ROOF = "cpu"
IMPORTS = ("torch",)
ALIASES = ("torch",)


def usable() -> Usable:
    """Where PyTorch is, which is everywhere."""
    return installed("torch", "test")


def prepare(job: Job) -> Call:
    """The module itself, without gradients."""
    return torch_call(job)


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """What PyTorch's profiler says of each operator."""
    return torch_operators(job, calls)
