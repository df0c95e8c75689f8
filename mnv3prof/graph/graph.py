"""A network as data: inputs, layers, and blocks of layers."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import msgspec

from .errors import InputError, quote
from .ops import PAD, Op, op_called

Shape = tuple[int, ...]


class Tensor(NamedTuple):
    """An input of the network (shape without the batch) or a parameter.

    >>> mnv3prof.load("large").graph.inputs
    (Tensor(name='input', shape=(3, 224, 224)),)
    """

    name: str
    shape: Shape


class Geometry(msgspec.Struct, frozen=True):
    """Window of a convolution or pool, a value per spatial axis.

    padding: (before, after) per axis.

    >>> mnv3prof.load("large").graph.layers[0].geometry.padding
    ((1, 1), (1, 1))
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1


class Layer(msgspec.Struct, frozen=True):
    """One primitive operation.

    name: unique in the graph. If a module has one operation only, it is the module's path.
    op: name of an operation in graph.ops, or of one without a price.
    inputs: names of the layers or graph inputs that it reads.
    out_shape: shape of the output without the batch: (C, H, W), (C,), (tokens, C), ...
    path: path of the module whose call runs it; "" for the network itself.
    storage: the layer or input in whose memory PyTorch writes the output; its own name if that is new.
    role: its function in the block, e.g. "expand" or "se_gate"; "" if unknown.
    contraction: number of products summed per output element; 0 without a product.
    weights: its parameters, the multiplied one first, then the bias.
    known_macs: multiply-accumulates, if they are not output elements × contraction.
    products: multiplications beside them that nothing is accumulated of.

    >>> layer = mnv3prof.load("large").graph.layers[0]
    >>> layer.elements, layer.contraction, layer.macs  # 16 × 112², 3 × 3²
    (200704, 27, 5419008)
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    out_shape: Shape
    path: str
    storage: str
    role: str = ""
    geometry: Geometry | None = None
    contraction: int = 0
    weights: tuple[Tensor, ...] = ()
    known_macs: int | None = None
    products: int = 0

    def __repr__(self) -> str:
        return f"Layer({self.name!r}, {self.op}, {'×'.join(map(str, self.out_shape))})"

    @property
    def operation(self) -> Op:
        """The operation's row in graph.ops."""
        return op_called(self.op)

    @property
    def elements(self) -> int:
        """Output elements per image."""
        return prod(self.out_shape)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per image: output elements × contraction length."""
        return self.elements * self.contraction if self.known_macs is None else self.known_macs

    @property
    def biased(self) -> bool:
        """True for a convolution or linear layer with a bias."""
        return len(self.weights) > 1 and self.operation.weighted

    @property
    def widths(self) -> tuple[int, int]:
        """Input and output channels of the weights; without weights, the output's channels twice."""
        if self.operation.weighted and self.weights:
            kernel = self.weights[0].shape
            groups = self.geometry.groups if self.geometry else 1
            if self.op == "conv_transpose":
                return kernel[0], kernel[1] * groups
            return (kernel[1] * groups if self.geometry else kernel[-1]), kernel[0]
        # Channels are the first axis of (C, H, W) and (C,), and the last of (tokens, C).
        width = self.out_shape[-1 if len(self.out_shape) == 2 else 0] if self.out_shape else 1
        return width, width


class Block(msgspec.Struct, frozen=True):
    """Consecutive layers that are counted and timed together.

    title: the name in a sentence, e.g. "block 12". modules: paths of the modules, and names of the
    functions, that the block calls in order.

    >>> block = mnv3prof.load("large").graph.blocks[1]
    >>> block.title, block.modules, len(block.layers)
    ('block 1', ('features.1',), 6)
    """

    name: str
    title: str
    layers: tuple[Layer, ...]
    modules: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Block({self.name!r}, {len(self.layers)} layers)"


class Eager(msgspec.Struct, frozen=True):
    """Memory of PyTorch eager mode for one image at fp32, simulated.

    layers: live bytes in each layer, in the graph's order; () if unknown. alive: (tensor, bytes) at the peak.
    reason: why it is unknown.
    """

    layers: tuple[int, ...]
    alive: tuple[tuple[str, int], ...]
    reason: str = ""


class Graph(msgspec.Struct, frozen=True, dict=True):
    """A network at one input size; its blocks contain all layers in execution order.

    outputs: names of the layers whose outputs the network returns. constants: operations that depend on
    weights alone; their MACs are in no total. unused: parameters that nothing reads. eager: None where it
    follows from the modules' calls. varies: layers whose output differs from call to call, and why.

    Raises InputError if a block or the graph is empty, if a name is there twice, or if a tensor is read
    before it is written.

    >>> graph = mnv3prof.load("large", (192, 256)).graph
    >>> graph.inputs[0].shape, graph.block_names[-1], graph.layers[0].out_shape
    ((3, 192, 256), 'classifier', (16, 96, 128))
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    blocks: tuple[Block, ...]
    constants: tuple[Layer, ...] = ()
    unused: tuple[Tensor, ...] = ()
    eager: Eager | None = None
    varies: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        defined = {tensor.name for tensor in self.inputs}
        for what, named in (("input", self.inputs), ("block", self.blocks)):
            if len({each.name for each in named}) < len(named):
                raise InputError(f"{quote(self.name)}: two {what}s have the same name; expected unique names")
        if not self.blocks:
            raise InputError(f"{quote(self.name)}: it has no block; expected at least one")
        for block in self.blocks:
            if not block.layers:
                raise InputError(f"block {quote(block.name)}: it has no layer; expected at least one")
            for layer in block.layers:
                if layer.name in defined:
                    raise InputError(f"layer {quote(layer.name)}: the name is taken; expected a unique name")
                for name in layer.inputs:
                    if name not in defined:
                        _refuse(f"layer {quote(layer.name)}", name)
                defined.add(layer.name)
                if layer.storage not in defined:
                    _refuse(f"layer {quote(layer.name)}", layer.storage)
        for name in self.outputs:
            if name not in defined:
                _refuse("the output", name)

    def __repr__(self) -> str:
        return f"Graph({self.name!r}, {self.size}, {len(self.blocks)} blocks, {len(self.layers)} layers)"

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """All layers in execution order."""
        return tuple([layer for block in self.blocks for layer in block.layers])

    @cached_property
    def size(self) -> str:
        """Input sizes as text, e.g. "224×224" (height × width) for an image of shape (3, 224, 224)."""
        shapes = [shape[1:] if len(shape) == 3 else shape for _, shape in self.inputs]
        return ", ".join("×".join(map(str, shape)) for shape in shapes)

    @cached_property
    def block_names(self) -> tuple[str, ...]:
        """Names of the blocks in order."""
        return tuple(block.name for block in self.blocks)

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Shapes of the inputs and of the layers' outputs by name, without the batch."""
        return {**dict(self.inputs), **{layer.name: layer.out_shape for layer in self.layers}}

    @cached_property
    def elements(self) -> Mapping[str, int]:
        """Elements per image of the inputs and of the layers' outputs, by name."""
        return {name: prod(shape) for name, shape in self.shapes.items()}

    @cached_property
    def unpadded(self) -> Mapping[str, int]:
        """Elements per image as in `elements`, with those of its input for a padding.

        A deployed runtime pads inside the convolution.
        """
        elements = dict(self.elements)
        for layer in self.layers:
            if layer.op == PAD:
                elements[layer.name] = elements[layer.inputs[0]]
        return elements

    @cached_property
    def operations(self) -> tuple[Op, ...]:
        """Each layer's row in graph.ops."""
        return tuple([op_called(layer.op) for layer in self.layers])

    @cached_property
    def fused(self) -> Mapping[str, str]:
        """Map each layer that a deployed runtime fuses to the layer that it is fused into.

        Batch norm is fused into a convolution or linear layer, an activation into any operation that
        computes. The layer before must have no other reader and must not be an output of the network. If
        that layer is fused too, both are fused into the same layer.
        """
        before = {layer.name: op for layer, op in zip(self.layers, self.operations, strict=True)}
        readers = dict.fromkeys(self.outputs, 1)
        views = set()
        for layer in self.layers:
            for name in layer.inputs:
                readers[name] = readers.get(name, 0) + 1
            if layer.storage != layer.name and before[layer.name].kind in ("view", "other"):
                views.add(layer.name)
        fused: dict[str, str] = {}
        for layer, op in zip(self.layers, self.operations, strict=True):
            if not op.folds or len(layer.inputs) != 1:
                continue
            (source,) = layer.inputs
            known = before.get(source)
            if known is None or readers[source] > 1 or source in views:
                continue
            if known.weighted or op.kind != "norm":
                fused[layer.name] = fused.get(source, source)
        return fused

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """Hash of each block's operations, shapes, connections and fusion, without names.

        Blocks with equal keys have equal costs and are measured once.
        """
        return {block.name: self.key_of(block.layers) for block in self.blocks}

    @cached_property
    def _storage(self) -> Mapping[str, str]:
        """Map each tensor to the tensor whose memory it uses."""
        owners = {name: name for name, _ in self.inputs}
        for layer in self.layers:
            owners[layer.name] = owners.get(layer.storage, layer.storage)
        return owners

    def ends(self, layers: Sequence[Layer]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the tensors that some of the layers read from outside, and those that are read there."""
        inside = {layer.name for layer in layers}
        read = dict.fromkeys(name for layer in layers for name in layer.inputs if name not in inside)
        handed = [name for name in (layer.name for layer in layers) if not self._readers[name] <= inside]
        return tuple(read), tuple(handed)

    @cached_property
    def _readers(self) -> Mapping[str, frozenset[str]]:
        """The layers that read each layer's output; "" reads what the network returns."""
        readers: dict[str, set[str]] = {layer.name: set() for layer in self.layers}
        for layer in self.layers:
            for name in layer.inputs:
                readers.setdefault(name, set()).add(layer.name)
        for name in self.outputs:
            readers.setdefault(name, set()).add("")
        return {name: frozenset(names) for name, names in readers.items()}

    def key_of(self, layers: Sequence[Layer]) -> str:
        """Return the hash of some of the layers, as in `keys`."""
        tensors: dict[str, int] = {}  # numbered in order of appearance
        memory: dict[str, int] = {}
        inside = {layer.name for layer in layers}
        structure: list[object] = []
        for layer in layers:
            for name in layer.inputs:
                if name not in tensors:
                    structure.append(self.shapes[name])
            names = (*layer.inputs, layer.name)
            into = self.fused.get(layer.name)
            structure.append(
                [
                    layer.op,
                    layer.out_shape,
                    layer.geometry,
                    layer.contraction,
                    layer.known_macs,
                    *([layer.products] if layer.products else []),
                    [tensor.shape for tensor in layer.weights],
                    [tensors.setdefault(name, len(tensors)) for name in names],
                    [memory.setdefault(self._storage[name], len(memory)) for name in names],
                    into if into is None else tensors[into] if into in inside else "outside",
                ]
            )
        handed = self.ends(layers)[1]
        if {*handed} - {layer.name for layer in layers[-1:]}:
            structure.append([tensors[name] for name in handed])
        return hashlib.blake2b(msgspec.json.encode(structure), digest_size=16).hexdigest()

    def block(self, name: str) -> Block | None:
        """Return the block called `name`, or None."""
        return self._by_name.get(name)

    def in_shape(self, layer: Layer) -> Shape:
        """Return the shape of a layer's first input, () without one."""
        return self.shapes[layer.inputs[0]] if layer.inputs else ()

    def placed(self) -> Iterator[tuple[Block, Layer]]:
        """Return (block, layer) of each layer."""
        return ((block, layer) for block in self.blocks for layer in block.layers)

    def under(self, path: str) -> tuple[Layer, ...]:
        """Return the layers of the module at `path`, () if there is none."""
        return self._by_path.get(path, ())

    @cached_property
    def derived(self) -> dict[Any, Any]:
        """Results cached by graph.once."""
        return {}

    @cached_property
    def _by_path(self) -> Mapping[str, tuple[Layer, ...]]:
        by_path: dict[str, list[Layer]] = {}
        for layer in self.layers:
            path = layer.path
            while path:
                by_path.setdefault(path, []).append(layer)
                path = path.rpartition(".")[0]
        return {path: tuple(layers) for path, layers in by_path.items()}

    @cached_property
    def _by_name(self) -> Mapping[str, Block]:
        return {block.name: block for block in self.blocks}


def _refuse(where: str, name: str) -> None:
    raise InputError(f"{where}: {quote(name)} is not defined before; expected an earlier layer or an input")
