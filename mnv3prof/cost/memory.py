"""Peak activation memory by three definitions, and the arena plan.

eager: PyTorch eager mode, where each open module call keeps its input. It is exact if each tensor is read
    by the next call or by an enclosing call, as in the networks of layer tables. Other references in a
    forward() and the workspace of kernels are not counted. That of a captured module is simulated: the
    module runs on tensors without data.
unfused: every operation has its own buffer, from its execution to its last reader's.
fused: the unfused peak with batch norm and activation fused into the layer before them, as in a
    deployed runtime; a lower bound of a planned arena.
"""

from bisect import bisect_left, insort
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from ..graph.errors import require_at_least_1, require_boolean
from ..graph.graph import Graph
from ..graph.once import once
from .counts import Dtype, element_bytes


class Peak(msgspec.Struct, frozen=True):
    """Peak memory by one definition.

    bytes: live bytes at the peak, in layer `layer` of block `block`. alive: (tensor, bytes) of the live
    tensors there; a tensor has the name of its layer or input. blocks: maximum of live bytes in each
    block, in the graph's order. layers: live bytes in each layer.

    >>> peak = mnv3prof.peaks(mnv3prof.load("large").graph).eager
    >>> peak.bytes, peak.block, [name for name, _ in peak.alive][:2]
    (7827456, '2', ['input', 'features.1.block.1.1'])
    """

    bytes: int
    layer: str
    block: str
    alive: tuple[tuple[str, int], ...]
    blocks: tuple[int, ...]
    layers: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Peak({self.bytes:,} bytes, in block {self.block!r})"


class Peaks(msgspec.Struct, frozen=True):
    """The three peaks. eager: None at int8, which PyTorch eager does not support, and of a captured network
    except for one image at fp32.

    >>> peaks = mnv3prof.peaks(mnv3prof.load("large").graph)
    >>> peaks.eager.bytes, peaks.unfused.bytes, peaks.fused.bytes
    (7827456, 6422528, 4014080)
    """

    eager: Peak | None
    unfused: Peak
    fused: Peak


class Lifetime(msgspec.Struct, frozen=True):
    """A tensor's size, and the indices of the layers that write it and read it last."""

    tensor: str
    bytes: int
    first: int
    last: int


class Placement(msgspec.Struct, frozen=True):
    """A tensor's lifetime and its place in the arena: bytes `offset` to `offset` + `bytes`.

    >>> mnv3prof.arena(mnv3prof.load("large").graph).placements[0]
    Placement(tensor='input', offset=802816, bytes=602112, first=0, last=0)
    """

    tensor: str
    offset: int
    bytes: int
    first: int
    last: int


class Arena(msgspec.Struct, frozen=True):
    """One buffer for all activations.

    lower_bound: no plan can have fewer bytes. naive_bytes: sum of all buffers, without reuse.

    >>> arena = mnv3prof.arena(mnv3prof.load("large").graph)
    >>> arena.bytes, arena.lower_bound, arena.naive_bytes
    (4014080, 4014080, 22333920)
    """

    bytes: int
    lower_bound: int
    naive_bytes: int
    placements: tuple[Placement, ...]

    def __repr__(self) -> str:
        return f"Arena({self.bytes:,} bytes, {len(self.placements)} tensors)"


class Shortfall(msgspec.Struct, frozen=True):
    """A block with more live bytes than the budget, by `excess_bytes`."""

    block: str
    alive_bytes: int
    excess_bytes: int


class Fits(msgspec.Struct, frozen=True):
    """Result of a planner: bytes of its arena, and if it fits; None with a reason if unknown."""

    planner: str
    bytes: int | None
    fits: bool | None
    reason: str = ""


class Fit(msgspec.Struct, frozen=True):
    """Result of fitting an arena into `budget` bytes, and the blocks that exceed it."""

    budget: int
    fits: bool
    blocks: tuple[Shortfall, ...]


@once
def peaks(
    graph: Graph,
    dtype: Dtype = "fp32",
    batch: int = 1,
    *,
    image: bool = True,
    in_place_depthwise: bool = False,
) -> Peaks:
    """Return the three peaks in bytes for `batch` images at `dtype`. Raises InputError.

    image: include the network's inputs in unfused and fused. Eager always includes them, since the
    caller holds them. in_place_depthwise: in fused, a depthwise convolution writes its output over its
    input (Lin et al. 2021, MCUNetV2); its buffer of one channel is not counted.

    >>> mnv3prof.peaks(mnv3prof.load("large").graph, "int8").fused.bytes  # 64 * 112 * 112 + 16 * 112 * 112
    1003520
    """
    require_boolean(image, "image")
    require_boolean(in_place_depthwise, "in_place_depthwise")
    sizes = _sizes(graph, dtype, batch)
    fused = _deployed_lifetimes(graph, sizes, image=image, in_place=in_place_depthwise)
    return Peaks(
        eager=_eager(graph, sizes, dtype, batch),
        unfused=_liveness_peak(graph, _lifetimes(graph, sizes, (), image=image)),
        fused=_liveness_peak(graph, fused),
    )


@once
def arena(
    graph: Graph,
    dtype: Dtype = "fp32",
    batch: int = 1,
    *,
    image: bool = True,
    alignment: int = 1,
    in_place_depthwise: bool = False,
) -> Arena:
    """Plan the activations of the fused network, greedily by size. Raises InputError.

    Offsets are multiples of `alignment` bytes. image, in_place_depthwise: as of peaks().

    >>> mnv3prof.arena(mnv3prof.load("large").graph, "int8").bytes
    1003520
    """
    require_boolean(image, "image")
    require_boolean(in_place_depthwise, "in_place_depthwise")
    require_at_least_1(alignment, "alignment")
    sizes = _sizes(graph, dtype, batch)
    tensors = _deployed_lifetimes(graph, sizes, image=image, in_place=in_place_depthwise)
    return plan(tensors, len(graph.layers), alignment)


def fit(arena: Arena, fused: Peak, blocks: Sequence[str], budget: int) -> Fit:
    """Check if `arena` fits into `budget` bytes, and list the blocks over it, largest excess first."""
    short = [Shortfall(b, alive, alive - budget) for b, alive in zip(blocks, fused.blocks, strict=True)]
    over = sorted((s for s in short if s.excess_bytes > 0), key=lambda s: -s.excess_bytes)
    return Fit(budget, arena.bytes <= budget, tuple(over))


def _sizes(graph: Graph, dtype: Dtype, batch: int) -> dict[str, int]:
    """Bytes of the inputs and of every layer's output."""
    require_at_least_1(batch, "batch")
    unit = element_bytes(dtype) * batch
    return {name: elements * unit for name, elements in graph.elements.items()}


def _deployed_lifetimes(
    graph: Graph, sizes: dict[str, int], *, image: bool, in_place: bool
) -> list[Lifetime]:
    """Return the buffers of the network with batch norm and activations fused."""
    shared = {*graph.fused, *(_over_their_input(graph) if in_place else ())}
    return _lifetimes(graph, sizes, shared, image=image)


def _over_their_input(graph: Graph) -> Iterator[str]:
    """Yield the depthwise convolutions that can write over their input: no other layer reads it later, it is
    not an input of the network, and it is at least as large.
    """
    owner = _owners(graph, graph.fused)
    last = _last_reads(graph, owner)
    written = {layer.name for layer in graph.layers}
    for step, layer in enumerate(graph.layers):
        if layer.op == "depthwise":
            source = owner[layer.inputs[0]]
            room = graph.elements[layer.name] <= graph.elements[source]
            if room and source in written and last[source] == step:
                yield layer.name


def _owners(graph: Graph, shared: Container[str]) -> dict[str, str]:
    """Map each tensor to the one whose buffer it uses: views and `shared` layers use that of their input."""
    owner = {tensor.name: tensor.name for tensor in graph.inputs}
    for layer, op in zip(graph.layers, graph.operations, strict=True):
        is_view = op.kind == "view" or (op.kind == "other" and layer.storage != layer.name)
        owner[layer.name] = owner[layer.inputs[0]] if is_view or layer.name in shared else layer.name
    return owner


def _last_reads(graph: Graph, owner: Mapping[str, str]) -> dict[str, int]:
    """Return the index of the last layer that reads or writes each buffer; the last of all for outputs."""
    last = dict.fromkeys((owner[tensor.name] for tensor in graph.inputs), 0)
    for step, layer in enumerate(graph.layers):
        last[owner[layer.name]] = step
        for name in layer.inputs:
            last[owner[name]] = step
    return last | {owner[name]: len(graph.layers) - 1 for name in graph.outputs}


def _lifetimes(graph: Graph, sizes: dict[str, int], shared: Container[str], *, image: bool) -> list[Lifetime]:
    """Return all buffers. Views and `shared` layers use the buffer of their input."""
    owner = _owners(graph, shared)
    last = _last_reads(graph, owner)
    first = dict.fromkeys((tensor.name for tensor in graph.inputs), 0)
    first |= {layer.name: n for n, layer in enumerate(graph.layers) if owner[layer.name] == layer.name}
    inputs = {tensor.name for tensor in graph.inputs}
    kept = first if image else [name for name in first if name not in inputs]
    return [Lifetime(name, sizes[name], first[name], last[name]) for name in kept]


def plan(tensors: Iterable[Lifetime], steps: int, alignment: int = 1) -> Arena:
    """Plan an arena greedily by size (Pisarchyk & Lee 2020, section 5; TFLite's planner).

    Order: tensors that live through all `steps`, then by size, then by first use. Each is placed in the
    smallest sufficient gap between the tensors that are live with it, else after them.
    """
    tensors = list(tensors)
    whole = (0, steps - 1)
    order = sorted(tensors, key=lambda t: ((t.first, t.last) != whole, -t.bytes, t.first))
    placed = _Placed(steps)
    offsets: dict[str, int] = {}
    for tensor in order:
        offset = _best_gap(placed.live_with(tensor), tensor.bytes, alignment)
        offsets[tensor.tensor] = offset
        placed.add(tensor, offset)
    aligned = [Lifetime(t.tensor, _align(t.bytes, alignment), t.first, t.last) for t in tensors]
    return Arena(
        bytes=max((_align(offsets[t.tensor] + t.bytes, alignment) for t in tensors), default=0),
        lower_bound=max(_live_bytes(aligned, steps), default=0),
        naive_bytes=sum(t.bytes for t in aligned),
        placements=tuple(Placement(t.tensor, offsets[t.tensor], t.bytes, t.first, t.last) for t in tensors),
    )


class _Placed:
    """Placed tensors by lifetime, so that only those live with a new one are searched."""

    def __init__(self, steps: int) -> None:
        self.live: list[list[tuple[int, int]]] = [[] for _ in range(steps)]
        self.starts: list[tuple[int, tuple[int, int]]] = []

    def add(self, tensor: Lifetime, offset: int) -> None:
        span = (offset, offset + tensor.bytes)
        insort(self.starts, (tensor.first, span))
        for step in range(tensor.first, tensor.last + 1):
            self.live[step].append(span)

    def live_with(self, tensor: Lifetime) -> list[tuple[int, int]]:
        """(offset, end) of the tensors that are live with this one, by offset."""
        after, until = (bisect_left(self.starts, (step + 1,)) for step in (tensor.first, tensor.last))
        return sorted([*self.live[tensor.first], *[span for _, span in self.starts[after:until]]])


def _best_gap(spans: Sequence[tuple[int, int]], need: int, alignment: int) -> int:
    """Offset of the smallest gap between the spans with `need` bytes, else after them."""
    best, best_gap, free = -1, 0, 0
    for offset, end in spans:
        gap = offset - free
        if gap >= need and (best < 0 or gap < best_gap):
            best, best_gap = free, gap
        if end > free:
            free = _align(end, alignment)
    return free if best < 0 else best


def _align(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def _live_bytes(tensors: Iterable[Lifetime], steps: int) -> list[int]:
    """Live bytes in each layer."""
    change = [0] * (steps + 1)
    for tensor in tensors:
        change[tensor.first] += tensor.bytes
        change[tensor.last + 1] -= tensor.bytes
    return list(accumulate(change[:-1]))


def _liveness_peak(graph: Graph, tensors: list[Lifetime]) -> Peak:
    live = _live_bytes(tensors, len(graph.layers))
    step = live.index(max(live))
    return _peak(graph, live, tuple((t.tensor, t.bytes) for t in tensors if t.first <= step <= t.last))


def _peak(graph: Graph, live: list[int], tensors: tuple[tuple[str, int], ...]) -> Peak:
    """live: bytes in each layer. tensors: (name, bytes) of those at the peak."""
    most = max(live)
    at, step = live.index(most), 0
    peak_block, blocks = "", []
    for block in graph.blocks:
        blocks.append(max(live[step : step + len(block.layers)]))
        peak_block = block.name if step <= at else peak_block
        step += len(block.layers)
    return Peak(most, graph.layers[at].name, peak_block, tensors, tuple(blocks), tuple(live))


class _Call(NamedTuple):
    """An open module call. storages: those that it and the enclosing calls keep alive."""

    path: str
    storages: frozenset[str]
    bytes: int


def why_no_eager(graph: Graph, dtype: Dtype) -> str:
    """Return why there is no eager peak."""
    if graph.eager and not graph.eager.layers:
        return f"not known: {graph.eager.reason or 'a file has no modules'}"
    if graph.eager is None or dtype == "int8":
        return "PyTorch eager does not run int8"
    return "simulated for one image at fp32 only"


def _eager(graph: Graph, sizes: dict[str, int], dtype: Dtype, batch: int) -> Peak | None:
    """Return the peak by the calls of modules, or the simulated one; None where neither is known."""
    if graph.eager is None:
        return None if dtype == "int8" else _by_calls(graph, sizes)
    if not graph.eager.layers or (dtype, batch) != ("fp32", 1):
        return None
    return _peak(graph, list(graph.eager.layers), graph.eager.alive)


def _by_calls(graph: Graph, sizes: dict[str, int]) -> Peak:
    """Peak of the distinct storages that are live after each operation, as MemTracker samples them.

    Live are the inputs of all enclosing module calls, and the operation's own inputs and output.
    """
    storage = {tensor.name: tensor.name for tensor in graph.inputs}
    calls = [_Call("", frozenset(storage), sum(sizes[name] for name in storage))]
    live: list[int] = []
    most, at_peak = 0, frozenset[str]()
    for layer, op in zip(graph.layers, graph.operations, strict=True):
        read = {storage[name] for name in layer.inputs}
        # The call of a module with one operation keeps what the operation reads, which is counted anyway.
        path = layer.path.rpartition(".")[0] if layer.path == layer.name else layer.path
        _enter(calls, path, storage[layer.inputs[0]] if layer.inputs else "", sizes)
        call = calls[-1]
        now = call.bytes + sum([sizes[name] for name in read if name not in call.storages])
        owner = storage[layer.name] = storage.get(layer.storage, layer.storage)
        if owner == layer.name:
            now += sizes[layer.name] * (1 + op.temporaries)
        live.append(now)
        if now > most:
            most, at_peak = now, call.storages.union(read, [owner])
    tensors = [(name, bytes_) for name, bytes_ in sizes.items() if name in at_peak]
    temporary = most - sum(bytes_ for _, bytes_ in tensors)
    return _peak(graph, live, (*tensors, ("(temporary)", temporary)) if temporary else tuple(tensors))


def _enter(calls: list[_Call], path: str, entering: str, sizes: dict[str, int]) -> None:
    """Leave the calls that do not enclose the module at `path`, and enter those that do.

    entering: the storage that the entered calls get as input.
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
