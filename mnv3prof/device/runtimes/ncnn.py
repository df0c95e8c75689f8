"""ncnn on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import Bind, Job

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from . import Call

WHAT = "ncnn (mobile runtime), converted by pnnx"
DTYPES = ("fp32", "fp16", "bf16")
FORMAT = "ncnn"
PACKAGE = "ncnn"
PEAK = "cpu"
IMPORTS = ("ncnn",)


def load(job: Job) -> Bind:
    """Load the network on the CPU."""
    return load_on(job, on_gpu=False)


def load_on(job: Job, *, on_gpu: bool) -> Bind:
    """Load the network in the job's dtype; ncnn's default is fp16 storage."""
    import ncnn
    import numpy as np

    net = ncnn.Net()
    _set(net.opt, job, on_gpu)
    net.load_param(str(job.model))
    net.load_model(str(job.model.with_suffix(".bin")))
    shape = job.expected.shape

    def bind(given: NDArray[Any]) -> Call:
        image = ncnn.Mat(given[0]).clone()  # the array does not outlive the job

        def call() -> object:
            extractor = net.create_extractor()
            extractor.input("in0", image)
            _, output = extractor.extract("out0")
            return np.asarray(output).reshape(shape)

        return call

    return bind


def _set(options: Any, job: Job, on_gpu: bool) -> None:
    half = job.dtype == "fp16"
    options.num_threads = job.threads
    options.use_vulkan_compute = on_gpu
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = half
    options.use_bf16_storage = job.dtype == "bf16"
