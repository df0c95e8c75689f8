"""PyTorch eager on the CPU."""

from . import Call, Part, Usable, installed

WHAT = "PyTorch eager"
DTYPES = ("fp32",)


def usable() -> Usable:
    """Where PyTorch is, which is everywhere."""
    return installed("torch", "test")


def prepare(part: Part, threads: int) -> Call:
    """The module itself, without gradients."""
    import torch

    torch.set_num_threads(threads)
    module, given = part.module, part.given

    def call() -> object:
        with torch.inference_mode():
            return module(given)

    return call
