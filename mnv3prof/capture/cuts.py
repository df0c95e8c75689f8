"""Blocks of a network whose modules' classes are not known, as in files."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ..graph.graph import Block, Layer
from .blocks import Stack, Step, alive_alone, tile

_NUMBERED: Final = re.compile(r"(.*?)_?\d+")


def cut_blocks(layers: Sequence[Layer]) -> tuple[Block, ...]:
    """Return blocks of consecutive layers, which contain all of them; () without a layer.

    With paths of modules they are those of tile(), where numbered children count as one class and a module
    with numbered children only as a Sequential. Without, a block ends where one tensor alone is alive and a
    weighted layer follows; blocks are numbered.
    """
    if any(layer.path for layer in layers):
        stacks = _Stacks(layers)
        return tile([Step(layer, stacks.of(layer.path)) for layer in layers])
    pieces = _pieces(layers, alive_alone(layers))
    return tuple(Block(str(n), f"block {n}", tuple(piece), ()) for n, piece in enumerate(pieces, 1) if piece)


class _Stacks:
    """Modules with a class that their name stands for."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.children: dict[str, set[str]] = {}
        for layer in layers:
            *outer, name = layer.path.split(".")
            while name:
                self.children.setdefault(".".join(outer), set()).add(name)
                name = outer.pop() if outer else ""

    def of(self, path: str) -> Stack:
        names = path.split(".") if path else []
        paths = [".".join(names[: n + 1]) for n in range(len(names))]
        return tuple((each, self._class(each)) for each in paths)

    def _class(self, path: str) -> str:
        inner = self.children.get(path, ())
        if inner and all(name.isdecimal() for name in inner):
            return "Sequential"
        found = _NUMBERED.fullmatch(path)
        return found[1] if found else path


def _pieces(layers: Sequence[Layer], cuts: set[int]) -> Iterator[list[Layer]]:
    """Divide layers at the cuts after a weighted layer that another weighted layer follows."""
    piece: list[Layer] = []
    weighted = False
    for n, layer in enumerate(layers):
        if layer.operation.weighted and weighted and n - 1 in cuts:
            yield piece
            piece, weighted = [], False
        piece.append(layer)
        weighted = weighted or layer.operation.weighted
    yield piece
