"""TorchScript, traced and frozen."""

import warnings
from pathlib import Path
from typing import Any

from ...cost.counts import Dtype
from . import Part

WHAT = "TorchScript, traced and frozen"
DTYPES: tuple[Dtype, ...] = ("fp32",)
CONVERTER = "torch"
PACKAGES = ("torch",)
SUFFIX = ".pt"


def convert(part: Part, dtype: Dtype, folder: Path) -> Path:
    """Write the traced part, which torch.jit.load reads."""
    import torch

    file = folder / "part.pt"
    with warnings.catch_warnings(action="ignore"):  # TorchScript is deprecated
        traced: Any = torch.jit.trace(part.module, part.given)  # type: ignore[no-untyped-call]
        torch.jit.freeze(traced).save(str(file))
    return file
