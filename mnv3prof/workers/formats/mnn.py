"""MNN's own format, from ONNX."""

from pathlib import Path

from ...cost.counts import Dtype
from . import Part, onnx

WHAT = "MNN"
DTYPES: tuple[Dtype, ...] = ("fp32",)
CONVERTER = "onnx"
PACKAGES = ("torch", "onnx", "mnn")
SUFFIX = ".mnn"


def convert(part: Part, dtype: Dtype, folder: Path) -> Path:
    """Write the part as an MNN model."""
    # The converter's core: MNN.tools and the console scripts install a package and send telemetry.
    import _tools

    source = onnx.convert(part, dtype, folder)
    file = folder / "part.mnn"
    arguments = ["-f", "ONNX", "--modelFile", source, "--MNNModel", file, "--bizCode", "mnv3prof"]
    _tools.mnnconvert(["mnnconvert", *map(str, arguments)])
    source.unlink()
    if not file.is_file():
        raise RuntimeError("MNN's converter wrote no model")
    return file
