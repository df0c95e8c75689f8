"""Limits of graphs that were not made from a layer table, e.g. read from a file."""

from collections.abc import Iterator
from math import prod
from typing import Final

from .errors import InputError, quote
from .graph import Graph, Shape

MOST_LAYERS: Final = 50_000
MOST_ELEMENTS: Final = 2**40
_MOST_MACS: Final = 2**62
_LONGEST_NAME: Final = 300


def require_bounds(graph: Graph) -> None:
    """Raise InputError if the graph has too many layers, or one with a size or name out of range."""
    if len(graph.layers) + len(graph.constants) > MOST_LAYERS:
        raise InputError(f"it has {len(graph.layers):,} layers; expected at most {MOST_LAYERS:,}")
    if not graph.inputs:
        raise InputError("it has no input; expected at least one")
    if graph.eager and len(graph.eager.layers) not in (0, len(graph.layers)):
        raise InputError("eager has not one number per layer; expected as many as layers")
    for name, shape in _tensors(graph):
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise InputError(f"the name {quote(name)} is not allowed; expected printable text")
        if any(size < 0 for size in shape) or prod(shape) > MOST_ELEMENTS:
            raise InputError(f"the shape of {quote(name)} is out of range; expected at most 2^40 elements")
    for layer in graph.layers:
        if not 0 <= layer.macs <= _MOST_MACS or layer.contraction < 0:
            raise InputError(f"the MACs of {quote(layer.name)} are out of range; expected 0 to 2^62")
        if layer.operation.kind in ("view", "pool") and not layer.inputs:
            raise InputError(f"layer {quote(layer.name)}: reads nothing; expected an input")


def _tensors(graph: Graph) -> Iterator[tuple[str, Shape]]:
    """Yield name and shape of everything that has one; () for a block or the graph."""
    yield graph.name, ()
    yield from ((block.name, ()) for block in graph.blocks)
    yield from graph.inputs
    yield from graph.unused
    for layer in (*graph.layers, *graph.constants):
        yield layer.name, layer.out_shape
        yield layer.op, ()
        yield layer.path, ()
        yield from layer.weights
