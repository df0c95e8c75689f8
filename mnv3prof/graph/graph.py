"""What a network is, wherever it came from: tensors, the layers between them, and blocks of layers."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import msgspec

from .errors import InputError, shown
from .ops import Op, op_called

Shape = tuple[int, ...]


class Tensor(NamedTuple):
    """A named array: an input of the network, or a parameter. shape: an input's is without the batch."""

    name: str
    shape: Shape


class Geometry(msgspec.Struct, frozen=True):
    """How a convolution or pool moves over its input: a value for each spatial axis.

    padding: (before, after) on each axis.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1


class Layer(msgspec.Struct, frozen=True):
    """One primitive operation.

    name: unique in its graph; of a module's only operation, the module's path.
    op: an operation of graph.ops, or one that has no price.
    inputs: names of the layers or inputs of the graph that it reads.
    out_shape: of its output, without the batch: (C, H, W), (C,), (tokens, C), ...
    path: of the module whose call runs it, "" for the network itself.
    storage: the layer or input in whose memory PyTorch writes the output; its own name if that is new.
    role: what it is to its block, such as "expand" or "se_gate"; "" if that is not known.
    contraction: number of products that are summed for an output element; 0 without a product.
    weights: its parameters, the multiplied one first, then the bias.
    known_macs: multiply-accumulates, if they are not output elements × contraction.
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

    @property
    def operation(self) -> Op:
        """Its operation's row in graph.ops."""
        return op_called(self.op)

    @property
    def elements(self) -> int:
        """Number of output elements of one image."""
        return prod(self.out_shape)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image: output elements × contraction length."""
        return self.elements * self.contraction if self.known_macs is None else self.known_macs

    @property
    def biased(self) -> bool:
        """True for a convolution or linear layer with a bias."""
        return len(self.weights) > 1 and self.operation.weighted

    @property
    def widths(self) -> tuple[int, int]:
        """Channels in and out: of what has weights, theirs; else those of the output, twice."""
        if self.operation.weighted and self.weights:
            kernel = self.weights[0].shape
            groups = self.geometry.groups if self.geometry else 1
            return (kernel[1] * groups if self.geometry else kernel[-1]), kernel[0]
        # (C, H, W) and (C,), but (tokens, C).
        width = self.out_shape[-1 if len(self.out_shape) == 2 else 0] if self.out_shape else 1
        return width, width


class Block(msgspec.Struct, frozen=True):
    """Consecutive layers that are counted, named and timed together.

    title: the block in a sentence, such as "block 12". modules: paths of the modules, and names of the
    functions, whose calls are the block, one after another.
    """

    name: str
    title: str
    layers: tuple[Layer, ...]
    modules: tuple[str, ...]


class Graph(msgspec.Struct, frozen=True, dict=True):
    """A network at one size of input. Its blocks tile its layers, in the order in which they run.

    outputs: names of the layers whose outputs the network returns. Raises InputError if nothing runs, if
    a name is there twice, or if it is read before it is written.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        written = dict(self.inputs)
        for what, named in (("input", self.inputs), ("block", self.blocks)):
            if len({each.name for each in named}) < len(named):
                raise InputError(f"{shown(self.name)}: two {what}s have one name; expected a name for each")
        if not self.blocks:
            raise InputError(f"{shown(self.name)}: it has no block; expected one at least")
        for block in self.blocks:
            if not block.layers:
                raise InputError(f"block {shown(block.name)}: it has no layer; expected one at least")
            for layer in block.layers:
                if layer.name in written:
                    raise InputError(f"layer {shown(layer.name)}: the name is taken; expected another")
                for name in layer.inputs:
                    if name not in written:
                        _refuse(f"layer {shown(layer.name)}", name)
                written[layer.name] = layer.out_shape
                if layer.storage not in written:
                    _refuse(f"layer {shown(layer.name)}", layer.storage)
        for name in self.outputs:
            if name not in written:
                _refuse("the output", name)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer, in the order in which they run."""
        return tuple([layer for block in self.blocks for layer in block.layers])

    @cached_property
    def size(self) -> str:
        """Its inputs as people write them: "224×224" of an image (3, 224, 224), height first."""
        shapes = [shape[1:] if len(shape) == 3 else shape for _, shape in self.inputs]
        return ", ".join("×".join(map(str, shape)) for shape in shapes)

    @cached_property
    def block_names(self) -> tuple[str, ...]:
        """Names of the blocks, in order."""
        return tuple(block.name for block in self.blocks)

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every input and of every layer's output, without the batch."""
        return {**dict(self.inputs), **{layer.name: layer.out_shape for layer in self.layers}}

    @cached_property
    def elements(self) -> Mapping[str, int]:
        """Number of elements of each input and of each layer's output, for one image."""
        return {name: prod(shape) for name, shape in self.shapes.items()}

    @cached_property
    def operations(self) -> tuple[Op, ...]:
        """Each layer's row in graph.ops."""
        return tuple([op_called(layer.op) for layer in self.layers])

    @cached_property
    def fused(self) -> Mapping[str, str]:
        """The layers that run as part of another in a deployed network, each with that other's name.

        A layer is fused into the one before it if that is read by it alone and is no output of the
        network: a batch norm into a convolution or linear layer, an activation into any operation that
        computes, or into what that one is fused into.
        """
        before = {layer.name: op for layer, op in zip(self.layers, self.operations, strict=True)}
        readers = dict.fromkeys(self.outputs, 1)
        views = set()
        for layer in self.layers:
            for name in layer.inputs:
                readers[name] = readers.get(name, 0) + 1
            if layer.storage != layer.name and before[layer.name].kind in ("view", "other"):
                views.add(layer.name)
        found: dict[str, str] = {}
        for layer, op in zip(self.layers, self.operations, strict=True):
            if not op.folds or len(layer.inputs) != 1:
                continue
            (source,) = layer.inputs
            known = before.get(source)
            if known is None or readers[source] > 1 or source in views:
                continue
            if known.weighted or op.kind != "norm":
                found[layer.name] = found.get(source, source)
        return found

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """Each block's fingerprint: of operations, shapes, wiring and fusion, but not of names.

        Blocks with equal keys cost the same, and are measured once.
        """
        return {block.name: self.key_of(block.layers) for block in self.blocks}

    @cached_property
    def _storage(self) -> Mapping[str, str]:
        """Whose memory each tensor is."""
        found = {name: name for name, _ in self.inputs}
        for layer in self.layers:
            found[layer.name] = found.get(layer.storage, layer.storage)
        return found

    def key_of(self, layers: Sequence[Layer]) -> str:
        """Return the fingerprint of some of the layers, as `keys` has it of each block's."""
        tensors: dict[str, int] = {}  # numbered as they appear
        memory: dict[str, int] = {}
        inside = {layer.name for layer in layers}
        structure: list[object] = []
        for layer in layers:
            for name in layer.inputs:
                if name not in tensors:
                    structure.append(self.shapes[name])
            names = (*layer.inputs, layer.name)
            into = self.fused.get(layer.name)
            structure.append([
                layer.op, layer.out_shape, layer.geometry, layer.contraction, layer.known_macs,
                [tensor.shape for tensor in layer.weights],
                [tensors.setdefault(name, len(tensors)) for name in names],
                [memory.setdefault(self._storage[name], len(memory)) for name in names],
                into if into is None else tensors[into] if into in inside else "outside",
            ])  # fmt: skip
        return hashlib.blake2b(msgspec.json.encode(structure), digest_size=16).hexdigest()

    def block(self, name: str) -> Block | None:
        """The block called `name`, if there is one."""
        return self._by_name.get(name)

    def in_shape(self, layer: Layer) -> Shape:
        """The shape of a layer's first input, () for one that reads nothing."""
        return self.shapes[layer.inputs[0]] if layer.inputs else ()

    def placed(self) -> Iterator[tuple[Block, Layer]]:
        """Each layer with its block."""
        return ((block, layer) for block in self.blocks for layer in block.layers)

    def under(self, path: str) -> tuple[Layer, ...]:
        """The layers that the module at `path` runs; none where the network has no such module."""
        return self._by_path.get(path, ())

    @cached_property
    def derived(self) -> dict[Any, Any]:
        """What graph.once keeps."""
        return {}

    @cached_property
    def _by_path(self) -> Mapping[str, tuple[Layer, ...]]:
        found: dict[str, list[Layer]] = {}
        for layer in self.layers:
            path = layer.path
            while path:
                found.setdefault(path, []).append(layer)
                path = path.rpartition(".")[0]
        return {path: tuple(layers) for path, layers in found.items()}

    @cached_property
    def _by_name(self) -> Mapping[str, Block]:
        return {block.name: block for block in self.blocks}


def _refuse(where: str, name: str) -> None:
    raise InputError(f"{where}: {shown(name)} is not written before; expected an earlier layer or an input")
