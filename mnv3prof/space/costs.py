"""Exact costs of every entry of a space's stages, and so of every network, by the tool's own counts.

A row's costs depend on its input width and size alone, so each distinct row is counted once. A stage's entry
is the sum of its rows, or their maximum for the peak; a network is the sum of its stages and its ends.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..cost.counts import Dtype, count, subtotals
from ..cost.memory import peaks
from ..graph.errors import InputError
from ..mobilenetv3.expand import expand
from ..mobilenetv3.table import Row, Table
from .space import Choice, Context, Size, Space, Stage, UnscaledRow, row_of, strided

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUMS: Final = {
    "macs": "macs",
    "flops": "flops",
    "params": "params",
    "weights": "weight_bytes",
    "read": "read_bytes",
    "written": "write_bytes",
}
"""Costs that add up, with their fields of cost.counts.Cost."""
COLUMNS: Final = (*SUMS, "peak.fused")
"""Of a network: costs that add up, then the fused peak, which is a maximum."""
PEAK: Final = COLUMNS.index("peak.fused")

MOST_EXACT: Final = 2**53
"""Costs up to it are exact, also as floating-point numbers."""

Costs = tuple[int, ...]
"""A value for each of COLUMNS, then of columns that were added."""


class StageTable(NamedTuple):
    """A stage behind a certain width. columns: (COLUMNS, entries). out: the number of the width of each entry
    among the stage's.
    """

    columns: "NDArray[Any]"
    out: "NDArray[Any]"


class ContextTable(NamedTuple):
    """A context's costs. stages: by the number of the width before it among the stage before's. ends: of the
    layers around, by the number of the last width.
    """

    stages: tuple[tuple[StageTable, ...], ...]
    ends: tuple[Costs, ...]


class Added(NamedTuple):
    """One more column that adds up: a value for each entry and for the ends, as of a ContextTable."""

    stages: "tuple[tuple[NDArray[Any], ...], ...]"
    ends: "NDArray[Any]"


def with_column(table: ContextTable, added: Added) -> ContextTable:
    """Return a context's costs with one more column behind the others."""
    import numpy as np

    stages = tuple(
        tuple(
            each._replace(columns=np.concatenate([each.columns, more[None]]))
            for each, more in zip(stage, columns, strict=True)
        )
        for stage, columns in zip(table.stages, added.stages, strict=True)
    )
    ends = tuple((*end, int(more)) for end, more in zip(table.ends, added.ends, strict=True))
    return ContextTable(stages, ends)


class Counter:
    """Counts the rows of a space, each distinct one once."""

    def __init__(self, space: Space, dtype: Dtype) -> None:
        self.space, self.dtype = space, dtype
        self._known: dict[tuple[Any, ...], Costs] = {}
        self._fixed = dict(space.table)

    def context(self, number: int) -> ContextTable:
        """Return the costs of a context. Raises InputError."""
        where = self.space.contexts[number]
        *sizes, size = self.space.sizes(where)
        befores: tuple[int | None, ...] = (None,)
        stages = []
        for stage, each in zip(self.space.stages, sizes, strict=True):
            stages.append(tuple(self._stage(stage, where, before, each) for before in befores))
            befores = stage.out
        ends = tuple(self._ends(where, last, size) for last in befores if last is not None)
        _require_exact(stages, ends)
        return ContextTable(tuple(stages), ends)

    def _stage(self, stage: Stage, where: Context, before: int | None, size: Size) -> StageTable:
        import numpy as np

        blocks, out = [], []
        for whole in stage.of_stage:
            first = self._rows(stage, where, whole, before, size, first=True)
            width = dict(whole)["out"]
            rest = None
            for depth in stage.depth:
                if depth > 1 and rest is None:
                    rest = self._rows(stage, where, whole, width, strided(size, stage.stride), first=False)
                block = first
                for _ in range(depth - 1):
                    block = _joined(block, rest)
                blocks.append(block)
                out.append(np.full(block.shape[1], stage.out.index(width), np.int32))
        return StageTable(np.concatenate(blocks, axis=1), np.concatenate(out))

    def _rows(
        self, stage: Stage, where: Context, whole: Choice, before: int | None, size: Size, *, first: bool
    ) -> "NDArray[Any]":
        """Return the costs of a row with each of its choices: (COLUMNS, choices)."""
        import numpy as np

        found = [
            self._row(row_of(stage, whole, each, first=first), where, before, size) for each in stage.of_row
        ]
        return np.array(found, np.int64).T

    def _row(self, row: UnscaledRow, where: Context, before: int | None, size: Size) -> Costs:
        """Count a row behind a width, None for the stem's."""
        table = self.space.behind(row, where, before)
        scaled = table.rows[-1]
        width = table.rows[0].out if before is not None else table.stem
        key = scaled, width, size
        if key not in self._known:
            alone = self._alone(width, scaled)
            self._known[key] = self._block(alone, size, "1")
            _require_below(self._known[key])
        return self._known[key]

    def _alone(self, width: int, row: Row, **outer: Any) -> Table:
        """Return a table that hands its image's size to a row of a certain input width."""
        fields = {**self._fixed, "stem": width, "stem_kernel": 1, "stem_stride": 1, "last": 8, "classes": 1}
        fields |= {"head": 8, **outer}
        return Table(name="row", rows=(row,), **fields)

    def _block(self, table: Table, size: Size, *names: str) -> Costs:
        graph = expand(table, size)
        costs = {group.name: group for group in subtotals(graph, count(graph, self.dtype))}
        live = dict(zip(graph.block_names, peaks(graph, self.dtype).fused.blocks, strict=True))
        sums = [sum(getattr(costs[name], field) for name in names) for field in SUMS.values()]
        return (*sums, max(live[name] for name in names))

    def _ends(self, where: Context, last: int, size: Size) -> Costs:
        """Count the stem, and the layers behind the last row."""
        table = self.space.behind(None, where, last)
        stem = self._block(table, where.input, "stem")
        width = table.rows[-1].out
        row = Row(expand=width, out=width, kernel=1, stride=1, se=False, activation="RE")
        outer = {name: getattr(table, name) for name in ("head", "last", "classes")}
        behind = self._alone(width, row, **outer)
        names = [name for name in expand(behind, size).block_names if name not in ("stem", "1")]
        after = self._block(behind, size, *names) if names else (0,) * len(COLUMNS)
        return (
            *(a + b for a, b in zip(stem[:PEAK], after[:PEAK], strict=True)),
            max(stem[PEAK], after[PEAK]),
        )


def _require_exact(stages: Sequence[Sequence[StageTable]], ends: Sequence[Costs]) -> None:
    """Raise InputError if a network may cost more than is computed exactly."""
    import numpy as np

    highest = [np.max([each.columns.max(axis=1) for each in stage], axis=0).tolist() for stage in stages]
    _require_below([sum(column) for column in zip(*highest, map(max, zip(*ends, strict=True)), strict=True)])


def _require_below(costs: Sequence[int]) -> None:
    most = max(costs)
    if most > MOST_EXACT:
        name = COLUMNS[costs.index(most)]
        raise InputError(f"a network has up to {most:,} {name}; expected at most 2^53, so that all are exact")


def _joined(rows: "NDArray[Any]", more: "NDArray[Any] | None") -> "NDArray[Any]":
    """Return the costs of rows with one more behind them, whose choice varies fastest."""
    import numpy as np

    assert more is not None
    sums = (rows[:PEAK, :, None] + more[:PEAK, None, :]).reshape(PEAK, -1)
    peak = np.maximum(rows[PEAK, :, None], more[PEAK, None, :]).reshape(1, -1)
    return np.concatenate([sums, peak])
