"""ONNX, which several runtimes read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...cost.counts import Dtype
from . import Part, batches

WHAT = "ONNX; int8 as QDQ, static, per channel"
DTYPES: tuple[Dtype, ...] = ("fp32", "int8")
CONVERTER = "onnx"
PACKAGES = ("torch", "onnx", "onnxruntime")
SUFFIX = ".onnx"


def convert(part: Part, dtype: Dtype, folder: Path) -> Path:
    """Write the part as an ONNX model with input x and output y."""
    import torch

    file = folder / "part.onnx"
    names: Any = {"input_names": ["x"], "output_names": ["y"]}
    torch.onnx.export(part.module, (part.given,), file, dynamo=False, **names)
    if dtype == "int8":
        _quantize(part, file)
    return file


def _quantize(part: Part, file: Path) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    quantized = file.with_name("part.int8.onnx")
    quantize_static(
        file,
        quantized,
        _Reader(part),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    quantized.replace(file)


class _Reader:
    """Iterates over the calibration inputs in batches of the model's size."""

    def __init__(self, part: Part) -> None:
        self._feeds: Iterator[dict[str, Any]] = iter({"x": x.numpy()} for x in batches(part))

    def get_next(self) -> dict[str, Any] | None:
        """Return the next feed, or None after the last."""
        return next(self._feeds, None)
