"""What an argument names: the one place that tells presets, tables, runs, findings and pages apart."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from .graph.errors import InputError, did_you_mean
from .mobilenetv3.expand import DEFAULT_SIZE
from .mobilenetv3.files import MAX_TABLE_BYTES, PRESET_ALIASES, PRESETS, parse_table, preset
from .mobilenetv3.table import Table
from .record.embedded import embedded
from .record.findings import Evidence, evidence_from
from .record.read import MAX_RUN_BYTES, kind_of, run_from
from .record.run import Run, Subject

STANDARD_INPUT: Final = "-"
_PAGES: Final = (".html", ".htm")
_LIMITS: Final = {
    ".toml": MAX_TABLE_BYTES,
    ".csv": MAX_TABLE_BYTES,
    ".json": MAX_RUN_BYTES,
    **dict.fromkeys(_PAGES, MAX_RUN_BYTES),
}
"""The files that are read, by suffix, and how many bytes of each."""

_EXPECTED: Final = "expected .toml, .csv, .json or .html"
_MOST_LISTED: Final = 10_000


class Source(msgspec.Struct, frozen=True):
    """What an argument names, read once.

    text: as the user wrote it. table: a preset's or a table file's. runs, evidence: those of a saved
    run, of findings, or of a report page, in its order.
    """

    text: str
    table: Table | None = None
    runs: tuple[Run, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def run(self) -> Run | None:
        """The run; None for a table or findings. Raises InputError for a page of several."""
        if len(self.runs) > 1:
            choices = " or ".join(f"{self.text}#{number}" for number in range(1, len(self.runs) + 1))
            raise InputError(f"{self.text}: holds {len(self.runs)} runs; expected one, such as {choices}")
        return next(iter(self.runs), None)

    @property
    def subject(self) -> Subject:
        """The network, at the input that it was measured at, or 224. Raises InputError for several."""
        if self.table is not None:
            return Subject(self.table, DEFAULT_SIZE)
        return (self.run or self.evidence[0]).subject

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The networks: one a run."""
        return tuple(run.subject for run in self.runs) or (self.subject,)


def open_source(text: str) -> Source:
    """Read what `text` names: a preset, a file, or "-", standard input.

    A file is a table (.toml, .csv, .json), a saved run or findings (.json), or a report page (.html);
    "page.html#2" is the second run of a page. Raises InputError.
    """
    name = PRESET_ALIASES.get(text, text)
    if name in PRESETS:
        return Source(text, preset(name))
    if text == STANDARD_INPUT:
        data = _standard_input()
        return _source(data, _suffix_of(data), text, "standard input", "stdin")
    path = Path(text)
    suffix = path.suffix.lower()
    file, _, number = text.rpartition("#")
    if suffix not in _LIMITS and Path(file).suffix.lower() in _PAGES:
        return _numbered(open_source(file), text, number)
    return _source(_bytes(path, suffix), suffix, text, text, _name_of(path))


def read_table(source: str | Path) -> Table:
    """The layer table that `source` names, as a command takes it. Raises InputError."""
    return open_source(str(source)).subject.table


def read_run(path: Path) -> Run:
    """The run in the JSON file at `path`. Raises InputError."""
    return run_from(_bytes(path, ".json"), str(path))


def _source(data: bytes, suffix: str, text: str, where: str, name: str) -> Source:
    """What `data` holds. suffix: the format. where: what messages call it; name: of a table without one."""
    if suffix == ".json" and kind_of(data, where) != "table":
        return _measured([(data, where)], text)
    if suffix in _PAGES:
        documents = embedded(data, where)
        return _measured([(each, f"{where}, document {n}") for n, each in enumerate(documents, 1)], text)
    return Source(text, parse_table(data, suffix, where, name))


def _measured(documents: Iterable[tuple[bytes, str]], text: str) -> Source:
    """The runs and evidence in documents, each with what messages call it."""
    runs, evidence = [], []
    for document, where in documents:
        kind = kind_of(document, where)
        if kind == "findings":
            evidence.append(evidence_from(document, where))
        elif kind == "run":
            runs.append(run_from(document, where))
        else:
            raise InputError(f"{where}: is neither a run nor findings")
    return Source(text, None, tuple(runs), tuple(evidence))


def _numbered(page: Source, text: str, number: str) -> Source:
    """One run of a page."""
    count = len(page.runs)
    if not (number.isascii() and number.isdecimal() and len(number) < 6 and 1 <= int(number) <= count):
        raise InputError(f"{text}: is not a run of {page.text}; expected #1 to #{count}")
    return Source(text, runs=(page.runs[int(number) - 1],))


def _name_of(path: Path) -> str:
    """The name of a table that gives none: the file's, as far as it can be printed."""
    return "".join(letter if letter.isprintable() else "?" for letter in path.stem)[:200]


def _bytes(path: Path, suffix: str) -> bytes:
    """The bytes of a regular file, for a pipe would be waited for. Raises InputError."""
    try:
        if not path.exists():
            raise InputError(_missing(path))
        if not path.is_file():
            kind = "a directory" if path.is_dir() else "not a regular file"
            raise InputError(f"{path}: is {kind}; {_EXPECTED}, or - for standard input")
        if suffix not in _LIMITS:
            raise InputError(f"{path}: is not a file of a known type; {_EXPECTED}")
        if path.stat().st_size > _LIMITS[suffix]:
            raise InputError(f"{path}: is too large; at most {_LIMITS[suffix]:,} bytes are read")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except InputError:
        raise
    except ValueError as error:  # a NUL byte in the path
        raise InputError(f"{str(path)!r}: is not a file name ({error})") from None


def _missing(path: Path) -> str:
    """What is said of a file that is not there, with the names that may have been meant."""
    presets, files = {name: name for name in (*PRESETS, *PRESET_ALIASES)}, {}
    with suppress(OSError):  # its folder may not be there either
        beside = islice(path.parent.iterdir(), _MOST_LISTED)
        files = {file.stem: str(file) for file in beside if file.suffix.lower() in _LIMITS}
    options = {**presets, **files} if path.suffix else {**files, **presets}
    expected = f"expected a file, or {', '.join(PRESETS)}"
    return f"{path}: no such file or preset; {did_you_mean(path.stem, options) or expected}"


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise InputError("standard input: is closed; expected a table, a run or a page")
    try:
        data = sys.stdin.buffer.read(MAX_TABLE_BYTES + 1)
        if _LIMITS[_suffix_of(data)] > MAX_TABLE_BYTES:
            data += sys.stdin.buffer.read(MAX_RUN_BYTES + 1 - len(data))
    except OSError as error:
        raise InputError(f"standard input: cannot be read ({error.strerror})") from None
    if not data.strip():
        raise InputError("standard input: is empty, or was read already; expected a table, a run or a page")
    if len(data) > MAX_RUN_BYTES:
        raise InputError(f"standard input: is too large; at most {MAX_RUN_BYTES:,} bytes are read")
    return data


def _suffix_of(data: bytes) -> str:
    """The suffix of a file that begins like `data`."""
    begin = data[:MAX_TABLE_BYTES].decode("utf-8-sig", "replace").lstrip()
    if begin.startswith(("{", "<")):
        return ".json" if begin[0] == "{" else ".html"
    lines = (line for line in begin.splitlines() if line.strip() and not line.lstrip('"').startswith("#"))
    first = next(lines, "")
    return ".toml" if "=" in first or first.startswith("[") else ".csv"
