"""ncnn on a GPU through Vulkan."""

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

    if runtime.get_gpu_count() == 0:
        return Usable(False, reason="ncnn sees no Vulkan device: install the GPU's Vulkan driver")
    return Usable(True, found.version, runtime.get_gpu_info(0).device_name())


def prepare(job: Job) -> Call:
    """A net on the first device."""
    return ncnn.ncnn_call(job, on_gpu=True)
