"""PyTorch compiled by inductor for the CPU."""

import shutil

from ...cost.counts import Dtype
from ...device.runtimes import Bind, Job, Unsupported
from ..torch_call import load_module

WHAT = "torch.compile (inductor), weights frozen"
DTYPES: tuple[Dtype, ...] = ("fp32", "bf16")
FORMAT = ""
PEAK = "cpu"
PACKAGE = "torch"
IMPORTS = ("torch", "torch._inductor.compile_fx")
COMPILES = True

_MOST_PARTS = 1_000_000


def chip() -> str:
    """Return "cpu". Raises Unsupported if there is no C++ compiler."""
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        raise Unsupported("no C++ compiler found: install g++")
    return "cpu"


def load(job: Job) -> Bind:
    """Compile the whole module by a first call.

    All blocks share their code, of which Dynamo by default compiles 8 variants and runs others in eager.
    """
    import torch
    from torch._dynamo import config as dynamo
    from torch._inductor import config

    dynamo.recompile_limit = dynamo.accumulated_recompile_limit = _MOST_PARTS
    config.freezing = True
    config.cpp.threads = job.threads
    bind = load_module(job, change=lambda module: torch.compile(module, dynamic=False, fullgraph=True))
    bind(job.given)()
    return bind
