"""The distinct blocks of a space, each found in one of its networks."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from ..graph.graph import Graph
from ..graph.parts import CLASSIFIER
from ..mobilenetv3.table import HEAD, STEM, Row, Table, in_widths
from ..record.run import Subject
from ..space.space import Choice, Size, Space, Stage, row_of, strided
from .features import Features, features_of

_ENDS: Final = (STEM, HEAD, CLASSIFIER)
_ROW: Final = "1"
"""The block of a row in a network of its own."""


class Place(NamedTuple):
    """A block, as a part of the network of a space that has this number."""

    number: int
    block: str


class SpaceBlock(NamedTuple):
    """A distinct block: where one like it is, its key, and its features."""

    place: Place
    key: str
    features: Features

    @property
    def is_end(self) -> bool:
        """True for stem, head and classifier."""
        return self.place.block in _ENDS


class StageBlocks(NamedTuple):
    """Distinct blocks of the rows of a stage behind a certain width, by number.

    first, rest: of the first row and of the later ones, for each choice for the stage; each has a block for
    each choice for a row. rest is empty in a stage of one row.
    """

    first: list[list[int]]
    rest: list[list[int]]


class ContextBlocks(NamedTuple):
    """Distinct blocks of a context. stages: by the number of the width before it among the stage before's.
    ends: the blocks around the rows, by the number of the last width.
    """

    stages: list[list[StageBlocks]]
    ends: list[list[int]]


class Blocks:
    """Finds the distinct blocks of a space.

    known: in the order in which they were found.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.known: list[SpaceBlock] = []
        self._by_row: dict[tuple[Row, int, Size], int] = {}
        self._by_key: dict[str, int] = {}

    def contexts(self) -> Iterator[ContextBlocks]:
        """Yield the blocks of each context."""
        for number in range(len(self.space.contexts)):
            yield self.context(number)

    def context(self, number: int) -> ContextBlocks:
        """Return the blocks of a context."""
        where = self.space.contexts[number]
        befores: tuple[int | None, ...] = (None,)
        stages = []
        for place, (stage, size) in enumerate(zip(self.space.stages, self.space.sizes(where), strict=False)):
            stages.append([self._stage(number, place, before, size) for before in befores])
            befores = stage.out
        last = len(self.space.stages) - 1
        ends = [self._ends(number, last, width) for width in self.space.stages[last].out]
        return ContextBlocks(stages, ends)

    def _stage(self, number: int, place: int, before: int | None, size: Size) -> StageBlocks:
        stage = self.space.stages[place]
        inner = strided(size, stage.stride)
        first = [
            self._rows(number, place, whole, before, size, first=True) for whole in range(len(stage.of_stage))
        ]
        rest = [
            self._rows(number, place, whole, dict(stage.of_stage[whole])["out"], inner, first=False)
            for whole in range(len(stage.of_stage) if max(stage.depth) > 1 else 0)
        ]
        return StageBlocks(first, rest)

    def _rows(
        self, number: int, place: int, whole: int, before: int | None, size: Size, *, first: bool
    ) -> list[int]:
        stage, where = self.space.stages[place], self.space.contexts[number]
        found = []
        for each, choice in enumerate(stage.of_row):
            row = row_of(stage, stage.of_stage[whole], choice, first=first)
            table = self.space.behind(row, where, before)
            width = in_widths(table)[-1]
            key = table.rows[-1], width, size
            if key not in self._by_row:
                found_in = self._network(number, place, whole, each, before if first else None, first=first)
                subject = alone_row(table, table.rows[-1], width, size)
                self._by_row[key] = self._add(found_in, subject.graph, _ROW)
            found.append(self._by_row[key])
        return found

    def _add(self, place: Place, graph: Graph, block: str) -> int:
        key = graph.keys[block]
        if key not in self._by_key:
            self._by_key[key] = len(self.known)
            self.known.append(SpaceBlock(place, key, features_of(graph, block)))
        return self._by_key[key]

    def _network(
        self, number: int, place: int, whole: int, each: int, before: int | None, *, first: bool
    ) -> Place:
        """Return where a row is in the network whose other stages are their first entries."""
        stage = self.space.stages[place]
        entries = [0] * len(self.space.stages)
        if place and before is not None:
            entries[place - 1] = _with_width(self.space.stages[place - 1], before)
        entries[place] = _entry(stage, whole, each, first=first)
        rows = sum(len(s.entry(e)[1]) for s, e in zip(self.space.stages[:place], entries, strict=False))
        return Place(self.space.number((number, *entries)), str(rows + (1 if first else 2)))

    def _ends(self, number: int, last: int, width: int) -> list[int]:
        entries = [0] * len(self.space.stages)
        entries[last] = _with_width(self.space.stages[last], width)
        network = self.space.number((number, *entries))
        subject = self.space.network(network)
        return [
            self._add(Place(network, block), *_graph_of(alone(subject, block)))
            for block in subject.graph.block_names
            if block in _ENDS
        ]


def _graph_of(part: tuple[Subject, str]) -> tuple[Graph, str]:
    subject, block = part
    return subject.graph, block


def _entry(stage: Stage, whole: int, each: int, *, first: bool) -> int:
    """Return an entry that has a choice in its first row, or in its second one."""
    rows = len(stage.of_row)
    depth = next(depth for depth in stage.depth if first or depth > 1)
    before = sum(rows**shallower for shallower in stage.depth[: stage.depth.index(depth)])
    digit = each * rows ** (depth - (1 if first else 2))
    return int(whole * (stage.entries // len(stage.of_stage)) + before + digit)


def _with_width(stage: Stage, width: int) -> int:
    """Return the first entry of a width."""
    whole = next(n for n, choice in enumerate(stage.of_stage) if _width(choice) == width)
    return whole * (stage.entries // len(stage.of_stage))


def _width(choice: Choice) -> Any:
    return dict(choice)["out"]


def alone(subject: Subject, block: str) -> tuple[Subject, str]:
    """Return a small network with a block of a layer table's network, and the block's name in it.

    The block has the same structure there: the same key. A network in which it is alone is built and
    calibrated in a fraction of the time.
    """
    found, name = _alone(subject, block)
    if found.graph.keys.get(name) != subject.graph.keys[block]:
        return subject, block
    return found, name


def _alone(subject: Subject, block: str) -> tuple[Subject, str]:
    table = subject.table
    if block == STEM:
        row = Row(expand=1, out=1, kernel=1, stride=1, se=False, activation="RE")
        small = replace(table, rows=(row,), head=8, last=8, classes=1, stages=())
        return Subject(small, subject.input), STEM
    layers = subject.graph.block(block)
    assert layers is not None  # of the subject
    if block.isdecimal():
        number = int(block) - 1
        size = subject.graph.shapes[layers.layers[0].inputs[0]][1:]
        return alone_row(table, table.rows[number], in_widths(table)[number], (size[0], size[1])), _ROW
    width = table.rows[-1].out
    row = Row(expand=width, out=width, kernel=1, stride=1, se=False, activation="RE")
    shape = subject.graph.shapes[_before_ends(subject.graph)][1:]
    return Subject(
        replace(table, rows=(row,), stem=width, stem_kernel=1, stem_stride=1, stages=()), (shape[0], shape[1])
    ), block


def _before_ends(graph: Graph) -> str:
    """Return the tensor that the last row writes."""
    rows = [block for block in graph.blocks if block.name.isdecimal()]
    return rows[-1].layers[-1].name


def alone_row(table: Table, row: Row, width: int, size: Size) -> Subject:
    """Return a network of one row with the options of a table, for an input of `width` channels."""
    small = replace(
        table, rows=(row,), stem=width, stem_kernel=1, stem_stride=1, head=8, last=8, classes=1, stages=()
    )
    return Subject(small, size)
