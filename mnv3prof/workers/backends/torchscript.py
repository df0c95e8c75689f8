"""PyTorch eager running TorchScript."""

from ...cost.counts import Dtype
from ...device.runtimes import Call, Job
from ..torch_call import torch_call

WHAT = "TorchScript on PyTorch, traced and frozen"
DTYPES: tuple[Dtype, ...] = ("fp32",)
FORMAT = "torchscript"
PEAK = "cpu"
PACKAGE = "torch"
IMPORTS = ("torch",)


def prepare(job: Job) -> Call:
    """Load the TorchScript module from its file."""
    import torch

    loaded = torch.jit.load(str(job.model))  # type: ignore[no-untyped-call]
    return torch_call(job._replace(model=loaded))
