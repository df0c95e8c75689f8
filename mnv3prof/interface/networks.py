"""Networks and runs from whatever names or holds them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, Union

from ..graph.errors import InputError, quote
from ..mobilenetv3.expand import DEFAULT_SIZE, image_size
from ..mobilenetv3.table import Table
from ..record.run import Run, Subject
from ..source import Source, open_source

if TYPE_CHECKING:
    from ..mobilenetv3.modules import MobileNetV3

Loadable: TypeAlias = Union[str, Path, Table, Subject, Run, "MobileNetV3"]
"""What names or holds a network."""

_EXPECTED: Final = "a preset, a file, a Table, a Subject, a Run, or what mnv3prof.build returns"


def load(
    source: Loadable,
    input: int | str | tuple[int, int] | None = None,  # noqa: A002
) -> Subject:
    """Return a network at an input size.

    source: a preset ("large", "small", "large-minimal", "small-minimal"), a file (layer table, saved run
        or report page), a Table, a Run (its main network), or a module that build() returned.
    input: side or (height, width) of the image in pixels, or text such as "192x256". By default that of a
        saved run, else 224.

    The result has the table, the input size, and the graph with all layers and shapes. Raises InputError.

    >>> mnv3prof.load("small", 192)
    Subject('MobileNetV3-Small', 192×192)
    >>> len(mnv3prof.load("large").graph.layers)
    187
    """
    subject = source_of(source, "load").subject
    return subject if input is None else Subject(subject.table, image_size(input, "input"), subject.weights)


def read_run(path: str | Path) -> Run:
    """Return a saved run: a JSON file, or a report page with one run ("page.html#2": its second).

    Raises InputError.

    >>> mnv3prof.read_run("run.json").targets
    (Target(device='', backend='null', dtype='fp32', batch=1, threads=1),)
    """
    if (run := open_source(str(path)).run) is None:
        raise InputError(f"{path}: holds no run; expected what measure() or mnv3prof profile saved")
    return run


def source_of(given: object, where: str) -> Source:
    """Return what was given as a source. Raises InputError about `where`."""
    if isinstance(given, (str, Path)):
        return open_source(str(given))
    if isinstance(given, Run):
        return Source(given.subject.table.name, None, (given,))
    if isinstance(given, Table):
        return Source(given.name, Subject(given, DEFAULT_SIZE))
    if isinstance(given, Subject):
        return Source(given.table.name, given)
    if (modules := sys.modules.get("mnv3prof.mobilenetv3.modules")) and isinstance(
        given, modules.MobileNetV3
    ):
        return Source(given.table.name, Subject(given.table, DEFAULT_SIZE))
    what = quote(given) if isinstance(given, (int, float, type(None))) else type(given).__name__
    raise InputError(f"{where}: {what} is not a network; expected {_EXPECTED}")
