"""Networks in TFLite files."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from ...graph.errors import InputError, about, quote
from ...graph.graph import Graph, Layer, Shape, Tensor
from ...graph.ops import OPS, PAD
from ...record.atomic import read_file
from ..cuts import cut_blocks
from ..names import Names, capped
from .file import Network, Operator, read_network
from .flatbuffer import DamagedError
from .ops import ACTIVATIONS, KEEPS_NO_LAYOUT, RULES, SPATIAL, Found, Node, find

_MOST_BYTES: Final = 2**31 - 1
_MOST_BEHIND: Final = 100
"""Maximum number of weights that a constant is computed from."""
_CONTROL: Final = frozenset(
    ("IF", "WHILE", "CALL_ONCE", "CALL", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE")
)
_CONVERSIONS: Final = ("QUANTIZE", "DEQUANTIZE")
"""Operators that a converter adds: they are of the module before."""


def read_tflite(path: Path, where: str, name: str) -> Graph:
    """Return the graph of a TFLite file, called `name`. Raises InputError about `where`.

    Layers are the operators of its first subgraph; an activation within an operator is a layer of its own.
    Shapes of images are (C, H, W). Parameters are what the products multiply and add, and other stored
    tensors of fractional or quantized numbers that are no scalars.
    """
    return read_typed(path, where, name)[0]


def read_typed(path: Path, where: str, name: str) -> tuple[Graph, tuple[str, ...]]:
    """Return what read_tflite does, and the dtypes of the inputs."""
    data = read_file(path, _MOST_BYTES, "expected a TFLite file")
    with about(where):
        try:
            network = read_network(data)
            return _Builder(network).graph(name), tuple(network.tensors[n].dtype for n in network.inputs)
        except InputError:
            raise
        except DamagedError as error:
            raise InputError(f"is damaged or no TFLite file: {error}") from None
        except (ValueError, ArithmeticError, LookupError, MemoryError, RecursionError):
            raise InputError("is damaged or no TFLite file") from None


class _Builder:
    """Turns operators into layers. named: the graph's name of each tensor that depends on an input."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.images = _images(network)
        self.needed = {n for each in network.operators for n in each.operands}.union(network.outputs)
        self.reads = Counter(n for each in network.operators for n in each.operands)
        self.paths = Counter(map(self._path, network.operators))
        self.names, self.weight_names = Names(), Names()
        self.named: dict[int, str] = {}
        self.storage: dict[str, str] = {}
        self.homes: dict[str, str] = {}
        self.stored: dict[int, Tensor] = {}
        self.layers: list[Layer] = []
        self.constants: list[Layer] = []
        self.behind: dict[int, tuple[Tensor, ...]] = {}
        """Weights that a constant is computed from."""

    def graph(self, name: str) -> Graph:
        """Return the graph of all operators. Raises InputError."""
        inputs = tuple(self._input(n) for n in self.network.inputs)
        for operator in self.network.operators:
            self._take(operator)
        for n in self.network.outputs:
            if n not in self.named and not self._is_constant(n):
                raise InputError(f"no operator writes the output {quote(self.network.tensors[n].name)}")
        outputs = tuple(dict.fromkeys(self.named[n] for n in self.network.outputs if n in self.named))
        if not self.layers or not outputs:
            raise InputError("no operator reads an input; expected a network")
        layers = _padded(self.layers, outputs)
        return Graph(name, inputs, outputs, cut_blocks(layers), tuple(self.constants))

    def _input(self, n: int) -> Tensor:
        tensor = self.network.tensors[n]
        what = f"input {quote(tensor.name)}"
        if n in self.named or tensor.buffer:
            raise InputError(f"{what} is there twice, or has a value; expected inputs of a network")
        if not tensor.known:
            raise InputError(f"{what} has no fixed size; convert it with fixed sizes")
        if len(tensor.shape) > 3 and tensor.shape[0] > 1:
            raise InputError(f"{what} has a batch of {tensor.shape[0]}; expected 1")
        self.named[n] = self.names.unique(tensor.name)
        self.storage[self.named[n]] = self.named[n]
        self.homes[self.named[n]] = ""
        return Tensor(self.named[n], self._shape(n))

    def _take(self, operator: Operator) -> None:
        """Add the layers of an operator: for its first output, others that are read, and activations."""
        node = self._checked(operator)
        found = find(node)
        weights = self._weights(node, found)
        running = tuple(dict.fromkeys(self.named[n] for n in operator.operands if n in self.named))
        layer = self._layer(operator, found, weights, running)
        if not running:
            if len(weights) > _MOST_BEHIND:
                raise InputError(f"{node.title} depends on {len(weights)} weights; expected {_MOST_BEHIND}")
            self.behind |= dict.fromkeys(operator.outputs, weights)
            if layer.operation.kind != "view":
                self.constants.append(layer)
            return
        first, *others = operator.outputs
        self._add(first, last := layer)
        source = running if layer.op == "gather" else (layer.name,)
        for n in others:
            if n in self.needed:
                name = self.names.unique(self.network.tensors[n].name)
                self._add(n, Layer(name, "gather", source, self._shape(n), layer.path, name))
        for op in (*found.then, ACTIVATIONS.get(node.activation, "")):
            if op:
                name, source = self.names.unique(f"{layer.name}.{op}"), (last.name,)
                last = Layer(name, op, source, layer.out_shape, layer.path, layer.storage)
                self._add(first, last)

    def _add(self, n: int, layer: Layer) -> None:
        self.layers.append(layer)
        self.named[n] = layer.name
        self.storage[layer.name] = layer.storage
        self.homes[layer.name] = layer.path

    def _checked(self, operator: Operator) -> Node:
        """Return an operator with its tensors. Raises InputError if it does not fit those before it."""
        tensors = self.network.tensors
        what = f"operator {quote(tensors[operator.outputs[0]].name)} ({operator.op[:40]})"
        if operator.op in _CONTROL:
            raise InputError(f"{what} runs another subgraph; expected a network without control flow")
        for n in operator.operands:
            if n >= 0 and n not in self.named and not self._is_constant(n):
                raise InputError(f"{what} reads {quote(tensors[n].name)}, which nothing before it writes")
        constant = not any(n in self.named for n in operator.operands)
        for n in operator.outputs:
            if n in self.named or n in self.behind or tensors[n].buffer:
                raise InputError(f"{what} writes {quote(tensors[n].name)}, which has a value already")
            if not tensors[n].known and not constant:
                raise InputError(f"{what} has no fixed size; convert it with fixed sizes")
        shapes = tuple(tensors[n].shape if n >= 0 else None for n in operator.operands)
        stored = tuple(n >= 0 and n not in self.named for n in operator.operands)
        return Node(what, operator, shapes, stored, tuple(tensors[n].shape for n in operator.outputs))

    def _is_constant(self, n: int) -> bool:
        tensor = self.network.tensors[n]
        return tensor.constant or tensor.variable or n in self.behind

    def _layer(
        self, operator: Operator, found: Found, weights: tuple[Tensor, ...], running: tuple[str, ...]
    ) -> Layer:
        first, op = operator.outputs[0], found.op
        title, path = self.network.tensors[first].name, self._path(operator)
        alone = self.paths[path] == 1 or (op in OPS and OPS[op].weighted)
        if operator.op in _CONVERSIONS and running:
            path, alone = self.homes[running[0]], False
        if path:
            title = path if alone else f"{path}.{op}"
        elif _module_path(title) is not None:
            title = op
        name = self.names.unique(title)
        owner = name
        if op in OPS and OPS[op].kind == "view" and op != PAD and running:
            owner = self.storage[running[0]]
        geometry, contraction, macs = found.geometry, found.contraction, found.known_macs
        shape = self._shape(first)
        return Layer(name, op, running, shape, path, owner, "", geometry, contraction, weights, macs)

    def _path(self, operator: Operator) -> str:
        """Return the path of the module of a product's weights, or of the output; "" if not known."""
        weight = operator.operands[1] if operator.op in RULES and len(operator.operands) > 1 else -1
        tensors = self.network.tensors
        path = _module_path(tensors[weight].name) if self.reads[weight] == 1 and weight >= 0 else ""
        return path or _module_path(tensors[operator.outputs[0]].name) or ""

    def _weights(self, node: Node, found: Found) -> tuple[Tensor, ...]:
        """Return the weights that an operator reads, those behind constants included."""
        operands = node.operator.operands
        weights: list[Tensor] = []
        for place in range(len(operands)) if found.weights is None else found.weights:
            n = operands[place] if place < len(operands) else -1
            if n < 0 or n in self.named:
                continue
            tensor = self.network.tensors[n]
            if n in self.behind:
                here = self.behind[n]
            else:
                product = found.weights is not None and tensor.buffer
                here = (self._tensor(n),) if tensor.buffer and (product or tensor.learned) else ()
            if found.kernel and not weights and len(here) == 1:
                here = (here[0]._replace(shape=found.kernel),)
            weights += here
        return tuple({tensor.name: tensor for tensor in weights}.values())

    def _tensor(self, n: int) -> Tensor:
        """Return a stored tensor; those of one buffer are the same."""
        tensor = self.network.tensors[n]
        if tensor.buffer not in self.stored:
            name = self.weight_names.unique(_module_path(tensor.name) or tensor.name)
            self.stored[tensor.buffer] = Tensor(name, tensor.shape)
        return self.stored[tensor.buffer]

    def _shape(self, n: int) -> Shape:
        """Return a tensor's shape without the batch, with an image's channels first."""
        shape = self.network.tensors[n].shape
        if n in self.images:
            shape = (shape[0], shape[-1], *shape[1:-1])
        return shape[1:] if shape[:1] == (1,) else shape


def _images(network: Network) -> set[int]:
    """Return the tensors with channels last: those of spatial operators, and what keeps their layout."""
    beside: dict[int, set[int]] = {}
    waiting: list[int] = []
    for operator in network.operators:
        kept = [n for n in _operands(operator) if len(network.tensors[n].shape) > 3]
        if operator.op in SPATIAL:
            waiting += kept
        if operator.op not in KEEPS_NO_LAYOUT and kept:
            for n in kept:
                beside.setdefault(n, set()).add(kept[-1])
                beside.setdefault(kept[-1], set()).add(n)
    found: set[int] = set()
    while waiting:
        n = waiting.pop()
        if n not in found:
            found.add(n)
            waiting += beside.get(n, ())
    return found


def _operands(operator: Operator) -> Iterator[int]:
    """Yield the operands but for the weights of products, and the outputs."""
    weight = 1 if operator.op in SPATIAL else None
    yield from (n for place, n in enumerate(operator.operands) if n >= 0 and place != weight)
    yield from operator.outputs


def _padded(layers: list[Layer], outputs: tuple[str, ...]) -> list[Layer]:
    """Make a padding that anything but a convolution reads a copy, since no runtime pads inside that."""
    readers: dict[str, list[str]] = {}
    for layer in layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer.operation.kind)
    return [
        replace(layer, op="copy")
        if layer.op == PAD and (readers.get(layer.name) != ["conv"] or layer.name in outputs)
        else layer
        for layer in layers
    ]


def _module_path(name: str) -> str | None:
    """Return the path of the module in a name that litert-torch wrote, None for another name.

    It is features.0 for "a.Net/torch.nn.Sequential_features/torch.nn.Conv2d_0;1", and "" for "a.Net;1".
    """
    modules = [each.split("/") for each in name.split(";")[:-1] if each]
    if not modules or not all("." in part for parts in modules for part in parts):
        return None
    paths = (".".join(re.sub(r"^.*\._?[^_.]*_", "", part) for part in parts[1:]) for parts in modules)
    return capped(next(filter(None, paths), ""))
