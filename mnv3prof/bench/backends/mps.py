"""PyTorch on an Apple GPU."""

import sys

from ...cost.counts import Dtype
from ..torch_call import torch_call
from . import Call, Job, Usable, installed

WHAT = "PyTorch on Apple's Metal, timed until the device is done"
DTYPES: tuple[Dtype, ...] = ("fp32", "fp16")
FORMAT = ""
ROOF = "mps"
IMPORTS = ("torch",)

_NONE = "PyTorch sees no Metal device: it needs macOS on Apple silicon"


def usable() -> Usable:
    """Where PyTorch sees such a device."""
    if sys.platform != "darwin":
        return Usable(False, reason=_NONE)
    import torch

    if not torch.backends.mps.is_available():
        return Usable(False, reason=_NONE)
    return installed("torch", "test", "Apple GPU")


def prepare(job: Job) -> Call:
    """The module on the device."""
    import torch

    return torch_call(job, "mps", torch.mps.synchronize)
