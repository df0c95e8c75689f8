"""Bytes of activations that must be alive at once, by three definitions, and the arena that holds them.

eager: what PyTorch eager mode holds, every open module call keeping its input. It is exact for a network
    whose tensors are read by the next call or by a call around it, as those of layer tables are; what
    else a forward() keeps, and a kernel's own memory, no graph shows.
liveness: every operation has a buffer of its own, from the operation that writes it to its last reader.
folded: liveness after batch norm and activation are folded into the layer that feeds them, as a
    deployed runtime does; the least that a planned arena can need.
"""

from bisect import bisect_left, insort
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

import msgspec

from ..graph.errors import InputError, shown
from ..graph.graph import Graph
from ..graph.once import once
from .counts import Dtype, element_bytes


class Peak(msgspec.Struct, frozen=True):
    """The worst moment of one definition.

    bytes: how many are alive at layer `layer` of block `block`. alive: (tensor, bytes) there; a
    tensor is named by the layer that writes it, or is an input. blocks: the most bytes alive while
    each block runs, in the graph's order; layers: the bytes alive while each layer runs.
    """

    bytes: int
    layer: str
    block: str
    alive: tuple[tuple[str, int], ...]
    blocks: tuple[int, ...]
    layers: tuple[int, ...]


class Peaks(msgspec.Struct, frozen=True):
    """The peak by each definition; `eager` is None for int8, which PyTorch eager does not run."""

    eager: Peak | None
    liveness: Peak
    folded: Peak


class Lifetime(msgspec.Struct, frozen=True):
    """A tensor of `bytes` that layer number `first` writes and layer number `last` is the last to read."""

    tensor: str
    bytes: int
    first: int
    last: int


class Placement(msgspec.Struct, frozen=True):
    """A lifetime and where in the arena it lies: bytes offset to offset + bytes."""

    tensor: str
    offset: int
    bytes: int
    first: int
    last: int


class Arena(msgspec.Struct, frozen=True):
    """One buffer for all activations. `lower_bound`: no placement can need fewer bytes."""

    bytes: int
    lower_bound: int
    naive_bytes: int
    placements: tuple[Placement, ...]


class Shortfall(msgspec.Struct, frozen=True):
    """A block in which more bytes are alive than the budget allows, by `excess_bytes`."""

    block: str
    alive_bytes: int
    excess_bytes: int


class Fits(msgspec.Struct, frozen=True):
    """Whether the arena of a planner fits; bytes and fits are None where `reason` says why none is known."""

    planner: str
    bytes: int | None
    fits: bool | None
    reason: str = ""


class Fit(msgspec.Struct, frozen=True):
    """Whether an arena fits into `budget` bytes, and the blocks that would have to shrink."""

    budget: int
    fits: bool
    blocks: tuple[Shortfall, ...]


@once
def peaks(graph: Graph, dtype: Dtype = "fp32", batch: int = 1, *, image: bool = True) -> Peaks:
    """The three peaks in bytes for `batch` images at `dtype`.

    `image`: whether the network's inputs count in liveness and folded (in eager they always do: the
    caller holds them). Raises InputError.
    """
    sizes = _sizes(graph, dtype, batch)
    return Peaks(
        eager=None if dtype == "int8" else _eager(graph, sizes),
        liveness=_sweep(graph, _lifetimes(graph, sizes, (), image=image)),
        folded=_sweep(graph, _lifetimes(graph, sizes, graph.fused, image=image)),
    )


@once
def arena(
    graph: Graph, dtype: Dtype = "fp32", batch: int = 1, *, image: bool = True, alignment: int = 1
) -> Arena:
    """The folded network's activations placed greedily by size, offsets multiples of `alignment` bytes.

    Raises InputError.
    """
    _at_least_1(alignment, "alignment")
    sizes = _sizes(graph, dtype, batch)
    return plan(_lifetimes(graph, sizes, graph.fused, image=image), len(graph.layers), alignment)


def _at_least_1(value: int, what: str) -> None:
    if type(value) is not int or value < 1:
        raise InputError(f"{what}: {shown(value)} is not allowed; allowed is an integer of at least 1")


def fit(arena: Arena, folded: Peak, blocks: Sequence[str], budget: int) -> Fit:
    """Does `arena` fit into `budget` bytes, and by how much must which of `blocks` shrink, worst first."""
    short = [Shortfall(b, alive, alive - budget) for b, alive in zip(blocks, folded.blocks, strict=True)]
    over = sorted((s for s in short if s.excess_bytes > 0), key=lambda s: -s.excess_bytes)
    return Fit(budget, arena.bytes <= budget, tuple(over))


def _sizes(graph: Graph, dtype: Dtype, batch: int) -> dict[str, int]:
    """Bytes of the inputs and of every layer's output."""
    _at_least_1(batch, "batch")
    unit = element_bytes(dtype) * batch
    return {name: elements * unit for name, elements in graph.elements.items()}


def _lifetimes(graph: Graph, sizes: dict[str, int], folded: Container[str], *, image: bool) -> list[Lifetime]:
    """Every buffer. Views, and the layers that are `folded`, pass their input's buffer on."""
    inputs = [tensor.name for tensor in graph.inputs]
    owner = {name: name for name in inputs}
    first = dict.fromkeys(inputs, 0)
    last = dict.fromkeys(inputs, 0)
    for step, (layer, op) in enumerate(zip(graph.layers, graph.operations, strict=True)):
        for name in layer.inputs:
            last[owner[name]] = step
        if layer.name in folded or op.kind == "view" or (op.kind == "other" and layer.storage != layer.name):
            owner[layer.name] = owner[layer.inputs[0]]
        else:
            owner[layer.name] = layer.name
            first[layer.name] = last[layer.name] = step
    for name in graph.outputs:
        last[owner[name]] = len(graph.layers) - 1
    kept = first if image else [name for name in first if name not in inputs]
    return [Lifetime(name, sizes[name], first[name], last[name]) for name in kept]


def plan(tensors: Iterable[Lifetime], steps: int, alignment: int = 1) -> Arena:
    """Greedy by size (Pisarchyk & Lee 2020, section 5; TFLite's arena planner).

    Tensors that live through all `steps` first, then the largest, ties by earlier first use; each
    into the smallest gap that holds it among the tensors alive with it, else after them.
    """
    tensors = list(tensors)
    whole = (0, steps - 1)
    order = sorted(tensors, key=lambda t: ((t.first, t.last) != whole, -t.bytes, t.first))
    placed = _Placed(steps)
    offsets: dict[str, int] = {}
    for tensor in order:
        offset = _best_gap(placed.beside(tensor), tensor.bytes, alignment)
        offsets[tensor.tensor] = offset
        placed.add(tensor, offset)
    aligned = [Lifetime(t.tensor, _align(t.bytes, alignment), t.first, t.last) for t in tensors]
    return Arena(
        bytes=max((_align(offsets[t.tensor] + t.bytes, alignment) for t in tensors), default=0),
        lower_bound=max(_alive(aligned, steps), default=0),
        naive_bytes=sum(t.bytes for t in aligned),
        placements=tuple(Placement(t.tensor, offsets[t.tensor], t.bytes, t.first, t.last) for t in tensors),
    )


class _Placed:
    """Where tensors lie, found by when they live: a placement looks only at those alive with it."""

    def __init__(self, steps: int) -> None:
        self.alive: list[list[tuple[int, int]]] = [[] for _ in range(steps)]
        self.starts: list[tuple[int, tuple[int, int]]] = []

    def add(self, tensor: Lifetime, offset: int) -> None:
        span = (offset, offset + tensor.bytes)
        insort(self.starts, (tensor.first, span))
        for step in range(tensor.first, tensor.last + 1):
            self.alive[step].append(span)

    def beside(self, tensor: Lifetime) -> list[tuple[int, int]]:
        """(offset, end) of what lives while the tensor does, by offset: alive at its first step, or later."""
        after, until = (bisect_left(self.starts, (step + 1,)) for step in (tensor.first, tensor.last))
        return sorted([*self.alive[tensor.first], *[span for _, span in self.starts[after:until]]])


def _best_gap(beside: Sequence[tuple[int, int]], need: int, alignment: int) -> int:
    """The offset of the smallest gap between the spans that holds `need` bytes; else after them."""
    best, best_gap, free = -1, 0, 0
    for offset, end in beside:
        gap = offset - free
        if gap >= need and (best < 0 or gap < best_gap):
            best, best_gap = free, gap
        if end > free:
            free = _align(end, alignment)
    return free if best < 0 else best


def _align(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def _alive(tensors: Iterable[Lifetime], steps: int) -> list[int]:
    """Bytes alive while each layer runs."""
    change = [0] * (steps + 1)
    for tensor in tensors:
        change[tensor.first] += tensor.bytes
        change[tensor.last + 1] -= tensor.bytes
    alive, now = [], 0
    for step in range(steps):
        now += change[step]
        alive.append(now)
    return alive


def _sweep(graph: Graph, tensors: list[Lifetime]) -> Peak:
    alive = _alive(tensors, len(graph.layers))
    step = alive.index(max(alive))
    there = tuple((t.tensor, t.bytes) for t in tensors if t.first <= step <= t.last)
    return _peak(graph, alive, there)


def _peak(graph: Graph, alive: list[int], there: tuple[tuple[str, int], ...]) -> Peak:
    most = max(alive)
    place, step = alive.index(most), 0
    worst, blocks = "", []
    for block in graph.blocks:
        blocks.append(max(alive[step : step + len(block.layers)]))
        worst = block.name if step <= place else worst
        step += len(block.layers)
    return Peak(most, graph.layers[place].name, worst, there, tuple(blocks), tuple(alive))


class _Call(NamedTuple):
    """An open module call: the storages that it keeps alive, with those of the calls around it."""

    path: str
    storages: frozenset[str]
    bytes: int


def _eager(graph: Graph, sizes: dict[str, int]) -> Peak:
    """Distinct storages alive after each operation, as MemTracker samples them.

    They are the inputs of every module call around it, and its own inputs and output.
    """
    storage = {tensor.name: tensor.name for tensor in graph.inputs}
    calls = [_Call("", frozenset(storage), sum(sizes[name] for name in storage))]
    alive: list[int] = []
    most, there = 0, frozenset[str]()
    for layer, op in zip(graph.layers, graph.operations, strict=True):
        read = {storage[name] for name in layer.inputs}
        # A module with one operation keeps alive what that reads.
        path = layer.path.rpartition(".")[0] if layer.path == layer.name else layer.path
        _enter(calls, path, storage[layer.inputs[0]] if layer.inputs else "", sizes)
        held = calls[-1]
        now = held.bytes + sum([sizes[name] for name in read if name not in held.storages])
        owner = storage[layer.name] = storage.get(layer.storage, layer.storage)
        if owner == layer.name:
            now += sizes[layer.name] * (1 + op.temporaries)
        alive.append(now)
        if now > most:
            most, there = now, held.storages.union(read, [owner])
    parts = [(name, bytes_) for name, bytes_ in sizes.items() if name in there]
    scratch = most - sum(bytes_ for _, bytes_ in parts)
    return _peak(graph, alive, (*parts, ("(temporary)", scratch)) if scratch else tuple(parts))


def _enter(calls: list[_Call], path: str, entering: str, sizes: dict[str, int]) -> None:
    """End the calls that the module at `path` is not inside of, and begin those that lead to it, which
    are given the storage `entering`.
    """
    while calls[-1].path and not f"{path}.".startswith(f"{calls[-1].path}."):
        calls.pop()
    while calls[-1].path != path:
        outer = calls[-1]
        begin = len(outer.path) + 1 if outer.path else 0
        inner = path[:end] if (end := path.find(".", begin)) > 0 else path
        if not entering or entering in outer.storages:
            calls.append(_Call(inner, outer.storages, outer.bytes))
        else:
            calls.append(_Call(inner, outer.storages | {entering}, outer.bytes + sizes[entering]))
