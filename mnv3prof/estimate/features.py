"""Features of a block, of which its latency is predicted: counts by kind of operation."""

from functools import cache
from math import prod
from typing import Final

from ..graph.graph import Graph, Layer
from ..graph.ops import OPS

Features = tuple[float, ...]
"""A value for each of NAMES."""

_KERNELS: Final = (3, 5, 7)
_PRODUCTS: Final = (
    "pointwise",
    *(f"depthwise {k} stride {s}" for k in (*_KERNELS, "other") for s in (1, 2)),
    "conv",
    "linear",
    "se",
)
_COUNTED: Final = ("number", "macs", "weights", "elements")
"""What is counted of each of _PRODUCTS: layers, MACs, weights, and elements read and written."""
_ELEMENTWISE: Final = tuple(
    op.name for op in OPS.values() if op.kind in ("activation", "elementwise", "pool") or op.name == "pad"
)
_CHANNELS: Final = ("channels in", "channels out", "widest")
_SHAPE: Final = (*_CHANNELS, "pixels in", "pixels out", "kernel", *(f"{name} mod 16" for name in _CHANNELS))
"""Runtimes compute up to 16 channels at once, and the rest one by one."""


@cache
def _places() -> dict[str, int]:
    return {name: place for place, name in enumerate(NAMES)}


NAMES: Final = (
    "border",
    "weights",
    "layers",
    *(f"{product} {counted}" for product in _PRODUCTS for counted in _COUNTED),
    *_ELEMENTWISE,
    *_SHAPE,
)
"""border: elements that the block before hands on, 0 for the first block."""
LINEAR: Final = len(NAMES) - len(_SHAPE)
"""The first features are such that times are sums of multiples of them."""
BORDER, WEIGHTS = NAMES.index("border"), NAMES.index("weights")


def features_of(graph: Graph, block: str) -> Features:
    """Return the features of a block."""
    found, places = [0.0] * len(NAMES), _places()
    known = graph.block(block)
    assert known is not None  # the caller has its name from the graph
    layers = known.layers
    first, last = graph.in_shape(layers[0]), layers[-1].out_shape
    is_first = known is graph.blocks[0]
    found[BORDER] = 0.0 if is_first else float(prod(first))
    found[WEIGHTS] = float(sum(prod(weight.shape) for layer in layers for weight in layer.weights))
    found[places["layers"]] = float(len(layers))
    for layer in layers:
        if name := _product(layer):
            for counted, value in zip(_COUNTED, _counts(graph, layer), strict=True):
                found[places[f"{name} {counted}"]] += value
        elif layer.op in places:
            found[places[layer.op]] += prod(graph.in_shape(layer))
    kernels = [layer.geometry.kernel[0] for layer in layers if layer.geometry]
    channels = (first[0], last[0], max(layer.out_shape[0] for layer in layers))
    shape = (
        *channels,
        prod(first[1:]),
        prod(last[1:]),
        max(kernels, default=0),
        *(width % 16 for width in channels),
    )
    found[LINEAR:] = map(float, shape)
    return tuple(found)


def _counts(graph: Graph, layer: Layer) -> tuple[float, float, float, float]:
    weights = sum(prod(weight.shape) for weight in layer.weights)
    return 1.0, float(layer.macs), float(weights), float(prod(graph.in_shape(layer)) + layer.elements)


def _product(layer: Layer) -> str:
    """Return which of _PRODUCTS a layer is, "" for none."""
    if layer.role in ("se_reduce", "se_expand"):
        return "se"
    if layer.op == "depthwise" and layer.geometry:
        kernel, stride = layer.geometry.kernel[0], min(max(layer.geometry.stride), 2)
        return f"depthwise {kernel if kernel in _KERNELS else 'other'} stride {stride}"
    return layer.op if layer.op in _PRODUCTS else ""
