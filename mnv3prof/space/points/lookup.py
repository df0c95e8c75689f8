"""Costs of many networks of a context at once: a lookup a stage and column, and their sum or maximum."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..costs import COLUMNS, PEAK, ContextTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_JOINED: Final = 40_000
"""Entries up to which two stages are one lookup: a column of them stays in the CPU's cache."""


class Step(NamedTuple):
    """One or more consecutive stages. radix: number of entries. columns: (COLUMNS, widths before × radix).
    out: the width behind each, None if there is one.
    """

    radix: int
    columns: "NDArray[Any]"
    out: "NDArray[Any] | None"


class Lookup(NamedTuple):
    """A context's costs. ends: (COLUMNS, last widths), None where they are part of the first step."""

    steps: tuple[Step, ...]
    ends: "NDArray[Any] | None"

    @property
    def radices(self) -> tuple[int, ...]:
        """The number of entries of each step, whose digits number the networks of the context."""
        return tuple(step.radix for step in self.steps)


def lookup_of(table: ContextTable) -> Lookup:
    """Return the costs of a context, with neighboring stages joined where that is small."""
    import numpy as np

    steps = [_flat(stage) for stage in table.stages]
    place = 0
    while place + 1 < len(steps):
        if steps[place].columns.shape[1] * steps[place + 1].radix <= MOST_JOINED:
            steps[place : place + 2] = [_joined(steps[place], steps[place + 1])]
        else:
            place += 1
    ends = np.array(table.ends, np.int64).T
    one_end = ends.shape[1] == 1
    if one_end:
        steps[0] = steps[0]._replace(columns=_added(steps[0].columns, ends))
    widths = [int(step.out.max(initial=0)) if step.out is not None else 0 for step in steps]
    found = [
        Step(s.radix, np.ascontiguousarray(s.columns), s.out if most else None)
        for s, most in zip(steps, widths, strict=True)
    ]
    return Lookup(tuple(found), None if one_end else ends)


def _flat(stage: Sequence[Any]) -> Step:
    import numpy as np

    columns = np.concatenate([each.columns for each in stage], axis=1)
    out = np.concatenate([each.out for each in stage]).astype(np.int64)
    return Step(stage[0].columns.shape[1], columns, out)


def _joined(first: Step, second: Step) -> Step:
    """Return two consecutive stages as one, the second's entry varying fastest."""
    import numpy as np

    assert first.out is not None and second.out is not None
    behind = (first.out[:, None] * second.radix + np.arange(second.radix)[None, :]).ravel()
    columns = _added(np.repeat(first.columns, second.radix, axis=1), second.columns[:, behind])
    return Step(first.radix * second.radix, columns, second.out[behind])


def _added(some: "NDArray[Any]", more: "NDArray[Any]") -> "NDArray[Any]":
    import numpy as np

    return np.concatenate([some[:PEAK] + more[:PEAK], np.maximum(some[PEAK:], more[PEAK:])])


class Engine:
    """Computes columns of chunks of networks, in arrays that it uses again."""

    def __init__(self, lookup: Lookup, most: int) -> None:
        """most: number of networks of a chunk."""
        import numpy as np

        self._lookup = lookup
        self._spare = np.empty(most, np.int64)

    def costs(
        self, digits: "Sequence[NDArray[Any]]", columns: Sequence[int] = range(len(COLUMNS))
    ) -> "NDArray[Any]":
        """Return columns of networks: (columns, networks). digits: of each step."""
        import numpy as np

        count = len(digits[0])
        places, last = self._places(digits)
        spare = self._spare[:count]
        found = np.empty((len(columns), count), np.int64)
        for sums, column in zip(found, columns, strict=True):
            join = np.maximum if column == PEAK else np.add
            tables = [step.columns[column] for step in self._lookup.steps]
            tables[0].take(places[0], out=sums, mode="clip")
            for table, place in zip(tables[1:], places[1:], strict=True):
                table.take(place, out=spare, mode="clip")
                join(sums, spare, out=sums)
            if self._lookup.ends is not None:
                join(sums, self._lookup.ends[column].take(last), out=sums)
        return found

    def _places(self, digits: "Sequence[NDArray[Any]]") -> "tuple[list[NDArray[Any]], NDArray[Any]]":
        """Return the places in each step's columns, which depend on the width before, and the last widths."""
        import numpy as np

        places = []
        before = None
        for step, digit in zip(self._lookup.steps, digits, strict=True):
            place = digit if before is None else before * step.radix + digit
            before = None if step.out is None else step.out.take(place)
            places.append(place)
        return places, np.zeros(len(digits[0]), np.int64) if before is None else before
