"""Networks for measurements, and files that are not regular files."""

import os
from pathlib import Path
from typing import Any

from mnv3prof.record.run import Subject
from mnv3prof.source import open_source, read_table


def subject(table: Any, size: Any = 224, weights: Any = None) -> Any:
    """A preset's name, a table's file or a Table; `size` is a side, or height and width."""
    known = read_table(table) if isinstance(table, str) else table
    return Subject(known, (size, size) if isinstance(size, int) else size, weights)


def read_run(path: str | Path) -> Any:
    """The run in the file at `path`."""
    return open_source(str(path)).run


def no_regular_file(path: Path, kind: Any) -> None:
    """Make a pipe that nobody writes, a link to a device without an end, or a folder."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
