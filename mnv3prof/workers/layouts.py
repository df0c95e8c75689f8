"""Parts whose input and output have their channels last."""

import torch
from torch import Tensor, nn

from .formats import Part


class _ChannelsLast(nn.Module):
    """Runs a module on (N, H, W, C); converters remove the two transposes where they can."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.part(x.permute(0, 3, 1, 2) if x.ndim == 4 else x)
        return _nhwc(output)


def channels_last(part: Part) -> Part:
    """Return the part with input and output as (N, H, W, C); those of other ranks are as before."""
    with torch.no_grad():
        given, expected, calibration = (
            _nhwc(tensor).contiguous() for tensor in (part.given, part.expected, part.calibration)
        )
    return Part(part.name, _ChannelsLast(part.module).eval(), given, expected, calibration)


def _nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x
