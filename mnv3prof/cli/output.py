"""The one place that prints and writes: a result whole, in the format asked for."""

import errno
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

import msgspec
import typer

from ..graph.errors import InputError, shown
from ..record.whole import replace_file, try_folder
from ..render.sheet import Sheet
from .streams import STANDARD_OUTPUT

Format = Literal["table", "json", "csv", "md"]
SUFFIXES: Final = {".json": "json", ".csv": "csv", ".md": "md"}
"""The formats of most commands by the suffixes that mean them."""
FORMAT_HELP: Final = "How to write it; by default --output's suffix decides."
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Replace this file whole instead of printing.")
]


class Destination(msgspec.Struct, frozen=True):
    """The options that say where a result goes and in which form; the file may be of another kind."""

    format: Annotated[Format | None, typer.Option("--format", help=FORMAT_HELP)] = None
    output: OutputOption = None


class Output(Destination, frozen=True):
    """The same of a file that holds the result in its form; refuses one that does not fit its suffix."""

    def __post_init__(self) -> None:
        """Raise InputError before anything is computed, if the file's suffix or place does not do."""
        form_of(self)
        if self.output is not None:
            check_writable(self.output)


class Result(msgspec.Struct, frozen=True):
    """What a command found: sheets for people, the sheet (or text) for CSV, a document for JSON."""

    sheets: tuple[Sheet, ...]
    data: Sheet | str
    document: Callable[[], Any]


def emit(result: Result, output: Output) -> None:
    """Print the result, or replace the file asked for with it, whole."""
    form = form_of(output)
    if output.output is None and form == "table" and sys.stdout is not None:
        _print(_terminal(result))
    else:
        emit_text(_text(result, form), output.output)


def emit_text(text: str, path: Path | None) -> None:
    """Print a document, in UTF-8 whatever the terminal knows, or replace the file at `path` with it."""
    if path is not None:
        write(path, text)
    elif sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed", STANDARD_OUTPUT)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode(errors="surrogateescape"))
        sys.stdout.buffer.flush()


def form_of(output: Destination) -> Format:
    """The format asked for, or else the one that the file's suffix means. Raises InputError."""
    path = output.output
    if path is not None and path.suffix.lower() == ".toml":
        raise InputError(f"{path}: TOML is read, not written; expected .json or .csv, which are read too")
    return cast("Format", chosen_format(output.format, path, SUFFIXES, "table"))


def chosen_format(asked: str | None, path: Path | None, suffixes: Mapping[str, str], printed: str) -> str:
    """The format asked for, or else the one that the suffix of `path` means; `printed` without a file.

    Raises InputError for a suffix that means none, or another one than is asked for. A pipe or device takes
    any, and so does a file without a suffix that which is asked for; a text without a suffix of its own goes
    into a .txt.
    """
    if path is None or str(path) == "-" or _takes_any(path):
        return asked or printed
    suffix = path.suffix.lower()
    meant = suffixes.get(suffix)
    if meant and asked in (None, meant):
        return meant
    known = shown(suffix)
    expected = f"expected {', '.join(suffixes)}"
    if asked is None:
        without = f"its suffix {known} means no format" if suffix else "has no suffix, which means its format"
        raise InputError(f"{path}: {without}; {expected}, or --format")
    if suffix and not (suffix == ".txt" and asked not in suffixes.values()):
        own = [each for each, form in suffixes.items() if form == asked] or [".txt"]
        raise InputError(f"{path}: --format {asked} contradicts the suffix {known}; expected {own[0]}")
    return asked


def _takes_any(path: Path) -> bool:
    """Whether it is a pipe or device (or a folder, which writing refuses)."""
    try:
        return path.exists() and not path.is_file()
    except OSError:  # too long a name, which writing says
        return False


def _text(result: Result, form: Format) -> str:
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(result.document()), indent=2).decode() + "\n"
    if form == "table":
        from ..render.terminal import to_terminal

        return to_terminal(result.sheets)
    from ..render.markdown import to_csv, to_markdown

    if form == "md":
        return to_markdown(result.sheets)
    return result.data if isinstance(result.data, str) else to_csv(result.data)


def _terminal(result: Result) -> str:
    import shutil

    from ..render.terminal import to_terminal

    screen = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if screen else None
    return to_terminal(result.sheets, width, color=screen, ascii_only=not _knows("█×–→"))


def _knows(symbols: str) -> bool:
    try:
        symbols.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def write(path: Path, text: str) -> None:
    """Replace the file at `path` whole. Raises InputError where it cannot be written."""
    with _told(path):
        replace_file(path, text.encode())


def check_writable(path: Path) -> None:
    """Raises InputError where `write` could not replace the file at `path`: before hours of measuring."""
    with _told(path):
        try_folder(path)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns what is wrong with a file to be written into its one sentence."""
    if str(path) == "-":
        raise InputError("-: --output takes a file's name; without it the result is printed where it can be")
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a directory; --output takes a file")
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        kept = "" if _takes_any(path) else "; what was there is unchanged"
        raise InputError(f"{path}: cannot be written ({reason}){kept}") from None
