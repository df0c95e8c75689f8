"""The operations of a part of a layer table's network, with batch norm folded into convolutions."""

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

import torch
from torch import nn

from ...mobilenetv3.expand import expand
from ...mobilenetv3.modules import HardSigmoid, HardSwish, HardSwishDeployed, SamePadding, SqueezeExcite
from ...mobilenetv3.names import FLATTEN
from ...mobilenetv3.network import Bottleneck, MobileNetV3
from ...mobilenetv3.stages import same_padding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..formats import Part

Kind = Literal[
    "input",
    "conv",
    "linear",
    "norm",
    "pad",
    "pool",
    "flatten",
    "unflatten",
    "add",
    "mul",
    "relu",
    "relu6",
    "hardswish",
    "hardsigmoid",
    "sigmoid",
    "swish",
    "composed hardswish",
    "composed hardsigmoid",
]
_BY_MODULE: Final[dict[type[nn.Module], Kind]] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardswish: "hardswish",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Sigmoid: "sigmoid",
    nn.SiLU: "swish",
    HardSwish: "composed hardswish",
    HardSwishDeployed: "composed hardswish",
    HardSigmoid: "composed hardsigmoid",
}


class Unknown(Exception):  # noqa: N818 - an expected result
    """Raised for a module that is not of a layer table."""


class Window(NamedTuple):
    """A convolution's window, (height, width) each. pads: top, left, bottom, right."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[int, int, int, int]
    groups: int


class Operation(NamedTuple):
    """One operation. scope: names of the modules around it, as torch.onnx writes them.

    inputs: numbers of operations before it. shape: of its output, without the batch. values: weight, and
    bias if there is one; of a norm: scale, shift, mean, variance. pads: as of Window, of a padding.
    """

    kind: Kind
    scope: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    values: "tuple[NDArray[Any], ...]" = ()
    window: Window | None = None
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    eps: float = 0.0


def operations_of(part: "Part") -> list[Operation] | None:
    """Return the operations of a part, the input first and the output last; None for another network."""
    if len(part.given) != 1 or part.file is not None:
        return None
    walk = _Walk(tuple(part.given[0].shape[1:]))
    try:
        last = walk.run(part.module, "", "", 0)
    except Unknown:
        return None
    known = tuple(part.expected[0].shape[1:])
    return walk.operations if walk.operations[last].shape == known and last else None


class _Walk:
    """Collects operations in the order in which modules run."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.operations = [Operation("input", "", (), shape)]

    def run(self, module: nn.Module, scope: str, name: str, x: int) -> int:
        """Add the operations of a module. Return the number of its output. name: of the last scope."""
        kind = type(module)
        if kind is nn.Sequential:
            return self._children(module.named_children(), scope, name, x)
        if kind is MobileNetV3:
            return self._network(cast("MobileNetV3", module), x)
        if kind is Bottleneck:
            bottleneck = cast("Bottleneck", module)
            result = self._children(module.named_children(), scope, name, x)
            return self._add("add", scope, (result, x), self._shape(x)) if bottleneck.adds else result
        if kind is SqueezeExcite:
            return self._squeeze(cast("SqueezeExcite", module), scope, x)
        return self._leaf(module, scope, x)

    def _leaf(self, module: nn.Module, scope: str, x: int) -> int:
        kind, shape = type(module), self._shape(x)
        if kind is nn.Dropout and not module.training:
            return x
        if kind is nn.Conv2d:
            return self._conv(cast("nn.Conv2d", module), scope, x)
        if kind is nn.Linear:
            return self._add(
                "linear", scope, (x,), (cast("nn.Linear", module).out_features,), _weights(module)
            )
        if kind in (nn.BatchNorm2d, nn.BatchNorm1d) and not module.training:
            return self._norm(cast("nn.BatchNorm2d", module), scope, x)
        if kind is SamePadding:
            return self._pad(cast("SamePadding", module), scope, x)
        if kind is nn.AdaptiveAvgPool2d and str(module.output_size) in ("1", "(1, 1)"):
            return self._add("pool", scope, (x,), (shape[0], 1, 1))
        if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
            return self._flatten(scope, x)
        if kind in _BY_MODULE:
            return self._add(_BY_MODULE[kind], scope, (x,), shape)
        raise Unknown(kind.__name__)

    def _children(self, children: "Iterator[tuple[str, nn.Module]]", scope: str, name: str, x: int) -> int:
        for child, module in children:
            own = f"{name}.{child}" if child.isdecimal() and name else child
            x = self.run(module, f"{scope}/{own}", own, x)
        return x

    def _network(self, model: MobileNetV3, x: int) -> int:
        for block in expand(model.table).blocks:
            for path in block.modules:
                x = self._flatten("", x) if path == FLATTEN else self._at(model, path, x)
        return x

    def _at(self, model: nn.Module, path: str, x: int) -> int:
        scope = name = ""
        for child in path.split("."):
            name = f"{name}.{child}" if child.isdecimal() and name else child
            scope = f"{scope}/{name}"
        return self.run(model.get_submodule(path), scope, name, x)

    def _squeeze(self, module: SqueezeExcite, scope: str, x: int) -> int:
        shape = self._shape(x)
        scale = self._add("pool", f"{scope}/avgpool", (x,), (shape[0], 1, 1))
        if module.form == "linear":
            scale = self._flatten(scope, scale)
        for name in module.names:
            scale = self.run(getattr(module, name), f"{scope}/{name}", name, scale)
        if module.form == "linear":
            scale = self._add("unflatten", scope, (scale,), (shape[0], 1, 1))
        return self._add("mul", scope, (x, scale), shape)

    def _conv(self, conv: nn.Conv2d, scope: str, x: int) -> int:
        if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
            raise Unknown("padding")
        top, left = conv.padding
        pads = (top, left, top, left)
        window = Window(_pair(conv.kernel_size), _pair(conv.stride), _pair(conv.dilation), pads, conv.groups)
        sides = [
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, pad, dilation, kernel, stride in zip(
                self._shape(x)[1:], (top, left), window.dilation, window.kernel, window.stride, strict=True
            )
        ]
        return self._add("conv", scope, (x,), (conv.out_channels, *sides), _weights(conv), window)

    def _norm(self, norm: nn.BatchNorm2d, scope: str, x: int) -> int:
        """Fold a batch norm into the convolution before it, or add one after a linear layer."""
        before, values = self.operations[x], _norm_values(norm)
        if before.kind == "conv" and x == len(self.operations) - 1:
            self.operations[x] = before._replace(values=_folded(before.values, values, norm.eps))
            return x
        if before.kind != "linear":
            raise Unknown("batch norm")
        return self._add("norm", scope, (x,), before.shape, values, eps=norm.eps)

    def _pad(self, pad: SamePadding, scope: str, x: int) -> int:
        channels, height, width = self._shape(x)
        top, bottom = same_padding(height, pad.kernel, pad.stride[0], pad.dilation)
        left, right = same_padding(width, pad.kernel, pad.stride[1], pad.dilation)
        pads = (top, left, bottom, right)
        if not any(pads):
            return x
        shape = (channels, height + top + bottom, width + left + right)
        return self._add("pad", scope, (x,), shape, pads=pads)

    def _flatten(self, scope: str, x: int) -> int:
        return self._add("flatten", scope, (x,), (prod(self._shape(x)),))

    def _shape(self, x: int) -> tuple[int, ...]:
        return self.operations[x].shape

    def _add(
        self,
        kind: Kind,
        scope: str,
        inputs: tuple[int, ...],
        shape: tuple[int, ...],
        values: "tuple[NDArray[Any], ...]" = (),
        window: Window | None = None,
        *,
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        eps: float = 0.0,
    ) -> int:
        self.operations.append(Operation(kind, scope, inputs, shape, values, window, pads, eps))
        return len(self.operations) - 1


def _pair(sizes: tuple[int, ...]) -> tuple[int, int]:
    height, width = sizes
    return height, width


def _weights(module: nn.Module) -> "tuple[NDArray[Any], ...]":
    return tuple(_array(each) for each in (module.weight, module.bias) if each is not None)


def _array(tensor: Any) -> "NDArray[Any]":
    found: NDArray[Any] = tensor.detach().to(torch.float32).numpy()
    return found


def _norm_values(norm: nn.BatchNorm2d) -> "tuple[NDArray[Any], ...]":
    if norm.weight is None or norm.bias is None or norm.running_mean is None or norm.running_var is None:
        raise Unknown("batch norm")
    return tuple(map(_array, (norm.weight, norm.bias, norm.running_mean, norm.running_var)))


def _folded(
    weights: "tuple[NDArray[Any], ...]", norm: "tuple[NDArray[Any], ...]", eps: float
) -> "tuple[NDArray[Any], ...]":
    return folded(weights[0], weights[1] if len(weights) > 1 else None, norm, eps)


def folded(
    weight: "NDArray[Any]", bias: "NDArray[Any] | None", norm: "tuple[NDArray[Any], ...]", eps: float
) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Return the weight and bias of a product with the batch norm after it. norm: as of Operation.values."""
    import numpy as np

    scale, shift, mean, variance = (each.astype(np.float64) for each in norm)
    factor = scale / np.sqrt(variance + eps)
    before = np.zeros_like(mean) if bias is None else bias
    product = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    return product.astype(np.float32), ((before - mean) * factor + shift).astype(np.float32)
