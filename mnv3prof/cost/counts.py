"""What each operation must cost: MACs, FLOPs, parameters and bytes, as exact integers.

One MAC is one multiply-accumulate of a convolution or linear layer (the paper's MAdds). FLOPs are
2 × MACs and every other arithmetic operation at the price below. Bytes are those of the deployed
network: batch norm is folded into its convolution, the activation is applied as the result is
stored, and each tensor and each weight is moved once.
"""

from collections.abc import Collection, Iterable
from math import prod
from typing import Final, Literal, get_args

import msgspec

from ..arch.layers import ELEMENTWISE, IMAGE, VIEWS, WEIGHTED, Graph, Layer, Op
from ..arch.table import InputError, shown

BatchNorm = Literal["folded", "separate"]
Dtype = Literal["fp32", "fp16", "bf16", "int8"]
By = Literal["layer", "op", "block"]

DTYPE_BYTES: Final[dict[Dtype, int]] = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}

PRICES: Final[dict[Op, int]] = {
    "batch_norm": 2,  # scale and shift; folded, only the shift is left: 1
    "relu": 1,  # one clamp
    "relu6": 2,  # two clamps
    "hardsigmoid": 4,  # add, two clamps, multiply by 1/6
    "hardsigmoid_relu6": 4,
    "hardswish": 5,  # h-sigmoid and a multiply
    "hardswish_relu6": 5,
    "hardswish_clamp": 5,
    "sigmoid": 4,  # negate, exponential, add, divide
    "swish": 5,  # sigmoid and a multiply
    "mul": 1,
    "add": 1,
}
"""FLOPs for each output element of an operation. A bias adds 1; an average pool costs 1 for each
input and 1 for each output element."""


class Cost(msgspec.Struct, frozen=True):
    """Cost of one layer for one image: `macs`, `flops`, `params` (what a state_dict trains), and
    bytes of weights, bytes read (inputs and weights) and bytes written.
    """

    layer: str
    macs: int
    flops: int
    params: int
    weight_bytes: int
    read_bytes: int
    write_bytes: int


class Totals(msgspec.Struct, frozen=True):
    """Sum of the costs of `layers` layers: a block's, an operation's, or the network's."""

    name: str
    layers: int
    macs: int
    flops: int
    params: int
    weight_bytes: int
    read_bytes: int
    write_bytes: int

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity in FLOPs per byte moved; None where no byte is moved."""
        moved = self.read_bytes + self.write_bytes
        return self.flops / moved if moved else None


def count(graph: Graph, dtype: Dtype = "fp32", batch_norm: BatchNorm = "folded") -> tuple[Cost, ...]:
    """The cost of every layer, in the graph's order, at `dtype` for weights and activations.

    With batch_norm="separate" each operation runs by itself: batch norm costs 2 FLOPs an element
    and keeps its four vectors, and activations move their own bytes. Raises InputError.
    """
    _known(batch_norm, get_args(BatchNorm), "batch norm")
    folded = batch_norm == "folded"
    size = element_bytes(dtype)
    bias_size = 4 if dtype == "int8" else size
    shapes = {layer.name: prod(layer.out_shape) for layer in graph.layers}
    shapes[IMAGE] = prod(graph.image)
    return tuple(_cost(layer, shapes, folded, size, bias_size) for layer in graph.layers)


def element_bytes(dtype: Dtype) -> int:
    """Bytes of one weight or activation. Raises InputError for a type that is not known."""
    _known(dtype, DTYPE_BYTES, "dtype")
    return DTYPE_BYTES[dtype]


def _known(value: str, allowed: Collection[str], what: str) -> None:
    if value not in allowed:
        raise InputError(f"{what}: {shown(value)} is not allowed; allowed are {', '.join(allowed)}")


def total(costs: Iterable[Cost], name: str = "total") -> Totals:
    """The sum of `costs`, called `name`."""
    layers = macs = flops = params = weight_bytes = read_bytes = write_bytes = 0
    for cost in costs:
        layers += 1
        macs += cost.macs
        flops += cost.flops
        params += cost.params
        weight_bytes += cost.weight_bytes
        read_bytes += cost.read_bytes
        write_bytes += cost.write_bytes
    return Totals(name, layers, macs, flops, params, weight_bytes, read_bytes, write_bytes)


def subtotals(graph: Graph, costs: Iterable[Cost], by: By = "block") -> tuple[Totals, ...]:
    """The sums over each block, operation or single layer, in the order in which they run.

    Raises InputError for another `by`.
    """
    _known(by, get_args(By), "by")
    groups: dict[str, list[Cost]] = {}
    for layer, cost in zip(graph.layers, costs, strict=True):
        name = layer.block if by == "block" else layer.op if by == "op" else layer.name
        groups.setdefault(name, []).append(cost)
    return tuple(total(group, name) for name, group in groups.items())


def macs(layer: Layer) -> int:
    """Multiply-accumulates of one image: out · H · W · (in / groups) · k², or in · out if linear."""
    if layer.op not in WEIGHTED:
        return 0
    return layer.elements * (layer.in_shape[0] // layer.groups) * layer.kernel**2


def weights(layer: Layer) -> int:
    """Weights of a convolution or linear layer without its bias: out · (in / groups) · k²."""
    if layer.op not in WEIGHTED:
        return 0
    return layer.out_shape[0] * (layer.in_shape[0] // layer.groups) * layer.kernel**2


def _cost(layer: Layer, elements: dict[str, int], folded: bool, size: int, bias_size: int) -> Cost:
    outputs = elements[layer.name]
    if layer.op in WEIGHTED:
        products, kernels = macs(layer), weights(layer)
        bias = layer.out_shape[0] if layer.bias else 0
        stored = kernels * size + bias * bias_size
        read = elements[layer.inputs[0]] * size + stored
        flops = 2 * products + (outputs if bias else 0)
        return Cost(layer.name, products, flops, kernels + bias, stored, read, outputs * size)
    if layer.op == "batch_norm":
        channels = layer.out_shape[0]
        if folded:
            return Cost(layer.name, 0, outputs, 2 * channels, channels * bias_size, channels * bias_size, 0)
        stored = 4 * channels * bias_size
        flops = PRICES["batch_norm"] * outputs
        return Cost(layer.name, 0, flops, 2 * channels, stored, outputs * size + stored, outputs * size)
    if layer.op in VIEWS:
        return Cost(layer.name, 0, 0, 0, 0, 0, 0)
    if layer.op == "avg_pool":
        inputs = elements[layer.inputs[0]]
        return Cost(layer.name, 0, inputs + outputs, 0, 0, inputs * size, outputs * size)
    flops = PRICES[layer.op] * outputs
    if folded and layer.op in ELEMENTWISE:
        return Cost(layer.name, 0, flops, 0, 0, 0, 0)
    read = sum(elements[name] for name in layer.inputs) * size
    return Cost(layer.name, 0, flops, 0, 0, read, outputs * size)
