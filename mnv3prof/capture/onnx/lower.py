"""Lower the nodes of an ONNX graph to a graph of layers."""

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from ...graph.errors import InputError
from ...graph.graph import Graph, Layer, Shape, Tensor
from ...graph.ops import op_called
from ..cuts import cut_blocks
from ..names import Names
from .names import module_path
from .node import Node
from .ops import DRAWS, SETTINGS, find
from .products import PRODUCTS, Found
from .simplify import Weight

_SAME_ELEMENTS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
_QUANTIZED = ("DequantizeLinear", *PRODUCTS)
"""Operators whose weights can be integers."""


def lower_onnx(
    name: str,
    nodes: Sequence[Node],
    ends: tuple[Sequence[str], Sequence[str]],
    shapes: Mapping[str, Shape],
    weights: Mapping[str, Weight],
    values: Mapping[str, float],
) -> tuple[Graph, dict[str, str]]:
    """Return the graph of nodes in execution order, and the file's name of each of its tensors.

    ends: names of inputs and outputs. shapes: of all tensors, with the batch. weights: what is stored.
    values: of constants with one element. Raises InputError for an unknown shape, or without a layer.
    """
    inputs, outputs = ends
    needed = {each for node in nodes for each in node.inputs}.union(outputs)
    builder = _Builder(inputs, shapes, weights, values, needed)
    for node in nodes:
        builder.take(node)
    if not builder.layers:
        raise InputError("no node reads an input; expected a network")
    returned = tuple(dict.fromkeys(builder.named[each] for each in outputs if each in builder.named))
    given = tuple(Tensor(builder.named[each], _without_batch(shapes[each])) for each in inputs)
    unused = tuple(
        builder.tensor(each) for each, weight in weights.items() if weight.learned and not weight.used
    )
    blocks = cut_blocks(builder.layers)
    tensors = {layer: tensor for tensor, layer in builder.named.items()}
    varies = tuple(builder.varies.items())
    return Graph(name, given, returned, blocks, tuple(builder.constants), unused, varies=varies), tensors


class _Builder:
    """Turns nodes into layers. named: the graph's name of each tensor that depends on an input."""

    def __init__(
        self,
        inputs: Iterable[str],
        shapes: Mapping[str, Shape],
        weights: Mapping[str, Weight],
        values: Mapping[str, float],
        needed: set[str],
    ) -> None:
        self.shapes, self.weights, self.values, self.needed = shapes, weights, values, needed
        self.names, stored = Names(), Names()
        self.named = {name: self.names.unique(name) for name in inputs}
        self.storage = {name: name for name in self.named.values()}
        self.stored = {name: stored.unique(name) for name in weights}
        self.layers: list[Layer] = []
        self.constants: list[Layer] = []
        self.behind: dict[str, tuple[Tensor, ...]] = {}
        """Weights that a constant is computed from."""
        self.drawn: dict[str, str] = {}
        self.varies: dict[str, str] = {}
        """What to say about constants, and about layers, that random numbers are in."""

    def tensor(self, name: str) -> Tensor:
        return Tensor(self.stored[name], self.weights[name].shape)

    def take(self, node: Node) -> None:
        """Add the layers of a node: one for its first output, and one for each other that is read."""
        self._require_shapes(node)
        found = find(node, self.shapes, self.values)
        weights = self._weights(node, found)
        running = tuple(dict.fromkeys(self.named[name] for name in node.inputs if name in self.named))
        layer = self._layer(node, found, weights, running)
        first, *others = node.outputs
        why = next((self.drawn[name] for name in node.inputs if name in self.drawn), "")
        if node.op in DRAWS:
            why = f"draws random numbers ({node.op}): its output differs from call to call"
        if why and running:
            self.varies[layer.name] = why
        elif why:
            self.drawn |= dict.fromkeys(node.outputs, why)
        if not running:
            self.behind |= dict.fromkeys(node.outputs, weights)
            if layer.operation.kind != "view":
                self.constants.append(layer)
            return
        self._add(first, layer)
        source = running if node.op == "Split" else (layer.name,)
        for name in others:
            if name in self.needed:
                other = self.names.unique(name)
                shape = _without_batch(self.shapes[name])
                self._add(name, Layer(other, "gather", source, shape, layer.path, other))

    def _add(self, output: str, layer: Layer) -> None:
        self.layers.append(layer)
        self.named[output] = layer.name
        self.storage[layer.name] = layer.storage

    def _require_shapes(self, node: Node) -> None:
        needed = [name for name in node.outputs if name == node.outputs[0] or name in self.needed]
        if node.op in PRODUCTS:
            needed += filter(None, node.inputs)
        for name in needed:
            if name not in self.shapes:
                raise InputError(
                    f"{node.title}: the size of {name[:60]!r} depends on data; expected fixed sizes"
                )

    def _require_as_many(self, node: Node) -> None:
        """Raise InputError if a node that moves nothing has another number of elements than its input."""
        given, written = (self.shapes.get(name) for name in (node.inputs[0], node.outputs[0]))
        if node.op in _SAME_ELEMENTS and given and written and prod(given) != prod(written):
            sizes = ["x".join(map(str, shape)) for shape in (given, written)]
            raise InputError(f"{node.title}: {sizes[0]} has another number of elements than {sizes[1]}")

    def _layer(
        self, node: Node, found: Found, weights: tuple[Tensor, ...], running: tuple[str, ...]
    ) -> Layer:
        op, first = found.op, node.outputs[0]
        name = self.names.unique(node.name or first)
        owner = name
        if op_called(op).kind == "view":
            self._require_as_many(node)
            source = self.named.get(node.inputs[0])
            owner, op = (self.storage[source], op) if source else (name, op if not running else "copy")
        if op == "linear" and not weights:
            op = "matmul"
        shape, path = _without_batch(self.shapes[first]), module_path(node.name, first)
        macs = found.known_macs
        return Layer(
            name, op, running, shape, path, owner, "", found.geometry, found.contraction, weights, macs,
            found.products,
        )  # fmt: skip

    def _weights(self, node: Node, found: Found) -> tuple[Tensor, ...]:
        """Return the weights that a node reads, those behind constants included."""
        operands = found.operands
        if operands is None:
            operands = node.inputs[:1] if node.op in SETTINGS else node.inputs
        first, *others = (self._behind(name, node.op in _QUANTIZED) for name in operands or ("",))
        if first and found.kernel and prod(first[0].shape) == prod(found.kernel):
            first = (Tensor(first[0].name, found.kernel), *first[1:])
        return tuple(dict.fromkeys((*first, *(tensor for each in others for tensor in each))))

    def _behind(self, name: str, integers: bool) -> tuple[Tensor, ...]:
        weight = self.weights.get(name)
        if weight is None:
            return self.behind.get(name, ())
        if weight.parts:
            return tuple(map(self.tensor, weight.parts))
        return (self.tensor(name),) if weight.learned or (integers and weight.shape) else ()


def _without_batch(shape: Shape) -> Shape:
    return shape[1:] if shape[:1] == (1,) else shape
