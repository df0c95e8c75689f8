"""Open sources: presets, tables, captured networks, runs, findings and report pages."""

import codecs
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from .capture.sources import FILES, captured_file, captured_reference, is_reference
from .graph.errors import InputError, did_you_mean, printable, quote, require
from .mobilenetv3.expand import DEFAULT_SIZE
from .mobilenetv3.files import MAX_TABLE_BYTES, PRESET_ALIASES, PRESETS, parse_table, preset
from .mobilenetv3.table import Table
from .record.atomic import read_file
from .record.embedded import embedded
from .record.findings import Evidence, read_saved
from .record.read import MAX_ROWS, MAX_RUN_BYTES
from .record.run import Run, Subject
from .space.files import SPACES, has_stages, open_space

_PAGES: Final = (".html", ".htm")
_LIMITS: Final = {
    ".toml": MAX_TABLE_BYTES,
    ".csv": MAX_TABLE_BYTES,
    ".json": MAX_RUN_BYTES,
    **dict.fromkeys(_PAGES, MAX_RUN_BYTES),
}
"""Size limit in bytes of each supported suffix."""

_EXPECTED: Final = "expected .toml, .csv, .json, .html, .onnx, .tflite or .pt2, or - for standard input"
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_STANDARD_INPUT: Final = "standard input"
_CONTENT: Final = "expected a table, a run or a page"
_MOST_LISTED: Final = 10_000


class Source(msgspec.Struct, frozen=True):
    """Content of a source.

    text: its name as given, or "standard input". network: of a preset or table; its input is 224×224 if
    the file has none. runs, evidence: of a saved run, findings, or a report page, in its order.
    """

    text: str
    network: Subject | None = None
    runs: tuple[Run, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def run(self) -> Run | None:
        """The run; None for a table or findings. Raises InputError for several."""
        if len(self.runs) > 1:
            file = "FILE.html" if self.text == _STANDARD_INPUT else self.text
            raise InputError(f"{self.text}: holds {len(self.runs)} runs; expected one, e.g. {file}#1")
        return next(iter(self.runs), None)

    @property
    def findings(self) -> Evidence | None:
        """The evidence of findings; None for a table or a run. Raises InputError for several."""
        if len(self.evidence) > 1:
            raise InputError(f"{self.text}: holds findings of {len(self.evidence)} networks; expected one")
        return next(iter(self.evidence), None)

    @property
    def subject(self) -> Subject:
        """The network and its input size. Raises InputError for several."""
        if self.network is not None:
            return self.network
        measured = self.run or self.findings
        assert measured is not None  # a source has one of the three
        return measured.subject

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The networks, one per run."""
        return tuple(run.subject for run in self.runs) or (self.subject,)

    def at(self, size: tuple[int, int]) -> "Source":
        """Return the source with the network of a table at an input size; a run has its own."""
        if self.network is None or self.network.captured:
            return self
        return replace(self, network=replace(self.network, input=size))


def open_source(text: str, shapes: str | None = None) -> Source:
    """Read a source: a preset, a file, a reference, or "-" for standard input. Raises InputError.

    A file is a table (.toml, .csv, .json), a saved run or findings (.json), a report page (.html), or a
    network (.onnx, .tflite, .pt2). "page.html#2" is the second run of a page, with the findings of its
    network; "space.toml#2" is the network of this number of a space. A reference names a PyTorch module:
    torchvision:NAME, timm:NAME, package.module:attribute.
    shapes: inputs of a network that is no layer table, e.g. "3x224x224".
    """
    if not text.strip():
        raise InputError(
            f"the source is empty; expected a file, {', '.join(PRESETS)}, or - for standard input"
        )
    name = PRESET_ALIASES.get(text, text)
    if name in PRESETS:
        return Source(text, Subject(preset(name), DEFAULT_SIZE))
    if text == "-":
        return _standard_input()
    path = Path(text)
    suffix = path.suffix.lower()
    if suffix in FILES and path.is_file():
        return Source(text, captured_file(path, shapes))
    if is_reference(text) and suffix not in _LIMITS and not _exists(path):
        return Source(text, captured_reference(text, shapes))
    if "#" in text and not _exists(path):
        return _one_of(text)
    if text in SPACES:
        return _one_of(f"{text}#")
    return _source(printable(text), _bytes(path, printable(text)), suffix, printable(path.stem)[:200])


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a name
        return False


def at_one_input(sources: Sequence[Source]) -> list[Source]:
    """Return the sources with the networks of tables at the input of the first saved run, if there is one."""
    size = next((run.subject.input for source in sources for run in source.runs if run.subject.listed), None)
    return [source if size is None else source.at(size) for source in sources]


def read_table(source: str | Path) -> Table:
    """Read the layer table of a source: a preset, a file, or "-" for standard input. Raises InputError.

    >>> mnv3prof.read_table("large").rows[0]
    Row(expand=16, out=16, kernel=3, stride=1, se=False, activation='RE')
    """
    require(source, (str, Path), "read_table", "a preset or a file")
    return open_source(str(source)).subject.table


def _source(text: str, data: bytes, suffix: str, name: str) -> Source:
    """Parse `data` in the format of `suffix`. name: of a table without one. Raises InputError."""
    if data.startswith(_UTF16):
        raise InputError(f"{text}, line 1: the bytes are not UTF-8; save the file as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if suffix in _PAGES:
        documents = (_saved(each, f"{text}, document {n}") for n, each in enumerate(embedded(data, text), 1))
        return _measured(text, _limited(documents, text))
    saved = read_saved(data, text) if suffix == ".json" else None
    if isinstance(saved, (Run, Evidence)):
        return _measured(text, [saved])
    if suffix == ".toml" and has_stages(data):
        if text == _STANDARD_INPUT:
            raise InputError(f"{text}: is a space; expected a file, e.g. FILE.toml#0")
        return _one_of(f"{text}#")
    return Source(text, saved or Subject(parse_table(data, suffix, text, name), DEFAULT_SIZE))


def _saved(document: bytes, where: str) -> Run | Evidence:
    saved = read_saved(document, where)
    if not isinstance(saved, (Run, Evidence)):
        raise InputError(f"{where}: is neither a run nor findings")
    return saved


def _limited(saved: Iterator[Run | Evidence], text: str) -> Iterator[Run | Evidence]:
    """Yield the documents. Raises InputError if their networks have more than MAX_ROWS in total."""
    rows = 0
    for each in saved:
        runs = (each,) if isinstance(each, Run) else each.runs
        rows += sum(
            len(subject.listed.rows) if subject.listed else 0
            for run in runs
            for subject in run.subjects.values()
        )
        if rows > MAX_ROWS:
            raise InputError(f"{text}: its networks have {rows:,} rows; expected at most {MAX_ROWS:,}")
        yield each


def _measured(text: str, documents: Iterable[Run | Evidence]) -> Source:
    saved = tuple(documents)
    runs = tuple(each for each in saved if isinstance(each, Run))
    return Source(text, None, runs, tuple(each for each in saved if isinstance(each, Evidence)))


def _one_of(text: str) -> Source:
    """Return what a number after "#" names: a run of a page, or a network of a space. Raises InputError."""
    file, _, number = text.rpartition("#")
    if Path(file).suffix.lower() in _PAGES:
        return _numbered(open_source(file), text, number)
    space = open_space(file)
    found = space.parsed(number)
    if found is None:
        networks = "1 network" if space.size == 1 else f"{space.size:,} networks"
        what = "is not a network of the space" if number else f"is a space of {networks}"
        raise InputError(f"{text.removesuffix('#')}: {what}; expected {file}#0 to {file}#{space.size - 1}")
    return Source(text, space.network(found))


def _numbered(page: Source, text: str, number: str) -> Source:
    """Return one run of a page."""
    count = len(page.runs)
    if not count:
        raise InputError(f"{text}: {page.text} holds findings, but no run")
    if not (number.isascii() and number.isdecimal() and len(number) < 6 and 1 <= int(number) <= count):
        raise InputError(f"{text}: is not a run of {page.text}; expected #1 to #{count}")
    run = page.runs[int(number) - 1]
    return Source(text, None, (run,), tuple(each for each in page.evidence if each.subject == run.subject))


def _bytes(path: Path, text: str) -> bytes:
    """Read a file of a known type. Raises InputError about `text`."""
    limit = _LIMITS.get(path.suffix.lower())
    try:
        missing, unknown = not path.exists(), limit is None and path.is_file()
    except OSError:
        missing = unknown = False  # read_file reports the error
    if missing:
        raise InputError(_missing(path, text))
    if unknown:
        raise InputError(f"{text}: is not a file of a known type; {_EXPECTED}")
    return read_file(path, limit or 0, _EXPECTED)


def _missing(path: Path, text: str) -> str:
    """Return the message for a missing file, with similar names."""
    if path.is_symlink():
        return f"{text}: is a link to a missing file"
    options = {name: name for name in (*PRESETS, *PRESET_ALIASES, *SPACES)}
    beside: dict[str, str] = {}
    with suppress(OSError):  # the folder may be missing too
        files = [file for file in islice(path.parent.iterdir(), _MOST_LISTED) if _is_known(file)]
        options |= {file.stem: printable(str(file)) for file in files}
        beside = {file.name: printable(str(file)) for file in files if file.suffix == path.suffix}
    near = did_you_mean(path.name, beside) if path.suffix else ""
    expected = f"expected a file, {', '.join(PRESETS)}, or - for standard input"
    found = _about_reference(text) or near or did_you_mean(path.stem, options) or expected
    return f"{text}: no such file or preset; {found}"


def _about_reference(text: str) -> str:
    """Say what is wrong with a text that is like a reference, "" for another."""
    module, _, rest = text.partition(":")
    path = Path(module)
    if not rest or rest.startswith(("/", "\\")):
        return ""
    if _is_known(path) and _exists(path):
        return f"a part of a file is not named so; expected {module}"
    if path.suffix == ".py":
        parts = path.with_suffix("").parts
        dotted = ".".join(parts if all(part.isidentifier() for part in parts) else parts[-1:])
        return f"expected a module of Python, e.g. {dotted}:{rest}"
    if all(part.isidentifier() for part in module.split(".")):
        return ""
    return f"{quote(module)} is not the name of a module of Python, as of package.module:function()"


def _is_known(file: Path) -> bool:
    return file.suffix.lower() in (*_LIMITS, *FILES)


def _standard_input() -> Source:
    where = _STANDARD_INPUT
    if sys.stdin is None:
        raise InputError(f"{where}: is closed; {_CONTENT}")
    try:
        data = sys.stdin.buffer.read(MAX_TABLE_BYTES + 1)
        suffix = _suffix_of(data)
        if _LIMITS[suffix] > MAX_TABLE_BYTES:
            data += sys.stdin.buffer.read(MAX_RUN_BYTES + 1 - len(data))
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror})") from None
    if not data.strip():
        raise InputError(f"{where}: is empty, or was read already; {_CONTENT}")
    if len(data) > MAX_RUN_BYTES:
        raise InputError(f"{where}: is too large; expected at most {MAX_RUN_BYTES:,} bytes")
    return _source(where, data, suffix, "stdin")


def _suffix_of(data: bytes) -> str:
    """Guess the suffix of a file from its first bytes."""
    begin = data.decode("utf-8-sig", "replace").lstrip()
    if begin.startswith(("{", "<")):
        return ".json" if begin[0] == "{" else ".html"
    lines = (line for line in begin.splitlines() if line.strip() and not line.lstrip('"').startswith("#"))
    first = next(lines, "")
    return ".toml" if "=" in first or first.startswith("[") else ".csv"
