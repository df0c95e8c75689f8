"""Reading of the latencies of a space's rows."""

from pathlib import Path

from ..graph.errors import InputError, printable, quote
from ..graph.parts import NET
from ..record.atomic import read_file
from ..record.read import MAX_RUN_BYTES
from ..record.rows import RowTable, read_rows
from ..record.target import Target
from ..space.space import Space


def read_table_of(space: Space, path: Path) -> RowTable:
    """Read a table of the rows of a space. Raises InputError for any other file."""
    where = printable(str(path))
    table = read_rows(read_file(path, MAX_RUN_BYTES, "expected what `mnv3prof measure-rows` writes"), where)
    if table.digest != space.digest:
        if table.space == space.name:
            raise InputError(f"{where}: holds rows of {space.name} before it was changed; measure them again")
        raise InputError(
            f"{where}: holds rows of another space, {quote(table.space)}; expected those of {space.name}"
        )
    seen: set[tuple[str, str, Target]] = set()
    for number, timing in enumerate(table.timings, 1):
        key = timing.variant, timing.part, timing.target
        if key in seen:
            raise InputError(f"{where}: timing {number} has the part and target of an earlier one")
        seen.add(key)
        _require_place(space, timing.variant, timing.part, f"{where}: timing {number}")
    return table


def _require_place(space: Space, network: str, part: str, where: str) -> None:
    number = space.parsed(network)
    if number is None:
        raise InputError(f"{where}: {space.name} has no network {quote(network)}")
    if part != NET and space.network(number).graph.block(part) is None:
        raise InputError(f"{where} has the part {quote(part)}, which is not in its network")
