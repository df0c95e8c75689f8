"""PyTorch on an NVIDIA or AMD GPU."""

import sys
from pathlib import Path

from ...cost.counts import Dtype
from ...device.runtimes import Bind, Job, Unsupported
from ..torch_call import load_module

WHAT = "PyTorch on CUDA or ROCm, timed until the device is done"
DTYPES: tuple[Dtype, ...] = ("fp32", "fp16", "bf16")
FORMAT = ""
PEAK = "cuda"
PACKAGE = "torch"
IMPORTS = ("torch",)

_NONE = "PyTorch found no CUDA device: it needs a GPU and a build of torch for it"


def chip() -> str:
    """Return the name of the device. Raises Unsupported if there is none."""
    if sys.platform == "linux" and not any(
        Path(f"/dev/{node}").exists() for node in ("nvidiactl", "kfd", "dxg")
    ):
        raise Unsupported(_NONE)
    import torch

    if not torch.cuda.is_available():
        raise Unsupported(_NONE)
    name: str = torch.cuda.get_device_name()
    return name


def load(job: Job) -> Bind:
    """Make calls of the module on the device, with products in full fp32, not TF32."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return load_module(job, "cuda", torch.cuda.synchronize)
