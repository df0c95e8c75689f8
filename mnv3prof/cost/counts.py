"""What each operation must cost: MACs, FLOPs, parameters and bytes, as exact integers.

One MAC is one multiply-accumulate of a convolution, linear layer or matrix product (the paper's MAdds).
FLOPs are 2 × MACs and every other arithmetic operation at the price that graph.ops gives it. Bytes are
those of the deployed network: batch norm is folded into its convolution, the activation is applied as
the result is stored, and each tensor and each weight is moved once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import prod
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from ..graph.errors import InputError, require, shown
from ..graph.graph import Block, Graph, Layer
from ..graph.once import once
from ..graph.ops import Op

BatchNorm = Literal["folded", "separate"]
Dtype = Literal["fp32", "fp16", "bf16", "int8"]
By = Literal["layer", "op", "block"]

DTYPE_BYTES: Final[dict[Dtype, int]] = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}


class Cost(msgspec.Struct, frozen=True):
    """Cost of one layer for one image: `macs`, `flops`, `params` (what a state_dict trains), and
    bytes of weights, bytes read (inputs and weights) and bytes written. Weights that several layers
    share are the first one's.

    fused_into: the layer as part of which it runs, "" for one that runs by itself. reason: says why
    MACs or FLOPs are None.
    """

    layer: str
    macs: int | None
    flops: int | None
    params: int
    weight_bytes: int
    read_bytes: int
    write_bytes: int
    fused_into: str = ""
    reason: str = ""


class Totals(msgspec.Struct, frozen=True):
    """Sum of the costs of `layers` layers: a block's, an operation's, or the network's.

    unpriced: the layers whose MACs or FLOPs are None; then `macs` and `flops` are lower bounds.
    parted: True if it has a fused layer, but not the layer into which that is fused.
    """

    name: str
    layers: int
    macs: int
    flops: int
    params: int
    weight_bytes: int
    read_bytes: int
    write_bytes: int
    unpriced: tuple[str, ...] = ()
    parted: bool = False

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity in FLOPs per byte moved. None if no byte is moved, if FLOPs are not known,
        or if a fused layer's FLOPs are done where another layer's bytes are moved.
        """
        moved = self.read_bytes + self.write_bytes
        return self.flops / moved if moved and not self.parted and not self.unpriced else None


@once
def count(graph: Graph, dtype: Dtype = "fp32", batch_norm: BatchNorm = "folded") -> tuple[Cost, ...]:
    """The cost of every layer, in the graph's order, at `dtype` for weights and activations.

    With batch_norm="separate" each operation runs by itself: batch norm costs 2 FLOPs an element
    and keeps its four vectors, and activations move their own bytes. Raises InputError.
    """
    _known(batch_norm, get_args(BatchNorm), "batch norm")
    sizes = _Sizes(graph.elements, element_bytes(dtype), bias_bytes(dtype))
    fused = graph.fused if batch_norm == "folded" else {}
    biased = {layer.name for layer in graph.layers if layer.biased} if fused else set()
    known: set[str] = set()
    costs = []
    for layer, op in zip(graph.layers, graph.operations, strict=True):
        own = []
        for name, shape in layer.weights:
            own.append(0 if name in known else prod(shape))
            known.add(name)
        into = fused.get(layer.name, "")
        costs.append(_cost(layer, op, own, into, into in biased, sizes))
    return tuple(costs)


def bias_bytes(dtype: Dtype) -> int:
    """Bytes of one element of a bias: int8 keeps its biases in 32 bits. Raises InputError."""
    return 4 if dtype == "int8" else element_bytes(dtype)


def element_bytes(dtype: Dtype) -> int:
    """Bytes of one weight or activation. Raises InputError for a type that is not known."""
    _known(dtype, DTYPE_BYTES, "dtype")
    return DTYPE_BYTES[dtype]


def _known(value: str, allowed: Collection[str], what: str) -> None:
    if value not in allowed:
        raise InputError(f"{what}: {shown(value)} is not allowed; allowed are {', '.join(allowed)}")


def total(costs: Iterable[Cost], name: str = "total") -> Totals:
    """The sum of `costs`, called `name`."""
    require(costs, Iterable, "total", "what mnv3prof.count returns")
    layers = macs = flops = params = weight_bytes = read_bytes = write_bytes = 0
    unpriced: list[str] = []
    names: set[str] = set()
    hosts: set[str] = {""}
    for cost in costs:
        require(cost, Cost, "total", "what mnv3prof.count returns")
        layers += 1
        macs += cost.macs or 0
        flops += 2 * (cost.macs or 0) if cost.flops is None else cost.flops
        params += cost.params
        weight_bytes += cost.weight_bytes
        read_bytes += cost.read_bytes
        write_bytes += cost.write_bytes
        names.add(cost.layer)
        hosts.add(cost.fused_into)
        if cost.reason:
            unpriced.append(cost.layer)
    parted = len(hosts) > 1 and not hosts - {""} <= names
    return Totals(
        name, layers, macs, flops, params, weight_bytes, read_bytes, write_bytes, tuple(unpriced), parted
    )


def subtotals(graph: Graph, costs: Iterable[Cost], by: By = "block") -> tuple[Totals, ...]:
    """The sums over each block, operation or single layer, in the order in which they run.

    Raises InputError for another `by`.
    """
    _known(by, get_args(By), "by")
    require(graph, Graph, "subtotals", "what mnv3prof.expand returns")
    costs = tuple(costs)
    if len(costs) != len(graph.layers):
        raise InputError(
            f"subtotals: {len(costs)} costs are not those of {len(graph.layers)} layers; "
            "expected what mnv3prof.count returns of the same graph"
        )
    groups: dict[str, list[Cost]] = {}
    for (block, layer), cost in zip(graph.placed(), costs, strict=True):
        groups.setdefault(group_of(block, layer, by), []).append(cost)
    return tuple(total(group, name) for name, group in groups.items())


def group_of(block: Block, layer: Layer, by: By) -> str:
    """The name of the group in which a layer is counted."""
    return {"block": block.name, "op": layer.op, "layer": layer.name}[by]


class _Sizes(NamedTuple):
    """Elements of every tensor by name, and bytes of an element and of a bias's element."""

    elements: Mapping[str, int]
    element: int
    bias: int


def _cost(layer: Layer, op: Op, own: Sequence[int], into: str, biased: bool, sizes: _Sizes) -> Cost:
    """own: elements of each of its weights, 0 for one that a layer before it has. into: the layer that it
    is fused into, and biased: True if that one has a bias.
    """
    params = sum(own)
    name, outputs = layer.name, sizes.elements[layer.name]
    if op.kind == "view":
        return Cost(name, 0, 0, 0, 0, 0, 0)
    if op.kind == "activation" and into and op.flops is not None:
        return Cost(name, 0, op.flops * outputs, 0, 0, 0, 0, into)
    if op.kind == "norm" and into:
        # Its scale goes into the weights there, its shift into the bias, which may be new.
        shift = 0 if biased else layer.out_shape[0] * sizes.bias
        return Cost(name, 0, 0 if biased else outputs, params, shift, shift, 0, into)
    macs: int | None = layer.macs
    flops, stored, reason = op.flops, params * sizes.bias, ""
    inputs = sum([sizes.elements[source] for source in set(layer.inputs)])
    if op.weighted:
        kernel, *bias = own or (0,)
        stored = kernel * sizes.element + sum(bias) * sizes.bias
        flops = 2 * layer.macs + (outputs if layer.biased else 0)
    elif op.kind == "norm":
        stored += 2 * layer.out_shape[0] * sizes.bias  # mean and variance
    if flops is None:
        reason = f"{op.name} has no price"
        macs = macs or None
    elif not op.weighted:
        flops *= inputs + outputs if op.kind == "pool" else outputs
    read, write = inputs * sizes.element + stored, outputs * sizes.element
    return Cost(name, macs, flops, params, stored, read, write, into, reason)
