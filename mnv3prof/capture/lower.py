"""Lower a captured program to a graph."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from msgspec.structs import replace

from ..graph.errors import InputError
from ..graph.graph import Graph, Layer, Shape, Tensor
from ..graph.ops import OPS, PAD
from .aten import ALLOCATES, PASSES_ON, Operation, operation
from .blocks import Step, tile
from .names import Names
from .program import Call, Program, draws, varying

MOST_CALLS: Final = 50_000


class Lowered(NamedTuple):
    """A graph, and for each of its layers the name of the call in the program."""

    graph: Graph
    calls: tuple[str, ...]


def lower(program: Program) -> Lowered:
    """Return the graph of a program at batch 1.

    Layers are the calls that depend on an input, named by their module's path. Calls that do not are the
    graph's constants. Raises InputError for a program that is too large, or without a layer.
    """
    if len(program.calls) > MOST_CALLS:
        raise InputError(
            f"{program.name}: it has {len(program.calls):,} operations; expected at most {MOST_CALLS:,}"
        )
    builder = _Builder(program)
    for call in program.calls:
        builder.take(call)
    if not builder.steps:
        raise InputError(f"{program.name}: no operation reads an input; expected a network")
    outputs = tuple(dict.fromkeys(builder.named[name] for name in program.outputs if name in builder.named))
    read = {tensor.name for layer in builder.all_layers() for tensor in layer.weights}
    unused = tuple(tensor for tensor in _distinct(program.weights.values()) if tensor.name not in read)
    inputs = tuple(Tensor(builder.named[t.name], _without_batch(t.shape)) for t in program.inputs)
    steps = _padded(builder.steps, outputs)
    reasons = varying(program)
    names = zip((step.layer.name for step in steps), builder.calls, strict=True)
    varies = tuple((name, reasons[call]) for name, call in names if call in reasons)
    graph = Graph(program.name, inputs, outputs, tile(steps), tuple(builder.constants), unused, varies=varies)
    return Lowered(graph, tuple(builder.calls))


class _Builder:
    """Turns calls into layers. named: the graph's name of each tensor that depends on an input."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = _LayerNames(program.calls)
        self.named = {tensor.name: self.names.unique(tensor.name) for tensor in program.inputs}
        self.storage = {name: name for name in self.named.values()}
        self.steps: list[Step] = []
        self.calls: list[str] = []
        self.constants: list[Layer] = []
        self.behind: dict[str, tuple[Tensor, ...]] = {}
        """Weights that a constant is computed from."""
        self.memory: dict[str, list[str]] = {}
        """The calls whose outputs are in the memory of a tensor."""

    def all_layers(self) -> Iterable[Layer]:
        return (*(step.layer for step in self.steps), *self.constants)

    def take(self, call: Call) -> None:
        reads = () if call.base in ALLOCATES else call.reads
        running = tuple(dict.fromkeys(self.named[name] for name in reads if name in self.named))
        found = operation(call, self.program.shapes)
        name = self.names.of(call)
        layer = self._layer(call, found, name, running)
        self.memory.setdefault(call.storage or call.name, []).append(call.name)
        if running:
            self._add(call, call.name, layer)
            if call.writes:
                self._fill(call, name)
        else:
            self.behind[call.name] = tuple(
                dict.fromkeys(tensor for read in call.reads for tensor in self._weights_behind(read))
            )
            if not (OPS.get(found.op) and OPS[found.op].kind in ("view", "move")) or layer.weights:
                self.constants.append(replace(layer, inputs=(), storage=name))

    def _add(self, call: Call, tensor: str, layer: Layer) -> None:
        self.named[tensor] = layer.name
        self.storage[layer.name] = layer.storage
        self.steps.append(Step(layer, call.stack))
        self.calls.append(tensor)

    def _fill(self, call: Call, name: str) -> None:
        """Make constants in whose memory a layer has written tensors that depend on the input."""
        for tensor in self.memory[call.storage or call.name]:
            if tensor not in self.named:
                filled = self.names.unique(f"{name}.fill")
                shape = _without_batch(self.program.shapes[tensor])
                self._add(call, tensor, Layer(filled, "fill", (name,), shape, call.path, filled))

    def _layer(self, call: Call, found: Operation, name: str, running: tuple[str, ...]) -> Layer:
        owner = self._owner(call, name, running)
        op = (
            "copy"
            if owner == name and found.op in OPS and OPS[found.op].kind == "view" and found.op != PAD
            else found.op
        )
        order = dict.fromkeys((*found.weights, *call.reads))
        weights = tuple(dict.fromkeys(t for read in order for t in self._weights_behind(read)))
        return Layer(
            name, op, running, _without_batch(call.shape), call.path, owner, "", found.geometry,
            found.contraction, weights, found.known_macs, found.products,
        )  # fmt: skip

    def _owner(self, call: Call, name: str, running: tuple[str, ...]) -> str:
        """Return the tensor in whose memory the call writes."""
        if call.base in PASSES_ON and running and not draws(call):
            return self.storage[running[0]]
        owner = self.storage.get(self.named.get(call.storage, ""), "")
        return owner if owner in [self.storage[source] for source in running] else name

    def _weights_behind(self, read: str) -> tuple[Tensor, ...]:
        if read in self.program.weights:
            return (self.program.weights[read],)
        return self.behind.get(read, ())


class _LayerNames:
    """Unique names of layers: the path of a module that makes one kind of call, else path.operator."""

    def __init__(self, calls: Iterable[Call]) -> None:
        kinds: dict[str, set[str]] = {}
        inner: set[str] = set()
        for call in calls:
            kinds.setdefault(call.path, set()).add(call.base)
            inner.update(path for path, _ in call.stack[:-1])
        self.leaves = {
            path for path, bases in kinds.items() if path and len(bases) == 1 and path not in inner
        }
        self.unique = Names().unique

    def of(self, call: Call) -> str:
        path = call.path
        return self.unique(path if path in self.leaves else f"{path}.{call.base}" if path else call.base)


def _padded(steps: list[Step], outputs: tuple[str, ...]) -> list[Step]:
    """Make a padding that anything but a convolution reads a copy, since no runtime pads inside that."""
    readers: dict[str, list[str]] = {}
    for step in steps:
        for name in step.layer.inputs:
            readers.setdefault(name, []).append(step.layer.operation.kind)
    return [
        Step(replace(step.layer, op="copy"), step.stack)
        if step.layer.op == PAD and (readers.get(step.layer.name) != ["conv"] or step.layer.name in outputs)
        else step
        for step in steps
    ]


def _without_batch(shape: Shape) -> Shape:
    return shape[1:] if shape[:1] == (1,) else shape


def _distinct(tensors: Iterable[Tensor]) -> Iterable[Tensor]:
    return {tensor.name: tensor for tensor in tensors}.values()
