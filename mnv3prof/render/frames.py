"""Any of the project's data as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from ..graph.errors import require
from .sheet import Sheet

if TYPE_CHECKING:
    import pandas as pd


def frame(data: Sheet | Iterable[msgspec.Struct]) -> pd.DataFrame:
    """A DataFrame with a row for each struct of `data` (rows of a table, layers of a graph, costs,
    subtotals, placements, ...) and a column for each field; or the rows of a sheet.

    Integers stay integers; where some are absent the column's type is Int64.
    Raises InputError for anything else.
    """
    import pandas as pd

    if isinstance(data, Sheet):
        columns = [column.key for column in data.columns]
        return pd.DataFrame.from_records(list(data.rows), columns=columns).convert_dtypes()
    require(data, Iterable, "frame", "rows, layers, costs or the like")
    structs = list(data)
    for item in structs:
        require(item, msgspec.Struct, "frame", "rows, layers, costs or the like")
    fields = structs[0].__struct_fields__ if structs else ()
    records = [_record(item) for item in structs]
    return pd.DataFrame.from_records(records, columns=list(fields))


def _record(item: msgspec.Struct) -> tuple[Any, ...]:
    return tuple(getattr(item, field) for field in item.__struct_fields__)
