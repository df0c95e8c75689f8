"""ncnn on the CPU, converted by pnnx."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import Call, Part, Usable, installed

if TYPE_CHECKING:
    from torch import Tensor, nn

WHAT = "ncnn (mobile runtime), converted by pnnx"
DTYPES = ("fp32",)


def usable() -> Usable:
    """Where ncnn and its converter are installed."""
    converter = installed("pnnx", "ncnn")
    return installed("ncnn", "ncnn") if converter.ok else converter


def prepare(part: Part, threads: int) -> Call:
    """A net without ncnn's default of fp16 storage."""
    import ncnn
    import numpy as np

    net = ncnn.Net()
    options = net.opt
    options.num_threads = threads
    options.use_vulkan_compute = False
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
    options.use_bf16_storage = False
    folder = Path(tempfile.mkdtemp(prefix="mnv3prof-"))
    try:
        _convert(part, folder)
        net.load_param(str(folder / "part.ncnn.param"))
        net.load_model(str(folder / "part.ncnn.bin"))
    finally:
        shutil.rmtree(folder)
    given = part.given.numpy()
    batched = part.expected.shape

    def call() -> object:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(given[0]))
        _, output = extractor.extract("out0")
        return np.asarray(output).reshape(batched)

    return call


def _convert(part: Part, folder: Path) -> None:
    """Write part.ncnn.param and part.ncnn.bin into `folder`."""
    import pnnx

    if len(part.given) > 1:
        raise ValueError("ncnn takes one image at a time")
    # A plain Sequential at the root has children that pnnx cannot name: it stands under one more.
    pnnx.export(_under_a_name(part), str(folder / "part.pt"), (part.given,), fp16=False)


def _under_a_name(part: Part) -> "nn.Module":
    from torch import nn

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = part.module

        def forward(self, x: "Tensor") -> "Tensor":
            output: Tensor = self.part(x)
            return output

    return Named().eval()
