"""Count MACs, FLOPs, parameters and bytes of each operation, as integers.

One MAC is one multiply-accumulate of a convolution, linear layer or matrix product (the paper's MAdds).
FLOPs are 2 × MACs plus all other arithmetic operations at the prices in graph.ops. Bytes are those of
the deployed network: batch norm is folded into its convolution, the activation is fused, and each
tensor and each weight is moved once.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Final, Literal, NamedTuple, get_args

import msgspec
from msgspec.structs import replace

from ..graph.errors import InputError, one_of, require, require_at_least_1
from ..graph.graph import Block, Graph, Layer
from ..graph.once import once
from ..graph.ops import Op

BatchNorm = Literal["folded", "separate"]
Dtype = Literal["fp32", "fp16", "bf16", "int8"]
By = Literal["layer", "op", "block"]

DTYPE_BYTES: Final[dict[Dtype, int]] = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}


class Cost(msgspec.Struct, frozen=True):
    """Cost of one layer. macs, flops: of one image.

    params: trainable parameters; shared weights are counted at their first layer. weight_bytes: deployed
    weights. read_bytes: inputs and weights, write_bytes: output, both of `batch` images. fused_into: the
    layer that it is fused into, or "". reason: why MACs or FLOPs are None.

    >>> stem, norm, *_ = mnv3prof.count(mnv3prof.load("large").graph)
    >>> stem.params, norm.params, norm.fused_into == stem.layer
    (432, 32, True)
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
    batch: int = 1


class Totals(msgspec.Struct, frozen=True):
    """Sum of the costs of several layers: a block's, an operation's, or the network's.

    layers: their number. unpriced: those whose FLOPs are None, so that `flops` is a lower bound; uncounted:
    those of them whose MACs are None too, so that `macs` is one. parted: True if it has a fused layer
    without the layer that it is fused into.

    >>> totals = mnv3prof.total(mnv3prof.count(mnv3prof.load("large").graph))
    >>> totals.layers, totals.macs, totals.params
    (187, 216589760, 5483032)
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
    batch: int = 1
    uncounted: tuple[str, ...] = ()

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity in FLOPs per byte moved.

        None if no byte is moved, if FLOPs are not known, or if `parted`: FLOPs and bytes are then of
        different layers.
        """
        moved = self.read_bytes + self.write_bytes
        return self.batch * self.flops / moved if moved and not self.parted and not self.unpriced else None


@once
def count(
    graph: Graph, dtype: Dtype = "fp32", batch_norm: BatchNorm = "folded", batch: int = 1
) -> tuple[Cost, ...]:
    """Return the cost of every layer, in the graph's order. Raises InputError.

    dtype: of weights and activations. batch: images that bytes are for; weights are read once. With
    batch_norm="separate" nothing is fused: batch norm costs 2 FLOPs per element and has four vectors, and
    activations move their own bytes.

    >>> mnv3prof.count(mnv3prof.load("large").graph)[0].macs  # the stem: 112 * 112 * 16 * 3 * 3 * 3
    5419008
    """
    one_of(batch_norm, get_args(BatchNorm), "batch_norm")
    require_at_least_1(batch, "batch")
    element = element_bytes(dtype)
    sizes = _Sizes(graph.unpadded, element, 4 if dtype == "int8" else element)  # int8: biases of 32 bits
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
        costs.append(_batched(_cost(layer, op, own, into, into in biased, sizes), batch))
    return tuple(costs)


def _batched(cost: Cost, batch: int) -> Cost:
    """Return the cost of an image with the bytes of a batch."""
    if batch == 1:
        return cost
    read = cost.weight_bytes + batch * (cost.read_bytes - cost.weight_bytes)
    return replace(cost, read_bytes=read, write_bytes=batch * cost.write_bytes, batch=batch)


def element_bytes(dtype: Dtype) -> int:
    """Bytes of one weight or activation. Raises InputError."""
    one_of(dtype, DTYPE_BYTES, "dtype")
    return DTYPE_BYTES[dtype]


def total(costs: Iterable[Cost], name: str = "total") -> Totals:
    """Return the sum of `costs`, called `name`. Raises InputError.

    >>> mnv3prof.total(mnv3prof.count(mnv3prof.load("large").graph)).params
    5483032
    """
    require(costs, Iterable, "total", "what mnv3prof.count returns")
    layers = macs = flops = params = weight_bytes = read_bytes = write_bytes = 0
    batch = 1
    unpriced: list[str] = []
    uncounted: list[str] = []
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
        batch = cost.batch
        names.add(cost.layer)
        hosts.add(cost.fused_into)
        if cost.reason:
            unpriced.append(cost.layer)
            uncounted += [cost.layer] if cost.macs is None else []
    parted = len(hosts) > 1 and not hosts - {""} <= names
    sums = (layers, macs, flops, params, weight_bytes, read_bytes, write_bytes)
    return Totals(name, *sums, tuple(unpriced), parted, batch, tuple(uncounted))


def subtotals(graph: Graph, costs: Iterable[Cost], by: By = "block") -> tuple[Totals, ...]:
    """Return the sums by block, operation or layer, in execution order. Raises InputError.

    >>> graph = mnv3prof.load("large").graph
    >>> [(block.name, block.macs) for block in mnv3prof.subtotals(graph, mnv3prof.count(graph))[:2]]
    [('stem', 5419008), ('1', 5017600)]
    """
    one_of(by, get_args(By), "by")
    require(graph, Graph, "subtotals", "what mnv3prof.expand returns")
    require(costs, Iterable, "subtotals", "what mnv3prof.count returns")
    costs = tuple(costs)
    for cost in costs:
        require(cost, Cost, "subtotals", "what mnv3prof.count returns")
    if [cost.layer for cost in costs] != [layer.name for layer in graph.layers]:
        raise InputError(
            f"subtotals: {len(costs)} costs are not those of {len(graph.layers)} layers; "
            "expected what mnv3prof.count returns of the same graph"
        )
    groups: dict[str, list[Cost]] = {}
    for (block, layer), cost in zip(graph.placed(), costs, strict=True):
        groups.setdefault(group_of(block, layer, by), []).append(cost)
    return tuple(total(group, name) for name, group in groups.items())


def group_of(block: Block, layer: Layer, by: By) -> str:
    """Return the name of a layer's group."""
    return {"block": block.name, "op": layer.op, "layer": layer.name}[by]


class _Sizes(NamedTuple):
    """Elements of every tensor by name, and bytes per element of tensors and of biases."""

    elements: Mapping[str, int]
    element: int
    bias: int


def _flops(layer: Layer, op: Op, elements: Mapping[str, int]) -> int | None:
    """Return the FLOPs of a layer that is not fused; None if its operation has no price."""
    if op.flops is None:
        return None
    outputs = elements[layer.name]
    if op.kind == "recurrent":
        return _recurrent_flops(layer, op)
    if op.weighted:
        scores = layer.macs // layer.contraction if op.flops else 0  # of attention
        return 2 * layer.macs + layer.products + op.flops * scores + (outputs if layer.biased else 0)
    if op.kind == "pool":
        window = prod(layer.geometry.kernel) * outputs if layer.geometry else 0
        return op.flops * ((window or sum(elements[source] for source in set(layer.inputs))) + outputs)
    return op.flops * outputs


def _recurrent_flops(layer: Layer, op: Op) -> int | None:
    """Return the FLOPs of a recurrent layer; None without its weights, from which its sizes are taken.

    2 per MAC, and in each step 1 per bias and the price per hidden unit. steps: MACs / elements of all
    matrices. hidden units: rows of the matrices of gates / (2 × gates); a projection has fewer rows.
    PyTorch's LSTM of 6 inputs and 8 units: 4 × 8 × (6 + 8) MACs, 2 × 32 biases and 30 × 8 in each step.
    """
    shapes = [tensor.shape for tensor in layer.weights]
    axes = max((len(shape) for shape in shapes), default=0)
    matrices = [shape for shape in shapes if len(shape) == axes >= 2]
    biases = sum(prod(shape) for shape in shapes if len(shape) == axes - 1)
    rows = max((shape[-2] for shape in matrices), default=0)
    gated = sum(prod(shape[:-1]) for shape in matrices if shape[-2] == rows)
    elements = sum(map(prod, matrices))
    if not elements or layer.macs % elements or not gated or gated % (2 * op.gates) or op.flops is None:
        return None
    return 2 * layer.macs + layer.macs // elements * (biases + op.flops * gated // (2 * op.gates))


def _cost(layer: Layer, op: Op, own: Sequence[int], into: str, biased: bool, sizes: _Sizes) -> Cost:
    """Count one layer.

    own: elements of each of its weights, 0 for one of an earlier layer. into: the layer that it is fused
    into, or "". biased: True if that layer has a bias.
    """
    params = sum(own)
    name, outputs = layer.name, sizes.elements[layer.name]
    if op.kind == "view":
        return Cost(name, 0, 0, 0, 0, 0, 0)
    if op.kind == "activation" and into and op.flops is not None:
        return Cost(name, 0, op.flops * outputs, 0, 0, 0, 0, into)
    if op.kind == "norm" and into:
        # The scale is folded into the weights, the shift into the bias, which may be new.
        shift = 0 if biased else layer.out_shape[0] * sizes.bias
        return Cost(name, 0, 0 if biased else outputs, params, shift, shift, 0, into)
    macs: int | None = layer.macs
    flops, stored, reason = _flops(layer, op, sizes.elements), params * sizes.bias, ""
    inputs = sum([sizes.elements[source] for source in set(layer.inputs)])
    if op.weighted:
        kernel, *bias = own or (0,)
        stored = kernel * sizes.element + sum(bias) * sizes.bias
    elif op.name == "batch_norm":
        stored += 2 * layer.out_shape[0] * sizes.bias  # mean and variance
    if flops is None:
        reason = f"{op.name} has no price"
        macs = macs or None
    read, write = inputs * sizes.element + stored, outputs * sizes.element
    return Cost(name, macs, flops, params, stored, read, write, into, reason)
