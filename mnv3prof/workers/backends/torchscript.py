"""PyTorch eager running TorchScript."""

from ...cost.counts import Dtype
from ...device.runtimes import Bind, Job
from ..torch_call import load_module

WHAT = "TorchScript on PyTorch, traced and frozen"
DTYPES: tuple[Dtype, ...] = ("fp32",)
FORMAT = "torchscript"
PEAK = "cpu"
PACKAGE = "torch"
IMPORTS = ("torch",)


def load(job: Job) -> Bind:
    """Load the TorchScript module from its file."""
    import torch

    loaded = torch.jit.load(str(job.model))  # type: ignore[no-untyped-call]
    return load_module(job._replace(model=loaded))
