"""How PyTorch's backends call a module: on a device, in a type, until its output is there."""

from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any

from ..device.protocol import RuntimeOp
from ..device.runtimes import Call, Job

if TYPE_CHECKING:
    from torch import nn


def torch_call(
    job: Job, device: str = "cpu", wait: Callable[[], object] | None = None,
    change: "Callable[[nn.Module], Any] | None" = None,
) -> Call:  # fmt: skip
    """The part's module on `device`, its input there before timing starts.

    wait: returns when the device has done all it was given; a call without it would be timed while
        the device still works. change: what is made of the module first.
    """
    import torch

    types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    torch.set_num_threads(job.threads)
    module = job.model.to(device, types[job.dtype])
    given = torch.from_numpy(job.given).to(device, types[job.dtype])
    run = change(module) if change else module

    def call() -> object:
        with torch.inference_mode():
            output = run(given)
        if wait:
            wait()
        return output

    if wait:
        wait()
    return call


def torch_operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """What PyTorch's profiler says of each operator that the modules call, the median of so many calls."""
    from torch.profiler import ProfilerActivity, profile

    call = torch_call(job)
    call()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
        for _ in range(calls):
            call()
    outer = [
        event for event in found.events() if event.cpu_parent is None and event.name.startswith("aten::")
    ]
    each = len(outer) // calls
    return tuple(
        RuntimeOp(f"{number}: {outer[number].name}", outer[number].name, seconds)
        for number in range(each)
        if (seconds := median(outer[number + n * each].cpu_time_total for n in range(calls)) / 1e6) > 0
    )
