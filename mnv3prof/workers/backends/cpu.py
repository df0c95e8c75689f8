"""PyTorch eager on the CPU."""

from statistics import median

from ...cost.counts import Dtype
from ...device.protocol import RuntimeOp
from ...device.runtimes import Bind, Job
from ..torch_call import load_module

WHAT = "PyTorch eager"
DTYPES: tuple[Dtype, ...] = ("fp32", "fp16", "bf16")
FORMAT = ""
PEAK = "cpu"
PACKAGE = "torch"
IMPORTS = ("torch",)
ALIASES = ("torch",)


def load(job: Job) -> Bind:
    """Make calls of the module, without gradients."""
    return load_module(job)


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """Return the median time of each outermost operator, from PyTorch's profiler."""
    from torch.profiler import ProfilerActivity, profile

    call = load_module(job)(job.given)
    call()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        for _ in range(calls):
            call()
    outer = [
        event for event in profiler.events() if event.cpu_parent is None and event.name.startswith("aten::")
    ]
    each = len(outer) // calls
    return tuple(
        RuntimeOp(f"{number}: {outer[number].name}", outer[number].name, seconds)
        for number in range(each)
        if (seconds := median(outer[number + n * each].cpu_time_total for n in range(calls)) / 1e6) > 0
    )
