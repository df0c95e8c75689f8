"""ncnn on a GPU through Vulkan."""

from __future__ import annotations

import os
from contextlib import contextmanager
from ctypes.util import find_library
from typing import Iterator

from ..process import silence
from . import Bind, Job, Unsupported, ncnn

WHAT = "ncnn (mobile runtime) on Vulkan"
DTYPES = ("fp32", "fp16")
FORMAT = "ncnn"
PACKAGE = "ncnn"
PEAK = ""
IMPORTS = ("ncnn",)
SIMULATED = "llvmpipe"


def chip() -> str:
    """Return the name of the first Vulkan device. Raises Unsupported if there is none."""
    if find_library("vulkan") is None:
        raise Unsupported("no Vulkan loader found: install libvulkan and the GPU's driver")
    import ncnn as runtime

    with _silence():
        if runtime.get_gpu_count() == 0:
            raise Unsupported("ncnn found no Vulkan device: install the GPU's Vulkan driver")
        name: str = runtime.get_gpu_info(0).device_name()
    return name


@contextmanager
def _silence() -> Iterator[None]:
    """Silence standard error, where ncnn prints the device's properties."""
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    silence(2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def load(job: Job) -> Bind:
    """Load the network on the first device."""
    return ncnn.load_on(job, on_gpu=True)
