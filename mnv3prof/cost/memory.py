"""Bytes of activations that must be alive at once, by three definitions, and the arena that holds them.

eager: what PyTorch eager mode holds, every open module call keeping its input.
liveness: every operation has a buffer of its own, from the operation that writes it to its last reader.
folded: liveness after batch norm and activation are folded into the layer that feeds them, as a
    deployed runtime does; the least that a planned arena can need.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from math import prod
from typing import Final, NamedTuple

import msgspec

from ..arch.layers import ELEMENTWISE, IMAGE, VIEWS, Graph, Layer
from ..arch.table import InputError, shown
from .counts import Dtype, element_bytes

FOLDED: Final = VIEWS | ELEMENTWISE | {"batch_norm"}
"""Operations that write no buffer of their own once the network is folded."""

_IN_PLACE: Final = frozenset({"relu", "relu6", "hardswish", "swish"})
_COMPOSED: Final = frozenset({"hardswish_relu6", "hardswish_clamp", "hardsigmoid_relu6"})


class Peak(msgspec.Struct, frozen=True):
    """The worst moment of one definition.

    bytes: how many are alive at layer `layer` of block `block`. alive: (tensor, bytes) there; a
    tensor is named by the layer that writes it, or "input". blocks: the most bytes alive while
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


class Fit(msgspec.Struct, frozen=True):
    """Whether an arena fits into `budget` bytes, and the blocks that would have to shrink."""

    budget: int
    fits: bool
    blocks: tuple[Shortfall, ...]


def peaks(graph: Graph, dtype: Dtype = "fp32", batch: int = 1, *, image: bool = True) -> Peaks:
    """The three peaks in bytes for `batch` images at `dtype`.

    `image`: whether the input image counts in liveness and folded (in eager it always does: the
    caller holds it). Raises InputError.
    """
    sizes = _sizes(graph, dtype, batch)
    return Peaks(
        eager=None if dtype == "int8" else _eager(graph, sizes),
        liveness=_sweep(graph, _lifetimes(graph, sizes, VIEWS, image=image)),
        folded=_sweep(graph, _lifetimes(graph, sizes, FOLDED, image=image)),
    )


def arena(
    graph: Graph, dtype: Dtype = "fp32", batch: int = 1, *, image: bool = True, alignment: int = 1
) -> Arena:
    """The folded network's activations placed greedily by size, offsets multiples of `alignment` bytes.

    Raises InputError.
    """
    _at_least_1(alignment, "alignment")
    sizes = _sizes(graph, dtype, batch)
    return plan(_lifetimes(graph, sizes, FOLDED, image=image), len(graph.layers), alignment)


def _at_least_1(value: int, what: str) -> None:
    if type(value) is not int or value < 1:
        raise InputError(f"{what}: {shown(value)} is not allowed; allowed is an integer of at least 1")


def fit(arena: Arena, folded: Peak, blocks: Sequence[str], budget: int) -> Fit:
    """Does `arena` fit into `budget` bytes, and by how much must which of `blocks` shrink, worst first."""
    short = [Shortfall(b, alive, alive - budget) for b, alive in zip(blocks, folded.blocks, strict=True)]
    over = sorted((s for s in short if s.excess_bytes > 0), key=lambda s: -s.excess_bytes)
    return Fit(budget, arena.bytes <= budget, tuple(over))


def _sizes(graph: Graph, dtype: Dtype, batch: int) -> dict[str, int]:
    """Bytes of the images and of every layer's output."""
    _at_least_1(batch, "batch")
    unit = element_bytes(dtype) * batch
    sizes = {layer.name: prod(layer.out_shape) * unit for layer in graph.layers}
    return {IMAGE: prod(graph.image) * unit, **sizes}


def _lifetimes(
    graph: Graph, sizes: dict[str, int], aliases: frozenset[str], *, image: bool
) -> list[Lifetime]:
    """Every buffer; operations in `aliases` pass their input's buffer on."""
    owner = {IMAGE: IMAGE}
    first = {IMAGE: 0}
    last = {IMAGE: 0}
    for step, layer in enumerate(graph.layers):
        for name in layer.inputs:
            last[owner[name]] = step
        if layer.op in aliases:
            owner[layer.name] = owner[layer.inputs[0]]
        else:
            owner[layer.name] = layer.name
            first[layer.name] = last[layer.name] = step
    last[owner[graph.layers[-1].name]] = len(graph.layers) - 1
    return [Lifetime(name, sizes[name], first[name], last[name]) for name in first if image or name != IMAGE]


def plan(tensors: Iterable[Lifetime], steps: int, alignment: int = 1) -> Arena:
    """Greedy by size (Pisarchyk & Lee 2020, section 5; TFLite's arena planner).

    Tensors that live through all `steps` first, then the largest, ties by earlier first use; each
    into the smallest gap that holds it among the tensors alive with it, else after them.
    """
    tensors = list(tensors)
    whole = (0, steps - 1)
    order = sorted(tensors, key=lambda t: ((t.first, t.last) != whole, -t.bytes, t.first))
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last; sorted by offset
    offsets: dict[str, int] = {}
    for tensor in order:
        offset = _best_gap(placed, tensor, alignment)
        offsets[tensor.tensor] = offset
        insort(placed, (offset, offset + tensor.bytes, tensor.first, tensor.last))
    aligned = [Lifetime(t.tensor, _align(t.bytes, alignment), t.first, t.last) for t in tensors]
    return Arena(
        bytes=max((_align(end, alignment) for _, end, _, _ in placed), default=0),
        lower_bound=max(_alive(aligned, steps), default=0),
        naive_bytes=sum(t.bytes for t in aligned),
        placements=tuple(Placement(t.tensor, offsets[t.tensor], t.bytes, t.first, t.last) for t in tensors),
    )


def _best_gap(placed: list[tuple[int, int, int, int]], tensor: Lifetime, alignment: int) -> int:
    need, start, until = tensor.bytes, tensor.first, tensor.last
    best, best_gap, free = -1, 0, 0
    for offset, end, first, last in placed:
        if first > until or last < start:
            continue
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
    layer = graph.layers[alive.index(most)]
    blocks = dict.fromkeys(graph.blocks, 0)
    for step, bytes_ in zip(graph.layers, alive, strict=True):
        blocks[step.block] = max(blocks[step.block], bytes_)
    return Peak(most, layer.name, layer.block, there, tuple(blocks.values()), tuple(alive))


class _Frame(NamedTuple):
    """The storages that the open module calls around a layer keep alive, and their bytes."""

    storages: frozenset[str]
    bytes: int


def _eager(graph: Graph, sizes: dict[str, int]) -> Peak:
    """Distinct storages alive after each operation, as MemTracker samples them.

    They are the inputs of every module call around it, and its own inputs and output.
    """
    storage = {IMAGE: IMAGE}
    frames = {"": _Frame(frozenset({IMAGE}), sizes[IMAGE])}
    alive: list[int] = []
    most, there = 0, frozenset[str]()
    for layer in graph.layers:
        read = [storage[name] for name in layer.inputs]
        held = _held(layer.name.rpartition(".")[0], read[0], frames, sizes)
        now = held.bytes + sum([sizes[name] for name in read if name not in held.storages])
        if _passes_on(layer):
            storage[layer.name] = read[0]
        else:
            storage[layer.name] = layer.name
            # The steps of a composed activation hold one more tensor beside input and output.
            now += sizes[layer.name] * (2 if layer.op in _COMPOSED else 1)
        alive.append(now)
        if now > most:
            most, there = now, held.storages.union(read, [storage[layer.name]])
    parts = [(name, bytes_) for name, bytes_ in sizes.items() if name in there]
    scratch = most - sum(bytes_ for _, bytes_ in parts)
    return _peak(graph, alive, (*parts, ("(temporary)", scratch)) if scratch else tuple(parts))


def _held(path: str, entering: str, frames: dict[str, _Frame], sizes: dict[str, int]) -> _Frame:
    """The frame of the module at `path`, which storage `entering` enters if it is not open yet."""
    frame = frames.get(path)
    if frame is None:
        outer = _held(path.rpartition(".")[0], entering, frames, sizes)
        if entering in outer.storages:
            frame = outer
        else:
            frame = _Frame(outer.storages | {entering}, outer.bytes + sizes[entering])
        frames[path] = frame
    return frame


def _passes_on(layer: Layer) -> bool:
    """Whether eager mode writes no new storage: views, in-place activations, `result += x`."""
    return layer.op in VIEWS or layer.op == "add" or (layer.role == "activation" and layer.op in _IN_PLACE)
