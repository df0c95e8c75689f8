"""Networks and runs from whatever names or holds them, and saved runs."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from ..graph.errors import InputError, quote, require
from ..mobilenetv3.expand import DEFAULT_SIZE, image_size
from ..mobilenetv3.table import Table
from ..record.atomic import replace_file
from ..record.document import encoded
from ..record.run import Run, Subject
from ..source import Source, open_source


class Built(Protocol):
    """A module that mnv3prof.build returned."""

    table: Table


Loadable: TypeAlias = str | Path | Table | Subject | Run | Built
"""What names or holds a network."""

_EXPECTED: Final = "a preset, a file, a Table, a Subject, a Run, or what mnv3prof.build returns"
_SAVED: Final = "expected a saved run (.json) or a report (.html)"


def load(
    source: Loadable,
    input: int | str | tuple[int, int] | None = None,  # noqa: A002
) -> Subject:
    """Return a network at an input size.

    source: a preset ("large", "small", "large-minimal", "small-minimal"), a file (layer table, saved run
        or report page), a Table, a Subject, a Run (its main network), or a module that build() returned,
        unchanged; its weights are not taken.
    input: side or (height, width) of the image in pixels, or text such as "192x256". By default that of a
        Subject or a saved run, else 224.

    The result has the table, the input size, and the graph with all layers and shapes. Raises InputError.

    >>> mnv3prof.load("small", 192)
    Subject('MobileNetV3-Small', 192×192)
    >>> len(mnv3prof.load("large").graph.layers)
    187
    """
    (found,) = sources_of([source], "load")
    subject = found.subject
    return subject if input is None else Subject(subject.table, image_size(input, "input"), subject.weights)


def read_run(path: str | Path) -> Run:
    """Return a saved run: a JSON file, or a report page with one run ("page.html#2": its second).

    Raises InputError.

    >>> mnv3prof.read_run("run.json").targets
    (Target(device='', backend='null', dtype='fp32', batch=1, threads=1),)
    """
    require(path, (str, Path), "read_run", "the path of a saved run (.json) or of a report (.html)")
    if not Path(str(path).partition("#")[0]).is_file() and not Path(path).is_file():
        raise InputError(f"read_run: {quote(str(path))}: no such file; {_SAVED}")
    if (run := open_source(str(path)).run) is None:
        raise InputError(f"read_run: {quote(str(path))} holds no run; {_SAVED}")
    return run


def save(run: Run, path: str | Path) -> Path:
    """Write a run as JSON, for read_run() and every command, and return the path. Raises InputError.

    >>> mnv3prof.save(mnv3prof.read_run("run.json"), "copy.json").name
    'copy.json'
    """
    require(run, Run, "save", "what mnv3prof.measure returns")
    return write(encoded(run), path, (".json",), "save")


def write(text: str, path: str | Path, suffixes: Sequence[str], where: str) -> Path:
    """Write a file as a whole, and return its path. Raises InputError about `where`."""
    expected = f"a path that ends in {suffixes[0]}"
    require(path, (str, Path), where, expected)
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        raise InputError(f"{where}: {quote(str(path))} is not allowed; expected {expected}")
    try:
        replace_file(target, text.encode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{where}: {quote(str(path))} cannot be written ({reason})") from None
    return target


def sources_of(given: Collection[object], where: str) -> list[Source]:
    """Return what was given as sources. Raises InputError about `where`.

    Those without an input size of their own get that of the first that has one.
    """
    sources = [_source(each, where) for each in given]
    sized = [isinstance(each, Subject) or s.network is None for each, s in zip(given, sources, strict=True)]
    size = next((s.subject.input for s, known in zip(sources, sized, strict=True) if known), None)
    return [s if known or size is None else s.at(size) for s, known in zip(sources, sized, strict=True)]


def _source(given: Any, where: str) -> Source:
    if isinstance(given, (str, Path)):
        return open_source(str(given))
    if isinstance(given, Run):
        return Source(given.subject.table.name, None, (given,))
    if isinstance(given, (Table, Subject)):
        subject = given if isinstance(given, Subject) else Subject(given, DEFAULT_SIZE)
        return Source(subject.table.name, subject)
    modules = sys.modules.get("mnv3prof.mobilenetv3.network")
    if modules and isinstance(given, modules.MobileNetV3):
        from ..mobilenetv3.network import is_as_built

        if not is_as_built(given):
            raise InputError(f"{where}: the module was changed; expected one as mnv3prof.build returned it")
        return Source(given.table.name, Subject(given.table, DEFAULT_SIZE))
    what = quote(given) if isinstance(given, (int, float, type(None))) else type(given).__name__
    raise InputError(f"{where}: {what} is not a network; expected {_EXPECTED}")
