"""Parts of a network: the whole network, its backbone, a block, or the module at a path."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from .errors import InputError, did_you_mean, quote
from .graph import Block, Graph, Layer
from .once import once

NET: Final = "net"
"""The part that is the whole network."""

BACKBONE: Final = "backbone"
"""The part that is all blocks but the last one, which must be CLASSIFIER."""

CLASSIFIER: Final = "classifier"
"""The block that makes a network a classifier."""

BLOCKS: Final = "blocks"
ALL: Final = "all"
"""Names of several parts: each block; each block and the whole network."""

_RANGE: Final = re.compile(r"([0-9]{1,6})-([0-9]{1,6})", re.ASCII)
_WORDS: Final = (NET, BACKBONE, BLOCKS, ALL, "total")
_OWN: Final = "self."
"""Prefix of a block or module whose own name means something else: self.net."""


def is_group(name: str) -> bool:
    """Return True for a name that means parts of every network, as net and 3-7 do."""
    return name in _WORDS or bool(_RANGE.fullmatch(name))


def distinct_name(name: str) -> str:
    """Return the name for a block: "self.net" for "net", which is the whole network, else `name`.

    A module net of a module that is itself called self is "self.self.net".
    """
    word = name
    while word.startswith(_OWN):
        word = word.removeprefix(_OWN)
    return f"{_OWN}{name}" if is_group(word) else name


def module_path(graph: Graph, part: str) -> str:
    """Return the path of the module that a part names: net for self.net."""
    inner = part.removeprefix(_OWN)
    is_own = graph.under(inner) and distinct_name(inner) == part
    return inner if is_own or not graph.under(part) else part


def part_layers(graph: Graph, part: str) -> tuple[Layer, ...]:
    """Return the layers of a part; none if the network has no such part.

    Functional operations are not modules, so not parts.
    """
    if part == NET:
        return graph.layers
    block = graph.block(part)
    if block is not None:
        return block.layers
    if part == BACKBONE and (blocks := backbone_blocks(graph)):
        return tuple(layer for block in blocks for layer in block.layers)
    return () if part in (BLOCKS, ALL) else graph.under(module_path(graph, part))


def backbone_blocks(graph: Graph) -> tuple[Block, ...]:
    """Return the blocks of the backbone; none if the network has none."""
    *blocks, last = graph.blocks
    return tuple(blocks) if last.name == CLASSIFIER else ()


def selected_parts(graph: Graph, names: Iterable[str], where: str) -> tuple[str, ...]:
    """Return the parts that names select, each once. Raises InputError about `where`.

    A name is net, blocks, all, backbone, a block, a range of numbered blocks such as 3-7, or a module's path.
    These words win over modules: a module called net is self.net.
    """
    selected = dict.fromkeys(part for name in names for part in _selected(graph, name, where))
    if not selected:
        raise InputError(f"{where}: it is empty; expected {_expected(graph)}")
    return tuple(selected)


def _selected(graph: Graph, name: str, where: str) -> Sequence[str]:
    if name in (BLOCKS, ALL):
        return (*graph.block_names, *([NET] if name == ALL else []))
    if found := _RANGE.fullmatch(name):
        first, last = map(int, found.groups())
        numbers = [block for block in graph.block_names if block.isdecimal()]
        within = [block for block in numbers if first <= int(block) <= last]
        if within and {str(first), str(last)} <= {*within}:
            return within
    if name not in _groups(graph) and graph.block(name) is None:
        path = module_path(graph, name)
        name = distinct_name(path) if graph.under(path) else name
    if not part_layers(graph, name):
        known = {each: each for each in (*_groups(graph), *graph.block_names)}
        expected = did_you_mean(name, known) or f"expected {_expected(graph)}"
        raise InputError(f"{where}: {quote(name)} is not a part of {graph.name}; {expected}")
    return (name,)


def _groups(graph: Graph) -> list[str]:
    return [NET, BLOCKS, *([BACKBONE] if backbone_blocks(graph) else []), ALL]


def _expected(graph: Graph) -> str:
    """Name the parts of a network."""
    path = next((layer.path for layer in graph.layers if "." in layer.path), "")
    module = f", or a module's path, e.g. {path}" if path else ""
    return f"{', '.join(_groups(graph))}, a block ({', '.join(ranges(graph.block_names))}){module}"


def ranges(names: Sequence[str]) -> Iterator[str]:
    """Shorten names in a row that are numbers: stem, 1-15, head."""
    start = 0
    for n, name in enumerate(names):
        follows = n + 1 < len(names) and name.isdecimal() and names[n + 1] == str(int(name) + 1)
        if not follows:
            yield name if n == start else f"{names[start]}-{name}"
            start = n + 1


@once
def identical_blocks(graph: Graph) -> dict[str, str]:
    """Return for each block the first one of equal structure, which may be itself, and NET for NET."""
    first: dict[str, str] = {}
    return {**{name: first.setdefault(key, name) for name, key in graph.keys.items()}, NET: NET}
