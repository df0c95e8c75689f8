"""ncnn on a GPU through Vulkan."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library

from ...cost.counts import Dtype
from . import Call, Job, Usable, ncnn

WHAT = "ncnn (mobile runtime) on Vulkan"
DTYPES: tuple[Dtype, ...] = ("fp32", "fp16")
FORMAT = "ncnn"
ROOF = ""
IMPORTS = ("ncnn",)


def usable() -> Usable:
    """Where ncnn sees a Vulkan device, be it one in software."""
    found = ncnn.usable()
    if not found.ok:
        return found
    if find_library("vulkan") is None:
        return Usable(False, reason="there is no Vulkan loader: install libvulkan and the GPU's driver")
    import ncnn as runtime

    with _silence():
        if runtime.get_gpu_count() == 0:
            return Usable(False, reason="ncnn sees no Vulkan device: install the GPU's Vulkan driver")
        return Usable(True, found.version, runtime.get_gpu_info(0).device_name())


@contextmanager
def _silence() -> Iterator[None]:
    """Ncnn tells all about the device on standard error."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def prepare(job: Job) -> Call:
    """A net on the first device."""
    return ncnn.ncnn_call(job, on_gpu=True)
