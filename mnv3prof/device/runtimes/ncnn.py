"""ncnn on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import Bind, Job

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from . import Arrays, Call

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
    reads = [np.asarray if each.shape[:1] == (1,) else _whole for each in job.expected]
    results = [(f"out{n}", reads[n], each.shape) for n, each in enumerate(job.expected)]

    def bind(given: Arrays) -> Call:
        # Clones, since the arrays do not outlive the job.
        images = [(f"in{n}", _mat(each).clone()) for n, each in enumerate(given)]

        def call() -> object:
            extractor = net.create_extractor()
            for name, image in images:
                extractor.input(name, image)
            outputs = []
            for name, read, shape in results:
                outputs.append(read(extractor.extract(name)[1]).reshape(shape))
            return outputs

        return call

    return bind


def _mat(given: NDArray[Any]) -> Any:
    """Return an input as ncnn reads it: floats or integers of 32 bits; a batch of 1 is no axis there."""
    import ncnn

    values = given if given.dtype.kind == "f" else given.astype("int32")
    return ncnn.Mat(values[0]) if len(values) == 1 else ncnn.Mat(values, batch_index=0)


def _whole(output: Any) -> NDArray[Any]:
    """Return an output whose first axis can be a batch."""
    import numpy as np

    return np.asarray(output.numpy(batch_index=0) if output.n > 1 else output)


def _set(options: Any, job: Job, on_gpu: bool) -> None:
    half = job.dtype == "fp16"
    options.num_threads = job.threads
    options.use_vulkan_compute = on_gpu
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = half
    options.use_bf16_storage = job.dtype == "bf16"
