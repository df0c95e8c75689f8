"""Calls of a module by PyTorch, on a device and in a dtype."""

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ..device.runtimes import Bind, Call, Job

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn


def load_module(
    job: Job,
    device: str = "cpu",
    wait: Callable[[], object] | None = None,
    change: "Callable[[nn.Module], Any] | None" = None,
) -> Bind:
    """Move the part's module to `device`; its calls have their input there.

    wait: returns when the device has finished all its work; without it, only the launch would be timed.
    change: transforms the module first.
    """
    import torch

    types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    torch.set_num_threads(job.threads)
    # A copy, since modules of the network share their weights, and its other parts are made from them.
    own = (device, job.dtype) == ("cpu", "fp32")
    module = job.model if own else deepcopy(job.model).to(device, types[job.dtype])
    run = change(module) if change else module

    def bind(images: "NDArray[Any]") -> Call:
        given = torch.from_numpy(images).to(device, types[job.dtype])

        def call() -> object:
            with torch.inference_mode():
                output = run(given)
            if wait:
                wait()
            return output

        if wait:
            wait()
        return call

    return bind
