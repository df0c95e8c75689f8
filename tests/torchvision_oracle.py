"""torchvision, even if its compiled operators do not fit the installed torch."""

import torch

OPERATORS = (
    "nms(Tensor boxes, Tensor scores, float iou) -> Tensor",
    "qnms(Tensor boxes, Tensor scores, float iou) -> Tensor",
)

try:
    import torchvision
except RuntimeError:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in OPERATORS:
        library.define(operator)  # type: ignore[no-untyped-call]
    import torchvision

mobilenet_v2 = torchvision.models.mobilenet_v2
mobilenet_v3_large = torchvision.models.mobilenet_v3_large
mobilenet_v3_small = torchvision.models.mobilenet_v3_small

models = torchvision.models
