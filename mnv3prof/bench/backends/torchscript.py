"""PyTorch eager running TorchScript."""

from ...cost.counts import Dtype
from ..torch_call import torch_call
from . import Call, Job, Usable, installed

WHAT = "TorchScript on PyTorch, traced and frozen"
DTYPES: tuple[Dtype, ...] = ("fp32",)
FORMAT = "torchscript"
ROOF = "cpu"
IMPORTS = ("torch",)


def usable() -> Usable:
    """Where PyTorch is, which is everywhere."""
    return installed("torch", "test")


def prepare(job: Job) -> Call:
    """The loaded graph."""
    import torch

    loaded = torch.jit.load(str(job.model))  # type: ignore[no-untyped-call]
    return torch_call(job._replace(model=loaded))
