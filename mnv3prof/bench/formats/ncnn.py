"""ncnn's param and bin, by pnnx."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ...cost.counts import Dtype
from . import Part

if TYPE_CHECKING:
    from torch import Tensor, nn

WHAT = "ncnn"
DTYPES: tuple[Dtype, ...] = ("fp32",)
CONVERTER = "pnnx"
PACKAGES = ("torch", "pnnx", "ncnn")
SUFFIX = ".param"
MOST_IMAGES = 1


def convert(part: Part, dtype: Dtype, folder: Path) -> Path:
    """The network as part.ncnn.param, its weights as part.ncnn.bin."""
    import pnnx

    # A plain Sequential at the root has children that pnnx cannot name: it stands under one more.
    pnnx.export(_under_a_name(part), str(folder / "part.pt"), (part.given,), fp16=False)
    kept = {"part.ncnn.param", "part.ncnn.bin"}
    for file in folder.iterdir():  # a folder is the bytecode of the module that pnnx writes and runs
        if file.name not in kept:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    return folder / "part.ncnn.param"


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
