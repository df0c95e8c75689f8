"""MobileNetV3's building blocks as PyTorch modules, with torchvision's parameter names.

Convolutions are plain nn.Conv2d, since FLOP counters such as thop recognise only that class itself.
Tensors are (N, C, H, W) unless noted.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..graph.ops import OPS
from .table import (
    ACTIVATIONS,
    Row,
    Table,
    adds_identity,
    head_width,
    in_widths,
    make_divisible,
    squeeze_width,
)

__all__ = [
    "Bottleneck",
    "ConvNorm",
    "DepthwiseStage",
    "ExpandConv",
    "HardSigmoid",
    "HardSwish",
    "HardSwishDeployed",
    "LinearProjection",
    "MobileNetV3",
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

    def __init__(
        self, in_channels: int, expand: int, activation: str = "HS", norm: Norm | None = PAPER_NORM
    ) -> None:
        super().__init__(pointwise_conv(in_channels, expand), activation, norm)


class DepthwiseStage(ConvNorm):
    """Second stage of a block: k×k depthwise convolution, batch norm, activation.

    dense: a dense convolution instead (groups = 1). norm=None: the convolution only.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        activation: str = "HS",
        norm: Norm | None = PAPER_NORM,
        *,
        dense: bool = False,
    ) -> None:
        groups = 1 if dense else channels
        conv = standard_conv(channels, channels, kernel, stride, dilation, groups=groups)
        super().__init__(conv, activation, norm)


class LinearProjection(ConvNorm):
    """Last stage of a block: 1×1 convolution to the output width and batch norm, no activation."""

    def __init__(self, expand: int, out_channels: int, norm: Norm | None = PAPER_NORM) -> None:
        super().__init__(pointwise_conv(expand, out_channels), None, norm)


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
            DepthwiseStage(in_channels, kernel, stride, 1, activation, PAPER_NORM if norm_between else None),
            ConvNorm(pointwise_conv(in_channels, out_channels), activation),
        )


class SqueezeExcite(nn.Module):
    """x · gate(fc2(activation(fc1(mean of x over H and W)))), one factor per channel.

    form: fc1 and fc2 as 1×1 convolutions ("conv") or linear layers ("linear"), both with bias.
    activation: "relu" (the paper and every release) or "relu6". gate: "hardsigmoid",
    "hardsigmoid_relu6" (composed as ReLU6(x + 3) / 6) or "sigmoid".
    """

    def __init__(
        self,
        channels: int,
        squeeze: int,
        form: str = "conv",
        activation: str = "relu",
        gate: str = "hardsigmoid",
    ) -> None:
        super().__init__()
        layer: Callable[[int, int], nn.Module] = (
            partial(nn.Conv2d, kernel_size=1) if form == "conv" else nn.Linear
        )
        self.form = form
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = layer(channels, squeeze)
        self.fc2 = layer(squeeze, channels)
        self.activation = activation_module(activation, in_place=False)
        self.scale_activation = activation_module(gate, in_place=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self._scale(x)

    def _scale(self, x: Tensor) -> Tensor:
        scale: Tensor = self.avgpool(x)
        if self.form == "linear":
            scale = torch.flatten(scale, 1)
        scale = self.fc1(scale)
        scale = self.activation(scale)
        scale = self.fc2(scale)
        scale = self.scale_activation(scale)
        if self.form == "linear":
            scale = scale[:, :, None, None]
        return scale


class Bottleneck(nn.Module):
    """Block of a table row: expand, depthwise, squeeze-excite, project, and identity.

    There is no expand stage if the expanded width is the input width. The input is added to the output
    if the stride is 1, both widths are equal, and the row has identity.
    """

    def __init__(self, row: Row, in_channels: int, table: Table) -> None:
        super().__init__()
        norm = _norm(table)
        stages: list[nn.Module] = []
        if row.expand != in_channels:
            stages.append(ExpandConv(in_channels, row.expand, row.activation, norm))
        if table.conv != "standard":
            between = norm if table.norm_between else None
            dense = table.conv == "dense-depthwise"
            stages.append(
                DepthwiseStage(
                    row.expand, row.kernel, row.stride, row.dilation, row.activation, between, dense=dense
                )
            )
        if row.se:
            squeeze = squeeze_width(table, row)
            stages.append(
                SqueezeExcite(row.expand, squeeze, table.se_form, table.se_activation, table.se_gate)
            )
        if table.conv == "standard":
            conv = standard_conv(row.expand, row.out, row.kernel, row.stride, row.dilation)
            stages.append(ConvNorm(conv, None, norm))
        else:
            stages.append(LinearProjection(row.expand, row.out, norm))
        self.block = nn.Sequential(*stages)
        self.identity = adds_identity(row, in_channels)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        if self.identity:
            result += x
        return result


class MobileNetV3(nn.Module):
    """Network of a table: (N, 3, H, W) images to (N, classes) logits.

    Initialised as in torchvision: convolutions Kaiming-normal over fan-out, linear weights
    N(0, 0.01), biases zero.

    >>> network = mnv3prof.build(mnv3prof.read_table("small"))
    >>> isinstance(network, mnv3prof.MobileNetV3), network.classifier[3].out_features
    (True, 1000)
    """

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table
        norm, head = _norm(table), head_width(table)
        self.features = nn.Sequential(
            ConvNorm(standard_conv(3, table.stem, 3, stride=2), table.stem_activation, norm),
            *(Bottleneck(row, width, table) for row, width in zip(table.rows, in_widths(table), strict=True)),
            ConvNorm(pointwise_conv(table.rows[-1].out, head), table.head_activation, norm),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(head, table.last),
            activation_module(table.head_activation),
            nn.Dropout(table.dropout),  # not in place: backward needs ReLU's output
            nn.Linear(table.last, table.classes),
        )
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        x = self.classifier(x)
        return x


def _norm(table: Table) -> Norm:
    return partial(nn.BatchNorm2d, eps=table.bn_eps, momentum=table.bn_momentum)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        nn.init.zeros_(module.bias)
