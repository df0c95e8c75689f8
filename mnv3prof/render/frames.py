"""Data as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from ..graph.errors import InputError, require
from .sheet import Sheet, Sheets

if TYPE_CHECKING:
    import pandas as pd


def frame(data: Sheet | Iterable[msgspec.Struct]) -> pd.DataFrame:
    """Return a DataFrame with a row per struct of `data` and a column per field, or the rows of a sheet.

    Structs are e.g. rows of a table, layers of a graph, costs, subtotals and placements. Integers stay
    integers: a column with missing values has the dtype Int64. Columns of yes and no, such as noisy, have the
    dtype boolean. Raises InputError for other data.
    """
    import pandas as pd

    if isinstance(data, Sheet):
        columns = [column.key for column in data.columns]
        return _with_flags(pd.DataFrame.from_records(list(data.rows), columns=columns).convert_dtypes())
    if isinstance(data, (str, Sheets)):
        raise InputError(f"frame: {type(data).__name__} has no columns; expected one sheet, e.g. the first")
    require(data, Iterable, "frame", "rows, layers, costs or the like")
    structs = list(data)
    for item in structs:
        require(item, msgspec.Struct, "frame", "rows, layers, costs or the like")
        require(item, type(structs[0]), "frame", "items of one type")
    fields = structs[0].__struct_fields__ if structs else ()
    records = [_record(item) for item in structs]
    return pd.DataFrame.from_records(records, columns=list(fields))


def _with_flags(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with columns of yes and no as columns of booleans."""
    for name in frame.columns:
        if {*frame[name].dropna()} in ({"yes"}, {"no"}, {"yes", "no"}):
            frame[name] = frame[name].map({"yes": True, "no": False}).astype("boolean")
    return frame


def _record(item: msgspec.Struct) -> tuple[Any, ...]:
    return tuple(getattr(item, field) for field in item.__struct_fields__)
