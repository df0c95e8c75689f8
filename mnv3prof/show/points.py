"""Sheets of `sweep` and `pareto`: what was sampled, and the front."""

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from ..render.sheet import Column, Kind, Sheet
from ..space.costs import COLUMNS
from ..space.points.files import NETWORK
from ..space.points.pareto import Front, Objective
from ..space.points.sweep import Tally
from .diff import TITLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_ACCURACY: Final = "Costs only: which network is the most accurate is not known."
_BYTES: Final = ("weights", "read", "written", "peak.fused", "arena")


def sweep_sheet(name: str, tally: Tally) -> Sheet:
    """Return the least and the most of each cost. name: of the file."""
    columns = (Column("cost", "Cost", "text"), Column("least", "Least"), Column("most", "Most"))
    rows = [
        (TITLES[cost], int(low), int(high))
        for cost, low, high in zip(COLUMNS, _or_none(tally.low), _or_none(tally.high), strict=False)
    ]
    kept_of = f"{tally.kept:,} of {tally.seen:,} networks satisfy the conditions"
    title = f"{name}: {kept_of if tally.kept < tally.seen else f'{tally.seen:,} networks'}"
    notes = (f"{', '.join(TITLES[each] for each in _BYTES[:-1])} in bytes. {NO_ACCURACY}",)
    return Sheet(title, columns, tuple(rows), notes=notes)


def _or_none(values: "NDArray[Any] | None") -> Any:
    return () if values is None else values


def front_sheet(name: str, front: Front, objectives: tuple[Objective, ...]) -> Sheet:
    """Return the networks of a front, with all costs; first those of the objectives. name: of the points."""
    asked = [each.name for each in objectives]
    order = [*asked, *(each for each in COLUMNS if each not in asked)]
    columns = [Column(NETWORK, "Network", "text")]
    columns += [
        Column(each, TITLES[each], _kind(each), importance=0 if each in asked else 1 + place)
        for place, each in enumerate(order)
    ]
    values = front.costs
    rows = tuple(zip(front.networks, *(values[each] for each in order), strict=True))
    aims = [f"{'least' if each.sign == 1 else 'most'} {TITLES[each.name]}" for each in objectives]
    many = "1 network" if len(rows) == 1 else f"{len(rows):,} networks"
    title = f"{name}: {many} with {_and(aims)}, of {front.seen:,}"
    return Sheet(title, tuple(columns), rows, notes=notes_of(front))


def _and(aims: list[str]) -> str:
    *most, last = aims
    return f"{', '.join(most)} and {last}" if most else last


def _kind(name: str) -> Kind:
    return "bytes" if is_bytes(name) else "count"


def notes_of(front: Front) -> tuple[str, ...]:
    """Return what the front is of, and what is not known."""
    kept = f"{front.kept:,} of {front.seen:,} networks satisfy the conditions. "
    planned = "" if front.arenas is None else f"{front.planned:,} arenas were planned. "
    meaning = "No other of these networks is at least as good in all objectives and better in one. "
    meaning = meaning if front.networks else ""
    return (f"{kept if front.kept < front.seen else ''}{planned}{meaning}{NO_ACCURACY}",)


def shortened_sheet(sheet: Sheet, most: int) -> Sheet:
    """Return a sheet with at most so many rows, spread over all, and a note about the others."""
    count = len(sheet.rows)
    if count <= most:
        return sheet
    rows = tuple(sheet.rows[place * (count - 1) // (most - 1)] for place in range(most))
    note = f"Not shown: {count - most:,} of {count:,} networks. CSV and JSON have all."
    return replace(sheet, rows=rows, notes=(note, *sheet.notes))


def title_of(name: str) -> str:
    """Return the title of a cost."""
    return TITLES[name]


def is_bytes(name: str) -> bool:
    """Return True for a cost in bytes."""
    return name in _BYTES
