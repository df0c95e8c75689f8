"""A design space: a layer table in which a value may be a list of choices."""

from collections.abc import Iterator
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate, product
from math import prod
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from ..graph.errors import InputError
from ..mobilenetv3.fields import Stride
from ..mobilenetv3.table import Row, Table, make_divisible
from ..mobilenetv3.variants import with_width
from ..mobilenetv3.width_rules import WidthRule
from ..record.run import Subject

MOST_ENTRIES: Final = 1_000_000
"""Maximum number of entries of a stage; its table holds the costs of each."""
MOST_IN_ALL: Final = 30_000_000
"""Maximum number of entries of all tables, each of 60 bytes."""
_MOST_DIGITS: Final = 400
Size = tuple[int, int]
Choice = tuple[tuple[str, Any], ...]
"""Values by key, in the order of the keys."""


class Stage(msgspec.Struct, frozen=True, dict=True):
    """Consecutive rows with one output width.

    out: choices of the width. stride: of the first row; of the others it is 1. depth: choices of the number
    of rows. once: choices by key, made once for all rows; each: made for every row. "ratio" is expand divided
    by the row's input width.
    """

    out: tuple[int, ...]
    stride: Stride
    depth: tuple[int, ...]
    once: tuple[tuple[str, tuple[Any, ...]], ...]
    each: tuple[tuple[str, tuple[Any, ...]], ...]

    @cached_property
    def of_stage(self) -> list[Choice]:
        """The choices for all rows, in order; the width is the first."""
        return list(_choices((("out", self.out), *self.once)))

    @cached_property
    def of_row(self) -> list[Choice]:
        """The choices for one row, in order."""
        return list(_choices(self.each))

    @cached_property
    def entries(self) -> int:
        """The number of ways to make the stage."""
        rows = prod(len(values) for _, values in self.each)
        once = len(self.out) * prod(len(values) for _, values in self.once)
        return once * int(sum(rows**depth for depth in self.depth))

    def entry(self, number: int) -> tuple[Choice, list[Choice]]:
        """Return the choices of an entry: those for all rows, and those of each row."""
        rows = len(self.of_row)
        place, rest = divmod(number, self.entries // len(self.of_stage))
        for depth in self.depth:
            if rest < rows**depth:
                break
            rest -= rows**depth
        digits = [rest // rows**power % rows for power in range(depth - 1, -1, -1)]
        return self.of_stage[place], [self.of_row[digit] for digit in digits]


class Context(NamedTuple):
    """What is chosen once for a network. outer: choices of head, last, classes."""

    width: float
    input: Size
    outer: Choice


class Space(msgspec.Struct, frozen=True, dict=True):
    """A set of networks.

    contexts: each choice of width, input and outer layers, the width outermost. table: the other keys of the
    tables. rule: of the width multiplier. file: that it was read from, "" for a preset. Networks are
    numbered: the context is the most significant digit, the last stage the least.
    """

    name: str
    contexts: tuple[Context, ...]
    stages: tuple[Stage, ...]
    table: tuple[tuple[str, Any], ...] = ()
    rule: WidthRule = "paper"
    file: str = ""

    @property
    def source(self) -> str:
        """What names it on a command line."""
        return self.file or self.name

    @property
    def definition(self) -> dict[str, Any]:
        """What its networks depend on: all but its name and file, of builtin types."""
        return {k: v for k, v in msgspec.to_builtins(self).items() if k not in ("name", "file")}

    @cached_property
    def digest(self) -> str:
        """The identity of its networks, whatever its name."""
        return blake2b(msgspec.json.encode(self.definition), digest_size=16).hexdigest()

    @cached_property
    def radices(self) -> tuple[int, ...]:
        """The number of contexts, and of entries of each stage."""
        return (len(self.contexts), *(stage.entries for stage in self.stages))

    @property
    def size(self) -> int:
        """The number of networks."""
        return prod(self.radices)

    def parsed(self, number: str) -> int | None:
        """Return the number of a network that a text is; None if it is none."""
        is_number = number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS
        return int(number) if is_number and int(number) < self.size else None

    @property
    def entries(self) -> int:
        """The number of entries of the tables of all contexts."""
        befores = (1, *(len(stage.out) for stage in self.stages))
        each = sum(before * stage.entries for before, stage in zip(befores, self.stages, strict=False))
        return len(self.contexts) * each

    def sizes(self, context: Context) -> list[Size]:
        """Return the size of the input of each stage, and that behind the last."""
        strides = [dict(self.table).get("stem_stride", 2), *(stage.stride for stage in self.stages)]
        return list(accumulate(strides, strided, initial=context.input))[1:]

    def behind(self, row: "UnscaledRow | None", where: Context, before: int | None) -> Table:
        """Return a table at a context's width: a row behind the width `before`, None for that of the stem."""
        fields = {"expand": 1, "out": before, "kernel": 1, "stride": 1, "se": False, "activation": "RE"}
        rows = [*([] if before is None else [UnscaledRow(fields)]), *([] if row is None else [row])]
        return self.scaled([(each, {}) for each in rows], where, self.name)

    def digits(self, number: int) -> tuple[int, ...]:
        """Return context and entries of a network. Raises InputError if there is none of this number."""
        if not 0 <= number < self.size:
            raise InputError(f"{self.name}: has no network {number:,}; expected 0 to {self.size - 1:,}")
        found: list[int] = []
        for radix in reversed(self.radices):
            number, digit = divmod(number, radix)
            found.append(digit)
        return tuple(reversed(found))

    def number(self, digits: tuple[int, ...]) -> int:
        """Return the number of a network with this context and these entries."""
        found = 0
        for radix, digit in zip(self.radices, digits, strict=True):
            found = found * radix + int(digit)
        return found

    def network(self, number: int) -> Subject:
        """Return a network with its input. Raises InputError."""
        context, *entries = self.digits(number)
        chosen = [stage.entry(entry) for stage, entry in zip(self.stages, entries, strict=True)]
        rows = [
            (row_of(stage, whole, each, first=n == 0), dict(each))
            for stage, (whole, of_rows) in zip(self.stages, chosen, strict=True)
            for n, each in enumerate(of_rows)
        ]
        where = self.contexts[context]
        return Subject(self.scaled(rows, where, f"{self.name}#{number}"), where.input)

    def scaled(self, rows: "list[tuple[UnscaledRow, dict[str, Any]]]", where: Context, name: str) -> Table:
        """Return the table of rows in a context, at its width. Raises InputError."""
        made: list[Row] = []
        fields = {**dict(self.table), **dict(where.outer)}
        divisor = fields.get("divisor", 8)
        width = fields.get("stem", 16)
        for row, _ in rows:
            made.append(row.at(width, divisor))
            width = made[-1].out
        table = Table(name=name, rows=tuple(made), **fields)
        if where.width == 1.0:
            return table
        table = with_width(table, where.width, self.rule)
        again: list[Row] = []
        width = table.stem
        for (row, _), scaled in zip(rows, table.rows, strict=True):
            again.append(
                scaled if row.ratio is None else replace(scaled, expand=row.expansion(width, divisor))
            )
            width = scaled.out
        return replace(table, name=name, rows=tuple(again))


class UnscaledRow(NamedTuple):
    """A row before its width is known. fields: of Row, without expand where there is a ratio."""

    fields: dict[str, Any]
    ratio: float | None = None

    def expansion(self, width: int, divisor: int) -> int:
        """Return the expanded width for an input width; at a ratio of 1 the input width itself."""
        assert self.ratio is not None
        return width if self.ratio == 1 else make_divisible(self.ratio * width, divisor)

    def at(self, width: int, divisor: int) -> Row:
        """Return the row for an input width. Raises InputError."""
        if self.ratio is None:
            return Row(**self.fields)
        return Row(**self.fields, expand=self.expansion(width, divisor))


def strided(size: Size, stride: Stride) -> Size:
    """Return the size after an odd kernel with the padding that keeps it at stride 1."""
    height, width = stride if isinstance(stride, tuple) else (stride, stride)
    return -(-size[0] // height), -(-size[1] // width)


def row_of(stage: Stage, whole: Choice, each: Choice, *, first: bool) -> UnscaledRow:
    """Return a row of a stage with the choices made for it."""
    fields: dict[str, Any] = {"se": False, "activation": "RE", **dict(whole), **dict(each)}
    fields["stride"] = stage.stride if first else 1
    ratio = fields.pop("ratio", None)
    return UnscaledRow(fields, ratio)


def _choices(keys: tuple[tuple[str, tuple[Any, ...]], ...]) -> Iterator[Choice]:
    names = [name for name, _ in keys]
    for values in product(*(values for _, values in keys)):
        yield tuple(zip(names, values, strict=True))
