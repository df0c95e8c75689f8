"""MobileNetV3's building blocks as PyTorch modules, with torchvision's parameter names.

Convolutions are plain nn.Conv2d, since FLOP counters such as thop recognize only that class itself.
Tensors are (N, C, H, W) unless noted.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..graph.ops import OPS
from .fields import ACTIVATIONS
from .names import SQUEEZE_NAMES, SqueezeNames
from .stages import same_padding
from .table import make_divisible

__all__ = [
    "ConvNorm",
    "DepthwiseStage",
    "ExpandConv",
    "HardSigmoid",
    "HardSwish",
    "HardSwishDeployed",
    "LinearProjection",
    "SamePadding",
    "SeparableConv",
    "SqueezeExcite",
    "activation_module",
    "depthwise_conv",
    "make_divisible",
    "pointwise_conv",
    "standard_conv",
]

Norm = Callable[[int], nn.Module]
PAPER_NORM: Final[Norm] = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


class HardSigmoid(nn.Module):
    """ReLU6(x + 3) / 6 (paper, section 5.2)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(x + 3) / 6


class HardSwish(nn.Module):
    """x · ReLU6(x + 3) / 6 (paper, section 5.2)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (F.relu6(x + 3) / 6)


class HardSwishDeployed(nn.Module):
    """x · clamp(x + 3, 0, 6) / 6: h-swish for a runtime that has no ReLU6."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (torch.clamp(x + 3, 0, 6) / 6)


_COMPOSED: Final[dict[str, Callable[[], nn.Module]]] = {
    "hardswish_relu6": HardSwish,
    "hardswish_clamp": HardSwishDeployed,
    "hardsigmoid_relu6": HardSigmoid,
}


def activation_module(name: str, *, in_place: bool = True) -> nn.Module:
    """Return a new activation module. name: its code in a table, or its operation.

    in_place: use the module's inplace option, if it has one.
    """
    op = OPS[ACTIVATIONS.get(name, name)]
    if op.name in _COMPOSED:
        return _COMPOSED[op.name]()
    module: type[nn.Module] = getattr(nn, op.torch)
    return module(inplace=True) if in_place and op.in_place else module()


def depthwise_conv(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Return a k×k convolution with one filter per channel: groups = channels."""
    return standard_conv(channels, channels, kernel, stride, dilation, groups=channels)


def pointwise_conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 1×1 convolution: one matrix product per pixel."""
    return standard_conv(in_channels, out_channels, 1)


def standard_conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, dilation: int = 1, *, groups: int = 1
) -> nn.Conv2d:
    """Return a k×k convolution without bias; the padding keeps the size at stride 1."""
    padding = (kernel - 1) // 2 * dilation
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False)


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and activation; with norm=None the convolution only."""

    def __init__(self, conv: nn.Conv2d, activation: str | None, norm: Norm | None = PAPER_NORM) -> None:
        layers: list[nn.Module] = [conv]
        if norm is not None:
            layers.append(norm(conv.out_channels))
            if activation is not None:
                layers.append(activation_module(activation))
        super().__init__(*layers)


class ExpandConv(ConvNorm):
    """First stage of a block: 1×1 convolution to the expanded width, batch norm, activation."""

    def __init__(self, in_channels: int, expand: int, activation: str = "HS") -> None:
        super().__init__(pointwise_conv(in_channels, expand), activation)


class DepthwiseStage(ConvNorm):
    """Second stage of a block: k×k depthwise convolution, batch norm, activation.

    norm=None: the convolution only.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        stride: int = 1,
        activation: str = "HS",
        norm: Norm | None = PAPER_NORM,
    ) -> None:
        super().__init__(depthwise_conv(channels, kernel, stride), activation, norm)


class LinearProjection(ConvNorm):
    """Last stage of a block: 1×1 convolution to the output width and batch norm, no activation."""

    def __init__(self, expand: int, out_channels: int) -> None:
        super().__init__(pointwise_conv(expand, out_channels), None)


class SeparableConv(nn.Sequential):
    """Depthwise-separable pair: depthwise stage, then 1×1 convolution, batch norm, activation.

    norm_between=False: no batch norm and activation between the two convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        activation: str = "HS",
        *,
        norm_between: bool = True,
    ) -> None:
        super().__init__(
            DepthwiseStage(in_channels, kernel, stride, activation, PAPER_NORM if norm_between else None),
            ConvNorm(pointwise_conv(in_channels, out_channels), activation),
        )


class SamePadding(nn.Module):
    """Zero padding before a convolution that pads nothing, as TensorFlow's "same" does it."""

    def __init__(self, kernel: int, stride: tuple[int, int], dilation: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride, self.dilation = kernel, stride, dilation

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = same_padding(int(x.shape[2]), self.kernel, self.stride[0], self.dilation)
        left, right = same_padding(int(x.shape[3]), self.kernel, self.stride[1], self.dilation)
        return F.pad(x, (left, right, top, bottom)) if top + bottom + left + right else x

    def extra_repr(self) -> str:
        """Return the window for repr()."""
        return f"kernel={self.kernel}, stride={self.stride}, dilation={self.dilation}"


class SqueezeExcite(nn.Module):
    """x · gate(fc2(activation(fc1(mean of x over H and W)))), one factor per channel.

    form: fc1 and fc2 as 1×1 convolutions ("conv") or linear layers ("linear").
    activation: "relu" (the paper and every release) or another operation. gate: "hardsigmoid",
    "hardsigmoid_relu6" (composed as ReLU6(x + 3) / 6) or "sigmoid". names: of the four modules.
    """

    def __init__(
        self,
        channels: int,
        squeeze: int,
        form: str = "conv",
        activation: str = "relu",
        gate: str = "hardsigmoid",
        *,
        bias: bool = True,
        names: SqueezeNames = SQUEEZE_NAMES["torchvision"],
    ) -> None:
        super().__init__()
        layer: Callable[..., nn.Module] = partial(nn.Conv2d, kernel_size=1) if form == "conv" else nn.Linear
        self.form, self.names = form, names
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.add_module(names.reduce, layer(channels, squeeze, bias=bias))
        self.add_module(names.expand, layer(squeeze, channels, bias=bias))
        self.add_module(names.activation, activation_module(activation, in_place=False))
        self.add_module(names.gate, activation_module(gate, in_place=False))

    def forward(self, x: Tensor) -> Tensor:
        return x * self._scale(x)

    def _scale(self, x: Tensor) -> Tensor:
        scale: Tensor = self.avgpool(x)
        if self.form == "linear":
            scale = torch.flatten(scale, 1)
        for name in self.names:
            scale = getattr(self, name)(scale)
        if self.form == "linear":
            scale = scale[:, :, None, None]
        return scale
