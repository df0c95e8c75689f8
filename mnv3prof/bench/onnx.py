"""Parts as ONNX models, which several runtimes read."""

from io import BytesIO
from typing import Any

from .backends import Part


def to_onnx(part: Part) -> bytes:
    """The part as an ONNX model with input x and output y."""
    import torch

    file: Any = BytesIO()
    torch.onnx.export(
        part.module, (part.given,), file, dynamo=False, input_names=["x"], output_names=["y"]
    )  # fmt: skip
    return bytes(file.getvalue())
