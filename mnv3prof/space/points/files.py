"""Files of points: a network and its costs a row, in CSV or Parquet, written and read in chunks."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import IO, TYPE_CHECKING, Any, Final

from ...graph.errors import InputError, one_line, printable, quote
from ..costs import COLUMNS, MOST_EXACT
from .pareto import Ask, Part, Reducer, cells_of, require_library
from .sweep import Points, Range, satisfying

if TYPE_CHECKING:
    from numpy.typing import NDArray

NETWORK: Final = "network"
SUFFIXES: Final = (".csv", ".parquet")
_ROWS: Final = 100_000
"""Rows that are read at once."""
_NAME: Final = re.compile(r".{1,1000}#[0-9]{1,400}", re.DOTALL)
"""The name of a network of a space."""


def require_parquet() -> None:
    """Raise InputError if Parquet cannot be written or read."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise InputError("pyarrow is not installed: pip install 'mnv3prof[parquet]', or use a file .csv")


class Writer:
    """Writes points to an open file. prefix: of each network's number, e.g. "space.toml#"."""

    def __init__(self, file: IO[bytes], suffix: str, prefix: str) -> None:
        """Write the names of the columns."""
        self._file, self._prefix, self._parquet = file, prefix, None
        if suffix == ".parquet":
            import pyarrow as pa
            from pyarrow.parquet import ParquetWriter

            self._schema = pa.schema([(NETWORK, pa.string()), *((name, pa.int64()) for name in COLUMNS)])
            self._parquet = ParquetWriter(file, self._schema, compression="zstd", use_dictionary=False)
        else:
            file.write(f"{','.join((NETWORK, *COLUMNS))}\n".encode())

    def write(self, points: Points) -> None:
        """Append points."""
        import numpy as np

        networks = np.strings.add(self._prefix.encode(), points.numbers)
        if self._parquet is None:
            import pandas as pd

            text = np.strings.decode(networks, "utf-8")
            frame = pd.DataFrame({NETWORK: text, **dict(zip(COLUMNS, points.columns, strict=True))})
            frame.to_csv(self._file, index=False, header=False, lineterminator="\n")
            return
        import pyarrow as pa

        arrays = [pa.array(networks).cast(pa.string()), *map(pa.array, points.columns)]
        self._parquet.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Write the end of the file, without which it is none."""
        if self._parquet:
            self._parquet.close()


class Reader:
    """The points of a file, with conditions. rows: their number if the file says it.

    Raises InputError about a file that cannot be read.
    """

    def __init__(self, path: Path, where: Sequence[Range] = ()) -> None:
        """Check the columns of the file."""
        self._path, self._where = path, tuple(where)
        self.name = printable(str(path))
        if path.suffix.lower() == ".parquet":
            require_parquet()
        self.rows: int | None = None
        with self._errors():
            self._check(self._header())

    def parts(self, ask: Ask, on_progress: Callable[[int], None] = lambda _: None) -> Iterator[Part]:
        """Yield what is asked of the points. on_progress: called with the number of rows that were read."""
        import numpy as np

        place = 0
        for values, names in self._batches():
            count = values.shape[1]
            require_library(place + count, len(ask.objectives))
            fits = np.flatnonzero(satisfying(values, range(len(COLUMNS)), self._where))
            part, chosen = _part(ask, values[:, fits], fits + place, count)
            yield part._replace(networks=self._checked(names(fits[chosen])))
            place += count
            on_progress(place)

    def _checked(self, networks: list[str]) -> list[str]:
        for name in networks:
            if not _NAME.fullmatch(name):
                raise InputError(f"{self.name}: {quote(name)} is not a network; expected one such as ofa#12")
        return networks

    def _batches(self) -> "Iterator[tuple[NDArray[Any], Callable[[NDArray[Any]], list[str]]]]":
        """Yield the costs of networks, and what returns the names of some of them."""
        import numpy as np

        with self._errors():
            for frame, names in self._frames():
                if not len(frame):
                    continue
                for name in COLUMNS:
                    if frame[name].dtype.kind not in "iu" or frame[name].min() < 0:
                        raise InputError(f"{self.name}, column {name}: expected integers from 0")
                values = np.ascontiguousarray(frame[list(COLUMNS)].to_numpy(np.int64).T)
                if values.min() < 0 or values.max() > MOST_EXACT:
                    raise InputError(f"{self.name}: a cost exceeds 2^53; expected a file that sweep writes")
                yield values, names

    def _frames(self) -> "Iterator[tuple[Any, Callable[[NDArray[Any]], list[str]]]]":
        columns = [NETWORK, *COLUMNS]
        if self._path.suffix.lower() == ".parquet":
            from pyarrow.parquet import ParquetFile

            with ParquetFile(self._path) as file:
                for batch in file.iter_batches(_ROWS, columns=columns):
                    networks = batch.column(NETWORK)
                    frame = batch.drop_columns([NETWORK]).to_pandas()
                    yield frame, partial(_taken, networks)
            return
        import pandas as pd

        with pd.read_csv(
            self._path,
            usecols=columns,
            dtype={NETWORK: str},
            chunksize=_ROWS,
            encoding="utf-8",
            keep_default_na=False,
        ) as chunks:
            for frame in chunks:
                yield frame, partial(_taken, frame[NETWORK])

    def _header(self) -> list[str]:
        if not S_ISREG(self._path.stat().st_mode):
            raise InputError(f"{self.name}: is not a regular file; expected a file that sweep writes")
        if self._path.suffix.lower() == ".parquet":
            from pyarrow.parquet import ParquetFile

            with ParquetFile(self._path) as file:
                self.rows = file.metadata.num_rows
                return list(file.schema_arrow.names)
        import pandas as pd

        with self._path.open("rb") as text:
            text.seek(-1 if self._path.stat().st_size else 0, os.SEEK_END)
            if text.read() not in (b"\n", b""):
                raise InputError(f"{self.name}: is cut off; expected a line break at its end")
        return list(pd.read_csv(self._path, nrows=0, encoding="utf-8").columns)

    def _check(self, header: Sequence[str]) -> None:
        for name in (NETWORK, *COLUMNS):
            if name not in header:
                raise InputError(f"{self.name}: has no column {name}; expected a file that sweep writes")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise what the readers raise as InputError."""
        try:
            yield
        except InputError:
            raise
        except OSError as error:
            reason = error.strerror or one_line(str(error))
            raise InputError(f"{self.name}: cannot be read ({reason})") from None
        except (ValueError, OverflowError, TypeError, MemoryError) as error:
            what = "Parquet" if self._path.suffix.lower() == ".parquet" else "CSV"
            raise InputError(f"{self.name}: is not {what} that sweep writes ({error})") from None


def _taken(networks: Any, rows: "NDArray[Any]") -> list[str]:
    """Return some of the names in an array of pyarrow or a series of pandas."""
    return list(map(str, networks.take(rows).tolist()))


def _part(ask: Ask, values: "NDArray[Any]", places: "NDArray[Any]", seen: int) -> "tuple[Part, NDArray[Any]]":
    """Return what is asked of points, but for their names, and the numbers of those that it has."""
    import numpy as np

    if ask.grid is not None:
        cells = cells_of(ask.grid, values[list(ask.grid.columns)])
        return Part(seen, len(places), None, None, values[:, :0], places[:0], [], cells), places[:0]
    reducer = Reducer(ask)
    rows = np.arange(len(places))
    reducer.add(values[[each.column for each in ask.objectives]], places, rows)
    found = reducer.found()
    chosen = rows[:0] if found is None else found[2]
    low, high = reducer.low, reducer.high
    return Part(seen, len(places), low, high, values[:, chosen], places[chosen], []), chosen
