"""Parts whose inputs and outputs have their channels last."""

import torch
from torch import Tensor, nn

from .formats import Part


class _ChannelsLast(nn.Module):
    """Runs a module on (N, H, W, C); converters remove the transposes where they can."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        output = self.part(*(x.permute(0, 3, 1, 2) if x.ndim == 4 else x for x in inputs))
        return tuple(map(_nhwc, output)) if isinstance(output, tuple) else _nhwc(output)


def channels_last(part: Part) -> Part:
    """Return the part with inputs and outputs as (N, H, W, C); those of other ranks are as before."""
    with torch.no_grad():
        given, expected, calibration = (
            tuple(_nhwc(tensor).contiguous() for tensor in tensors)
            for tensors in (part.given, part.expected, part.calibration)
        )
    return Part(part.name, _ChannelsLast(part.module).eval(), given, expected, calibration)


def _nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.ndim == 4 else x
