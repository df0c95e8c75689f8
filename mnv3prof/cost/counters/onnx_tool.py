"""onnx-tool on the export of PyTorch's TorchScript exporter, with batch norm folded."""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

PACKAGE = "onnx-tool"
FIGURES = ("onnx-tool",)


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """Return the total MACs of the profile."""
    import onnx_tool

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        torch.onnx.export(model, (image,), file, dynamo=False, opset_version=17)
        tool = onnx_tool.Model(file, {"verbose": False})
    tool.graph.shape_infer()
    tool.graph.profile()
    return (int(sum(tool.graph.macs)),)
