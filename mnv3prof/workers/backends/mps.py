"""PyTorch on an Apple GPU."""

import sys

from ...cost.counts import Dtype
from ...device.runtimes import Bind, Job, Unsupported
from ..torch_call import load_module

WHAT = "PyTorch on Apple's Metal, timed until the device is done"
DTYPES: tuple[Dtype, ...] = ("fp32", "fp16")
FORMAT = ""
PEAK = "mps"
PACKAGE = "torch"
IMPORTS = ("torch",)

_NONE = "PyTorch found no Metal device: it needs macOS on Apple silicon"


def chip() -> str:
    """Return the name of the device. Raises Unsupported if there is none."""
    if sys.platform != "darwin":
        raise Unsupported(_NONE)
    import torch

    if not torch.backends.mps.is_available():
        raise Unsupported(_NONE)
    return "Apple GPU"


def load(job: Job) -> Bind:
    """Make calls of the module on the device."""
    import torch

    return load_module(job, "mps", torch.mps.synchronize)
