"""Limits of graphs that were not made from a layer table, e.g. read from a file."""

from collections.abc import Iterable, Iterator
from math import prod
from typing import Any, Final

from .errors import InputError, quote
from .graph import Graph, Layer, Shape

MOST_LAYERS: Final = 50_000
MOST_ELEMENTS: Final = 2**40
_MOST_BYTES: Final = 2**48
_MOST_MACS: Final = 2**62
_LONGEST_NAME: Final = 300
_MOST_WINDOW: Final = 2**20
_MOST_LIFETIMES: Final = 3_000_000
"""A network of 2,000 layers that all live to the end has 2 million."""


def require_bounds(graph: Graph) -> None:
    """Raise InputError if the graph is too large, or has a size or name out of range."""
    if len(graph.layers) + len(graph.constants) > MOST_LAYERS:
        raise InputError(f"it has {len(graph.layers):,} layers; expected at most {MOST_LAYERS:,}")
    if not graph.inputs or not graph.outputs:
        raise InputError("it has no input or no output; expected at least one of both")
    if graph.eager and len(graph.eager.layers) not in (0, len(graph.layers)):
        raise InputError("eager has not one number per layer; expected as many as layers")
    sizes = (*graph.eager.layers, *(size for _, size in graph.eager.alive)) if graph.eager else ()
    if any(not 0 <= size <= _MOST_BYTES for size in sizes):
        raise InputError("a size of eager is out of range; expected 0 to 2^48 bytes")
    for name, shape in _tensors(graph):
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise InputError(f"the name {quote(name)} is not allowed; expected printable text")
        if any(not 0 <= size <= MOST_ELEMENTS for size in shape) or prod(shape) > MOST_ELEMENTS:
            raise InputError(f"the shape of {quote(name)} is out of range; expected at most 2^40 elements")
    for layer in (*graph.layers, *graph.constants):
        _require_layer(layer)
    for layer in graph.layers:
        if layer.operation.kind in ("view", "pool") and not layer.inputs:
            raise InputError(f"layer {quote(layer.name)}: reads nothing; expected an input")
    if _lifetimes(graph) > _MOST_LIFETIMES:
        raise InputError("it keeps too many tensors alive at once; expected a network")


def _require_layer(layer: Layer) -> None:
    """Raise InputError for MACs, weights or a geometry out of range."""
    where = f"of {quote(layer.name)}"
    attends = layer.op == "attention" and layer.macs and not layer.contraction
    counts = (layer.contraction, layer.macs, layer.products)
    if any(not 0 <= each <= _MOST_MACS for each in counts) or attends:
        raise InputError(f"the MACs {where} are out of range; expected 0 to 2^62")
    window = layer.geometry
    kernel = layer.weights[0].shape if layer.weights and layer.operation.weighted else (1, 1)
    if len(kernel) < 2 - (layer.operation.kind == "recurrent" or layer.op in ("matmul", "einsum")):
        raise InputError(f"the weight {where} has {len(kernel)} axes; expected at least 2")
    if window is None:
        return
    axes = (window.kernel, window.stride, window.dilation, window.padding)
    values = (*window.kernel, *window.stride, *window.dilation, window.groups)
    pads = [each for pair in window.padding for each in pair]
    shaped = all(isinstance(each, tuple) for each in axes) and len({len(each) for each in axes}) == 1
    if not shaped or not window.kernel or not _are_within(values, 1):
        raise InputError(f"the geometry {where} is out of range; expected a value per axis, 1 to 2^20")
    if not _are_within(pads, -_MOST_WINDOW):
        raise InputError(f"the padding {where} is out of range; expected at most 2^20")


def _are_within(values: Iterable[Any], least: int) -> bool:
    """Return True for integers from `least`; a damaged file can have anything in their place."""
    return all(type(each) is int and least <= each <= _MOST_WINDOW for each in values)


def _lifetimes(graph: Graph) -> int:
    """Return the number of layers that tensors are alive for, added up: what planning takes."""
    last = {name: n for n, layer in enumerate(graph.layers) for name in layer.inputs}
    return sum(last.get(layer.name, n) - n for n, layer in enumerate(graph.layers))


def _tensors(graph: Graph) -> Iterator[tuple[str, Shape]]:
    """Yield name and shape of everything that has one; () for a block or the graph."""
    yield graph.name, ()
    yield graph.eager.reason if graph.eager else "", ()
    yield from ((block.name, ()) for block in graph.blocks)
    yield from ((text, ()) for pair in graph.varies for text in pair)
    yield from graph.inputs
    yield from graph.unused
    for layer in (*graph.layers, *graph.constants):
        yield layer.name, layer.out_shape
        yield layer.op, ()
        yield layer.path, ()
        yield from layer.weights
