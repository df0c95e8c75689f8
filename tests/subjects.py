"""Networks for measurements, and files that are not regular files."""

import os
from pathlib import Path
from typing import Any

from mnv3prof.mobilenetv3.table import HeadConv, LastLayer, Row, Table
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


RELATIVE = Table(
    name="relative",
    channels=2,
    stem=8,
    stem_kernel=5,
    stem_stride=(2, 1),
    stem_activation="R6",
    rows=(
        Row(8, 8, 3, 1, se=True, activation="RE", conv="fused", expand_conv=True),
        Row(
            24, 16, 5, (1, 2), se=6, activation="HS", se_place="before-activation", se_activation="hardswish"
        ),
        Row(
            32, 16, 3, 2, se=True, activation="SW", se_place="after-project", se_form="linear", se_bias=False
        ),
        Row(48, 24, 3, 1, se=True, activation="HS", conv="standard", se_of="input", project_activation="HS"),
        Row(24, 24, 3, 1, se=False, activation="RE", conv="dense-depthwise", dilation=2),
    ),
    padding="same",
    conv_bias=True,
    head=(32, HeadConv(24, kernel=3, norm=False, activation="none")),
    last=(LastLayer(16, form="conv", norm=True), LastLayer(12, norm=True, activation="RE")),
    classes=5,
)
"""A table with every kind of expression."""
