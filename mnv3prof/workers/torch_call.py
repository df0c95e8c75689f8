"""Calls of a module by PyTorch, on a device and in a dtype."""

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ..device.runtimes import Bind, Call, Job

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..device.runtimes import Arrays


def load_module(
    job: Job,
    device: str = "cpu",
    wait: Callable[[], object] | None = None,
    change: "Callable[[nn.Module], Any] | None" = None,
) -> Bind:
    """Move the part's module to `device`; its calls have their inputs there.

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

    def placed(given: "Tensor") -> "Tensor":
        return given.to(device, types[job.dtype] if given.is_floating_point() else given.dtype)

    def bind(images: "Arrays") -> Call:
        given = tuple(placed(torch.from_numpy(each)) for each in images)

        def call() -> object:
            with torch.inference_mode():
                output = run(*given)
            if wait:
                wait()
            return output

        if wait:
            wait()
        return call

    return bind
