"""ncnn on a GPU through Vulkan."""

from __future__ import annotations

import os
from contextlib import contextmanager
from ctypes.util import find_library
from typing import Iterator

from ..process import silence
from . import Call, Job, Unsupported, ncnn

WHAT = "ncnn (mobile runtime) on Vulkan"
DTYPES = ("fp32", "fp16")
FORMAT = "ncnn"
PACKAGE = "ncnn"
ROOF = ""
IMPORTS = ("ncnn",)
SIMULATED = "llvmpipe"


def chip() -> str:
    """The Vulkan device that ncnn sees, be it one in software. Raises Unsupported where it sees none."""
    if find_library("vulkan") is None:
        raise Unsupported("there is no Vulkan loader: install libvulkan and the GPU's driver")
    import ncnn as runtime

    with _silence():
        if runtime.get_gpu_count() == 0:
            raise Unsupported("ncnn sees no Vulkan device: install the GPU's Vulkan driver")
        name: str = runtime.get_gpu_info(0).device_name()
    return name


@contextmanager
def _silence() -> Iterator[None]:
    """Ncnn tells all about the device on standard error."""
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    silence(2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def prepare(job: Job) -> Call:
    """A net on the first device."""
    return ncnn.ncnn_call(job, on_gpu=True)
