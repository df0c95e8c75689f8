"""Blocks of a network whose modules are known: the blocks that an engineer would name.

A module holds blocks if several of its children are of one class. Such modules are opened until their
children are units. Runs of layers of one module are joined where several tensors pass between them.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, takewhile
from typing import Final, NamedTuple

from ..graph.graph import Block, Layer
from ..graph.parts import distinct_name

_PLAIN: Final = ("Sequential", "ModuleList", "ModuleDict")
_ROOT: Final = "forward"
"""Name of a block of operations that the network's own forward() calls, which no module can have."""
_FEW: Final = 8
"""Below this number of blocks, plain chains are opened too."""

Stack = tuple[tuple[str, str], ...]


class Step(NamedTuple):
    """A layer, and path and class of each module that is open while it runs, from the outermost."""

    layer: Layer
    stack: Stack


def tile(steps: Sequence[Step]) -> tuple[Block, ...]:
    """Return blocks of consecutive layers, which contain all layers.

    A module that has all weighted layers, such as the only child of a wrapper, is opened as the network is.
    A network of fewer than 8 blocks is divided at children that are plain containers too, and its chains of
    layers at each weighted one.
    """
    flow = _Flow(_unwrapped(steps))
    pieces = _pieces(flow, _Modules(flow.steps, flow.beside, plain_children=False))
    if len(pieces) < _FEW:
        other = _pieces(flow, _Modules(flow.steps, flow.beside, plain_children=True))
        pieces = max(pieces, other, key=len)
    if len(pieces) < _FEW:
        pieces = [part for piece in pieces for part in _chain(flow, piece)]
    return _named(flow, pieces)


def _unwrapped(steps: Sequence[Step]) -> Sequence[Step]:
    """Return the steps without the outermost modules that have all weighted layers, in others of theirs."""
    stacks = [step.stack[:-1] for step in steps if step.layer.operation.weighted]
    outer = takewhile(lambda each: len({*each}) == 1, zip(*stacks, strict=False))
    wrappers = tuple(each[0] for each in outer)
    depth = len(wrappers)
    return [
        step._replace(stack=step.stack[depth:]) if step.stack[:depth] == wrappers else step for step in steps
    ]


def alive_alone(layers: Sequence[Layer]) -> set[int]:
    """Return the positions of layers after which their own output is all that later layers read.

    Tensors like masks do not count.
    """
    last = _last_reads(layers)
    made = {layer.name: n for n, layer in enumerate(layers)}
    change = [0] * (len(layers) + 2)  # of the number of tensors that are alive after a layer
    for name, end in last.items():
        change[made.get(name, 0)] += 1
        change[end] -= 1
    counts = accumulate(change)
    return {
        n
        for n, (layer, count) in enumerate(zip(layers, counts, strict=False))
        if count == 1 and last.get(layer.name, n) > n
    }


def _last_reads(layers: Sequence[Layer]) -> dict[str, int]:
    """Return the position of the last layer that reads each tensor that is not like a mask."""
    beside = _beside(layers)
    return {name: n for n, layer in enumerate(layers) for name in layer.inputs if name not in beside}


def _beside(layers: Sequence[Layer]) -> set[str]:
    """Return the tensors that are like a mask: made of inputs without a weighted layer, and read by none that
    reads such tensors alone.
    """
    made = {layer.name for layer in layers}
    plain = {name for layer in layers for name in layer.inputs if name not in made}
    for layer in layers:
        if layer.inputs and not layer.operation.weighted and plain.issuperset(layer.inputs):
            plain.add(layer.name)
    data: set[str] = set()
    for layer in reversed(layers):
        if layer.name in data or (layer.operation.weighted and plain.issuperset(layer.inputs)):
            data.update(layer.inputs)
    return plain - data


class _Piece(NamedTuple):
    """Steps from `first` up to `last`, without it. unit: it is one call of a unit."""

    first: int
    last: int
    unit: bool = False


class _Flow:
    """Which tensors are read later."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        layers = [step.layer for step in steps]
        self.beside = _beside(layers)
        self.last_read = _last_reads(layers)
        self.cuts = alive_alone(layers)

    def weighted(self, piece: _Piece) -> bool:
        return any(step.layer.operation.weighted for step in self.steps[piece.first : piece.last])

    def is_clean(self, piece: _Piece) -> bool:
        """True if the piece reads one tensor from outside, and hands on one to later layers, beside masks."""
        inside = {step.layer.name for step in self.steps[piece.first : piece.last]}
        names = (name for step in self.steps[piece.first : piece.last] for name in step.layer.inputs)
        read = {name for name in names if name in self.last_read}
        handed = [name for name in inside if self.last_read.get(name, -1) >= piece.last]
        return len(read - inside) <= 1 and len(handed) <= 1


class _Modules:
    """Which modules repeat, hold blocks, and are units.

    A module repeats if two of its composite children are of one class. It holds if it, or one of its
    composite children, repeats. A unit is a child of a class that repeats, which does not hold.
    """

    def __init__(self, steps: Sequence[Step], beside: set[str], *, plain_children: bool) -> None:
        self.classes: dict[str, str] = {"": ""}
        self.children: dict[str, dict[str, None]] = {"": {}}
        weighted: dict[str, int] = {}
        computing: set[str] = set()
        for step in steps:
            outer = ""
            for path, kind in step.stack:
                self.classes[path] = kind
                self.children.setdefault(path, {})
                if path != outer:
                    self.children[outer].setdefault(path)
                weighted[path] = weighted.get(path, 0) + step.layer.operation.weighted
                outer = path
            if step.layer.operation.kind != "view" and step.layer.name not in beside:
                computing.add(outer)
        self.composite = {path for path, count in weighted.items() if count >= 2}
        self.computing = computing
        self.plain_children = plain_children
        self.repeats = lru_cache(None)(self._repeats)
        self.holds = lru_cache(None)(self._holds)
        self.units = {
            child
            for path in self.classes
            for child in self.children.get(path, ())
            if self.classes[child] in self.repeats(path) and not self.holds(child) and child in self.composite
        }

    def is_plain(self, path: str) -> bool:
        return self.classes[path].rpartition(".")[2] in _PLAIN

    def _repeats(self, path: str) -> frozenset[str]:
        """Return the classes that repeat among the children of a module."""
        if path and path in self.computing and not self.is_plain(path):
            return frozenset()
        kinds = [
            self.classes[child]
            for child in self.children.get(path, ())
            if child in self.composite and (self.plain_children or not self.is_plain(child))
        ]
        return frozenset(kind for kind in kinds if kinds.count(kind) > 1)

    def _holds(self, path: str) -> bool:
        return bool(self.repeats(path)) or any(
            self.holds(child) for child in self.children.get(path, ()) if child in self.composite
        )

    def owner(self, stack: Stack) -> str:
        """Return the outermost module of the stack that is a unit or does not hold; else the innermost."""
        for path, _ in stack:
            if path in self.units or not self.holds(path):
                return path
        return stack[-1][0] if stack else ""


def _pieces(flow: _Flow, modules: _Modules) -> list[_Piece]:
    runs: list[_Piece] = []
    before = None
    for n, step in enumerate(flow.steps):
        owner = modules.owner(step.stack)
        if owner == before and runs:
            runs[-1] = runs[-1]._replace(last=n + 1)
        else:
            runs.append(_Piece(n, n + 1, owner in modules.units))
        before = owner
    return _joined(flow, list(_closed(flow, runs)))


def _closed(flow: _Flow, runs: list[_Piece]) -> Iterator[_Piece]:
    """Yield runs with one tensor in and out, and others together until one ends at a cut."""
    open_piece: _Piece | None = None
    for run in runs:
        clean = flow.is_clean(run)
        if open_piece is not None and clean and run.unit and flow.weighted(open_piece):
            yield open_piece
            open_piece = None
        if open_piece is None and clean:
            yield run
            continue
        open_piece = run if open_piece is None else _Piece(open_piece.first, run.last)
        if run.last - 1 in flow.cuts:
            yield open_piece
            open_piece = None
    if open_piece is not None:
        yield open_piece


def _joined(flow: _Flow, pieces: list[_Piece]) -> list[_Piece]:
    """Join pieces without weighted layers to the one before, unless that is a unit; else to the one after."""
    joined: list[_Piece] = []
    waiting: _Piece | None = None
    for piece in pieces:
        now = piece if waiting is None else _Piece(waiting.first, piece.last)
        waiting = None
        if flow.weighted(now):
            joined.append(now)
        elif joined and not joined[-1].unit:
            joined[-1] = _Piece(joined[-1].first, now.last)
        else:
            waiting = now
    if waiting is not None:
        first = joined.pop().first if joined else waiting.first
        joined.append(_Piece(first, waiting.last))
    return joined


def _chain(flow: _Flow, piece: _Piece) -> Iterator[_Piece]:
    """Divide a piece that is a chain of single layers before each weighted one after a cut."""
    steps = flow.steps[piece.first : piece.last]
    parents = {step.layer.path.rpartition(".")[0] for step in steps if step.layer.operation.weighted}
    plain = {path for step in steps for path, kind in step.stack if kind.rpartition(".")[2] in _PLAIN}
    first, seen = piece.first, False
    if len(parents) == 1 and parents <= plain:
        for n in range(piece.first, piece.last):
            weighted = flow.steps[n].layer.operation.weighted
            if weighted and seen and n - 1 in flow.cuts:
                yield _Piece(first, n)
                first = n
            seen = seen or weighted
    yield _Piece(first, piece.last)


def _named(flow: _Flow, pieces: Iterable[_Piece]) -> tuple[Block, ...]:
    pieces = list(pieces)
    where: dict[str, set[int]] = {}
    for n, piece in enumerate(pieces):
        for step in flow.steps[piece.first : piece.last]:
            if step.layer.operation.weighted:
                for path, _ in step.stack:
                    where.setdefault(path, set()).add(n)
    taken: dict[str, int] = {}
    blocks = []
    for n, piece in enumerate(pieces):
        steps = flow.steps[piece.first : piece.last]
        name = _name(steps, {path for path, numbers in where.items() if numbers == {n}})
        name = distinct_name(name)
        taken[name] = taken.get(name, 0) + 1
        unique = name if taken[name] == 1 else f"{name}#{taken[name]}"
        modules = dict.fromkeys(path for step in steps if (path := _outermost(step, n, where)))
        blocks.append(Block(unique, f"block {unique}", tuple(step.layer for step in steps), tuple(modules)))
    return tuple(blocks)


def _name(steps: Sequence[Step], own: set[str]) -> str:
    """Return the module of all weighted layers, if none lies elsewhere; else "first..last"."""
    weighted = [step for step in steps if step.layer.operation.weighted] or list(steps)
    paths = list(dict.fromkeys(step.layer.path for step in weighted))
    common = _ancestor(paths)
    if len(paths) == 1 and paths[0]:
        outer = [path for path, _ in weighted[0].stack if path in own]
        return outer[0] if outer else paths[0]
    if common in own:
        outer = [path for path, _ in weighted[0].stack if path in own and f"{common}.".startswith(f"{path}.")]
        return outer[0] if outer else common
    ends = [path or _ROOT for path in (paths[0], paths[-1])]
    return ends[0] if ends[0] == ends[1] else "..".join(ends)


def _ancestor(paths: Sequence[str]) -> str:
    """Return the innermost module that encloses all the paths."""
    levels = zip(*(path.split(".") for path in paths), strict=False)
    same = takewhile(lambda names: len(set(names)) == 1, levels)
    return ".".join(names[0] for names in same)


def _outermost(step: Step, number: int, where: dict[str, set[int]]) -> str:
    """Return the outermost module that runs in this block only, "" without one."""
    for path, _ in step.stack:
        if where.get(path, {number}) == {number}:
            return path
    return ""
