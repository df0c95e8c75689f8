"""onnx-tool over the network as PyTorch's TorchScript exporter writes it, batch norm folded."""

from io import BytesIO

import torch
from torch import Tensor, nn

PACKAGE = "onnx-tool"
FIGURES = ("onnx-tool",)


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """The profile's total MACs."""
    import onnx
    import onnx_tool

    file = BytesIO()
    torch.onnx.export(model, (image,), file, dynamo=False, opset_version=17)
    tool = onnx_tool.Model(onnx.load_model_from_string(file.getvalue()), {"verbose": False})
    tool.graph.shape_infer()
    tool.graph.profile()
    return (int(sum(tool.graph.macs)),)
