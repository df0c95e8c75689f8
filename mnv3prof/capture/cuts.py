"""Blocks of a network whose modules are not known, or known by their paths alone.

A cut is a layer after which its output is the only tensor that is alive. Layers between two cuts that are
not one after the other are a branch, e.g. a residual block; modules are opened down to those with one.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from ..graph.graph import Block, Layer
from .onnx_names import Names

_FEW: Final = 8
"""Below this number of blocks by modules, the network is divided at all cuts."""


def cut_blocks(layers: Sequence[Layer], outputs: Sequence[str]) -> tuple[Block, ...]:
    """Return blocks of consecutive layers, which contain all of them; () without a layer.

    layers: in execution order. outputs: names of the layers that the network returns. A block ends at a
    cut, before a layer of another module. Without modules, or with few, it ends at a cut before the next
    weighted layer. Blocks are named by their modules, or numbered.
    """
    cuts = _cuts(layers, outputs)
    units = _units(layers, cuts)
    labels: Sequence[str] = units
    pieces = _joined(layers, [n + 1 for n in cuts if n + 1 < len(layers) and units[n] != units[n + 1]])
    if len(pieces) < _FEW:
        plain = _joined(layers, [n + 1 for n in cuts if n + 1 < len(layers)])
        if len(plain) > len(pieces):
            pieces, labels = plain, [layer.path for layer in layers]
    names = Names()
    blocks = []
    for number, (first, end) in enumerate(pieces, 1):
        inside = range(first, end)
        weighted = [labels[n] for n in inside if layers[n].operation.weighted]
        name = names.unique(_name(weighted) or str(number))
        blocks.append(Block(name, f"block {name}", tuple(layers[first:end]), ()))
    return tuple(blocks)


def _cuts(layers: Sequence[Layer], outputs: Sequence[str]) -> list[int]:
    """Return the positions of the cuts in order."""
    written = {layer.name: n for n, layer in enumerate(layers)}
    read = {name: n for n, layer in enumerate(layers) for name in layer.inputs}
    read |= dict.fromkeys(outputs, len(layers))
    changes = [0] * (len(layers) + 1)
    for name, last in read.items():
        first = written.get(name, 0)  # an input of the network is alive from the start
        if last > first:
            changes[first] += 1
            changes[last] -= 1
    alive = list(accumulate(changes))
    return [n for n, layer in enumerate(layers) if alive[n] == 1 and read.get(layer.name, n) > n]


def _joined(layers: Sequence[Layer], starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return (first, end) of each piece.

    starts: of the pieces but the first. A piece without a weighted layer joins the one before; the first,
    the one after.
    """
    ends = [*starts, len(layers)] if layers else []
    pieces: list[tuple[int, int]] = []
    weighted = True
    for first, end in zip([0, *starts], ends, strict=False):
        here = any(layer.operation.weighted for layer in layers[first:end])
        if pieces and not (here and weighted):
            pieces[-1] = (pieces[-1][0], end)
            weighted = weighted or here
        else:
            pieces.append((first, end))
            weighted = here
    return pieces


def _units(layers: Sequence[Layer], cuts: Sequence[int]) -> list[str]:
    """Return for each layer the outermost module that is not opened.

    Layers without a path are of the module before, or after if they are first.
    """
    opened = _opened(layers, cuts)
    units = [next((each for each in _enclosing(layer.path) if each not in opened), "") for layer in layers]
    last = next(filter(None, units), "")
    for n, unit in enumerate(units):
        last = units[n] = unit or last
    return units


def _opened(layers: Sequence[Layer], cuts: Sequence[int]) -> set[str]:
    """Return modules of which two children have branches.

    A child of a Sequential is not opened if one beside it is a branch itself.
    """
    branches = set(_branches(layers, cuts))
    holding: dict[str, set[str]] = {}
    for branch in branches:
        for path in _enclosing(branch):
            holding.setdefault(path.rpartition(".")[0], set()).add(path)
    numbered = {path.rpartition(".")[0] for path in branches if _is_numbered(path)}
    return {
        path
        for path, children in holding.items()
        if len(children) > 1 and not (_is_numbered(path) and path.rpartition(".")[0] in numbered)
    }


def _branches(layers: Sequence[Layer], cuts: Sequence[int]) -> Iterator[str]:
    """Yield the module of each branch, "" for the network itself."""
    start = 0
    for cut in cuts:
        if cut > start:
            yield _common([layer.path for layer in layers[start : cut + 1] if layer.path])
        start = cut + 1


def _enclosing(path: str) -> list[str]:
    """Return the paths of the modules around and at `path`, from the outermost."""
    return list(accumulate(path.split("."), lambda outer, name: f"{outer}.{name}")) if path else []


def _common(paths: Sequence[str]) -> str:
    """Return the innermost module that encloses all the paths."""
    common = paths[0].split(".") if paths else []
    for path in paths[1:]:
        parts = path.split(".")
        same = 0
        while same < min(len(common), len(parts)) and common[same] == parts[same]:
            same += 1
        common = common[:same]
    return ".".join(common)


def _is_numbered(path: str) -> bool:
    return path.rpartition(".")[2].isdecimal()


def _name(modules: Sequence[str]) -> str:
    """Return the module, or the first and last of several; "" if one is not known."""
    if not modules or not all(modules):
        return ""
    first, last = modules[0], modules[-1]
    return first if first == last else f"{first}..{last}"
