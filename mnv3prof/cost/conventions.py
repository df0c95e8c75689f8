"""Conventions of other FLOP counters as coefficients of terms, and reconciliation of their results.

A counter's result is a sum over terms: coefficient × quantity of the term in the network. The tests
derive every coefficient from the tool itself.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from ..graph.errors import lookup
from ..graph.graph import Graph, Layer
from ..graph.once import once
from ..graph.ops import OPS, TABLE_OPS

_NOT_RECOVERED: Final = ("matmul", "einsum")
"""Products for which no tool's coefficient is known."""
_RECOVERED: Final = [op for op in OPS.values() if op.name in TABLE_OPS and op.name not in _NOT_RECOVERED]
_WEIGHTED: Final = [op for op in _RECOVERED if op.weighted]
_OTHERS: Final = [op for op in _RECOVERED if op.kind in ("norm", "activation", "pool", "elementwise")]
TERMS: Final = {
    **{op.name: f"{op.title}, MACs" for op in _WEIGHTED},
    "conv_bias": "convolution bias, output elements",
    "normed_bias": "convolution bias before batch norm, output elements",
    "linear_bias": "linear bias, output elements",
    **{op.name: f"{op.title}, elements" for op in _OTHERS if op.kind == "norm"},
    "batch_norm_channels": "batch norm, channels",
    **{op.name: f"{op.title}, elements" for op in _OTHERS if op.kind == "activation"},
    "pool_in": "average pool, input elements",
    "pool_out": "average pool, output elements",
    **{op.name: f"{op.title}, elements" for op in _OTHERS if op.kind == "elementwise"},
}
"""Title of each term: a class of operations and the quantity that is counted."""


class Counter(msgspec.Struct, frozen=True):
    """A total that a tool prints.

    printed_as: the tool's name for it. version: of the tool with these coefficients.
    coefficients: how often each term is counted; 0 for terms that are left out.
    """

    printed_as: str
    version: str
    coefficients: Mapping[str, int]


class Reading(msgspec.Struct, frozen=True):
    """Result of a counter for a network, or the reason why there is none."""

    tool: str
    version: str | None
    status: Literal["ok", "not available", "crashed", "not run"]
    reason: str = ""
    printed: int | None = None


class Explained(msgspec.Struct, frozen=True):
    """A counter result, the total by the coefficients, and the remainder: printed − explained."""

    reading: Reading
    explained: int
    remainder: int | None


class Reconciliation(msgspec.Struct, frozen=True):
    """Quantities of the network's terms, and every counter result reconciled with them."""

    quantities: Mapping[str, int]
    tools: tuple[Explained, ...]

    @property
    def holds(self) -> bool:
        """True if every printed result is fully reconciled (remainder 0)."""
        return not any(tool.remainder for tool in self.tools)


_MACS: Final = {op.name: 1 for op in _WEIGHTED}
_TWICE: Final = dict.fromkeys(_MACS, 2)
_BIASES: Final = {"conv_bias": 1, "normed_bias": 1, "linear_bias": 1}

COUNTERS: Final[Mapping[str, Counter]] = {
    "torch": Counter("FLOPs", "2.13.0", _TWICE),
    "fvcore": Counter("flops", "0.1.5.post20221221", {**_MACS, "batch_norm": 2, "pool_in": 1}),
    "thop": Counter("macs", "0.1.1.post2209072238", {**_MACS, "batch_norm": 4, "pool_in": 1, "pool_out": 1}),
    "ptflops-aten": Counter("MACs", "0.7.5", {**_MACS, **_BIASES}),
    "ptflops-pytorch": Counter(
        "MACs",
        "0.7.5",
        {
            **_MACS,
            **_BIASES,
            # Batch norm, ReLU and pooling are counted by the module's hook and by the patched functional.
            "batch_norm": 2,
            "relu": 2,
            "pool_in": 2,
            "relu6": 1,
            "hardswish_relu6": 1,
            "hardsigmoid_relu6": 1,
            "swish": 1,
        },
    ),
    "torchinfo": Counter("mult-adds", "1.8.0", {**_MACS, **_BIASES, "batch_norm_channels": 2}),
    "calflops-macs": Counter("MACs", "0.3.2", _MACS),
    "calflops-flops": Counter(
        "FLOPs",
        "0.3.2",
        {
            **_TWICE,
            "conv_bias": 1,
            "normed_bias": 1,
            "batch_norm": 2,
            "pool_in": 1,
            "relu": 1,
            "hardswish_relu6": 1,
            "hardsigmoid_relu6": 1,
            "swish": 1,
        },
    ),
    "torchprofile": Counter(
        "MACs",
        "0.1.0",
        {**_MACS, "batch_norm": 1, "pool_out": 1, "mul": 1, "hardswish_relu6": 1, "hardswish_clamp": 1},
    ),
    "onnx-tool": Counter(
        "MACs",
        "1.0.1",
        {
            **_MACS,
            "conv_bias": 1,
            "linear_bias": 1,
            "batch_norm": 1,  # the exporter folds it into the convolution, which has one bias then
            "relu": 1,
            "relu6": 2,
            "hardswish": 5,
            "hardswish_relu6": 8,
            "hardswish_clamp": 8,
            "hardsigmoid": 4,
            "hardsigmoid_relu6": 7,
            "sigmoid": 32,
            "swish": 33,
            "pool_in": 1,
            "pool_out": 4,
            "mul": 1,
            "add": 1,
        },
    ),
}
"""The counters by name, in display order."""


def counter(tool: str) -> Counter:
    """Return the counter called `tool`. Raises InputError."""
    return lookup(tool, COUNTERS, "counter")


def terms(graph: Graph, layer: Layer) -> dict[str, int] | None:
    """Return the quantities of a layer by term; None if its operation has no term."""
    elements, kind = layer.elements, layer.operation.kind
    if kind == "view":
        return {}
    if layer.op == "batch_norm":
        return {"batch_norm": elements, "batch_norm_channels": layer.out_shape[0]}
    if layer.op == "avg_pool":
        return {"pool_in": graph.elements[layer.inputs[0]], "pool_out": elements}
    if layer.op not in TERMS:
        return None
    if layer.operation.weighted:
        bias = "linear_bias" if kind == "matmul" else "conv_bias"
        if bias == "conv_bias" and layer.name in _normed(graph):
            bias = "normed_bias"
        return {layer.op: layer.macs, **({bias: elements} if layer.biased else {})}
    return {layer.op: elements}


@once
def _normed(graph: Graph) -> frozenset[str]:
    """Return the layers into which a batch norm is folded."""
    kinds = {layer.name: op.kind for layer, op in zip(graph.layers, graph.operations, strict=True)}
    return frozenset(into for name, into in graph.fused.items() if kinds[name] == "norm")


def quantities(graph: Graph) -> dict[str, int]:
    """Return the network's quantities by term, in the order of TERMS, without zeros."""
    sums = dict.fromkeys(TERMS, 0)
    for layer in graph.layers:
        for term, quantity in (terms(graph, layer) or {}).items():
            sums[term] += quantity
    return {term: quantity for term, quantity in sums.items() if quantity}


def counted_as(graph: Graph, tool: str) -> tuple[int | None, ...]:
    """Return the count of each layer in `tool`'s convention, in the graph's order.

    None: the tool's convention for the operation is not known. Raises InputError.
    """
    coefficients = counter(tool).coefficients
    by_layer = (terms(graph, layer) for layer in graph.layers)
    return tuple(None if each is None else _weighted_sum(each, coefficients) for each in by_layer)


def reconcile(graph: Graph, readings: Sequence[Reading]) -> Reconciliation:
    """Compare each counter result with the total by its tool's coefficients."""
    known = quantities(graph)
    tools = []
    for reading in readings:
        explained = _weighted_sum(known, counter(reading.tool).coefficients)
        remainder = None if reading.printed is None else reading.printed - explained
        tools.append(Explained(reading, explained, remainder))
    return Reconciliation(known, tuple(tools))


def _weighted_sum(quantities: Mapping[str, int], coefficients: Mapping[str, int]) -> int:
    return sum(coefficients.get(term, 0) * quantity for term, quantity in quantities.items())
