"""Printing and writing of results in every format."""

import errno
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Final, Literal, cast

import msgspec

from ..graph.errors import InputError, quote
from ..record.atomic import draft_of, replace_file, try_folder
from ..render.sheet import Sheet
from .options import output_option
from .streams import STANDARD_OUTPUT, knows

Format = Literal["table", "json", "csv", "md"]
SUFFIXES: Final = {".json": "json", ".csv": "csv", ".md": "md"}
"""The format of each suffix, in most commands."""


def format_option(default: str) -> Any:
    """Return the option --format. default: what the help shows as its default."""
    return output_option("--format", help="Output format.", show_default=default)


def file_option(default: str | bool) -> Any:
    """Return the option --output. default: what the help shows as its default, False for nothing."""
    return output_option(
        "--output", "-o", metavar="FILE", help="File to write, replaced atomically.", show_default=default
    )


class Destination(msgspec.Struct, frozen=True):
    """The format of what a command prints, and a required file of another kind."""

    format: Annotated[Format | None, format_option("table")] = None
    output: Annotated[Path | None, file_option(False)] = None


class Output(Destination, frozen=True):
    """The format and file of a result. Raises InputError if the suffix contradicts the format."""

    format: Annotated[Format | None, format_option("from the suffix of FILE, else table")] = None
    output: Annotated[Path | None, file_option("standard output")] = None

    def __post_init__(self) -> None:
        """Check suffix and folder before anything is computed."""
        output_format(self)
        if self.output is not None:
            check_writable(self.output)


class Result(msgspec.Struct, frozen=True):
    """The result of a command: sheets to print, the sheet or text for CSV, the document for JSON."""

    sheets: tuple[Sheet, ...]
    data: Sheet | str
    document: Callable[[], Any]


def emit(result: Result, output: Output) -> None:
    """Print the result, or write it to the output file."""
    chosen = output_format(output)
    if output.output is None and chosen == "table" and sys.stdout is not None:
        _print(_terminal(result))
    else:
        emit_text(_text(result, chosen), output.output)


def emit_text(text: str, path: Path | None) -> None:
    """Print a document, always in UTF-8, or write it to the file at `path`."""
    if path is not None:
        write(path, text)
    elif sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed", STANDARD_OUTPUT)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode(errors="surrogateescape"))
        sys.stdout.buffer.flush()


def output_format(output: Destination) -> Format:
    """Return --format, or the format of the file's suffix. Raises InputError."""
    path = output.output
    if path is not None and path.suffix.lower() == ".toml":
        raise InputError(f"{path}: TOML is read, not written; expected .json or .csv, which are read too")
    return cast("Format", chosen_format(output.format, path, SUFFIXES, "table"))


def chosen_format(requested: str | None, path: Path | None, suffixes: Mapping[str, str], printed: str) -> str:
    """Return the requested format, or that of the suffix of `path`; without a file, `printed`.

    Raises InputError for an unknown suffix, or one of another format than the requested one. Pipes, devices
    and files without a suffix take any format. A format without a suffix of its own may use .txt.
    """
    if path is None or str(path) == "-" or _takes_any(path):
        return requested or printed
    suffix = path.suffix.lower()
    meant = suffixes.get(suffix)
    if meant and requested in (None, meant):
        return meant
    known = quote(suffix)
    expected = f"expected {', '.join(suffixes)}"
    if requested is None:
        problem = f"the suffix {known} is unknown" if suffix else "has no suffix"
        raise InputError(f"{path}: {problem}; {expected}, or --format")
    if suffix and not (suffix == ".txt" and requested not in suffixes.values()):
        own = [each for each, chosen in suffixes.items() if chosen == requested] or [".txt"]
        raise InputError(f"{path}: --format {requested} contradicts the suffix {known}; expected {own[0]}")
    return requested


def _takes_any(path: Path) -> bool:
    """True for a pipe or device, and for a folder, which writing refuses."""
    try:
        return path.exists() and not path.is_file()
    except OSError:  # e.g. a name that is too long, which writing reports
        return False


def _text(result: Result, chosen: Format) -> str:
    if chosen == "json":
        return msgspec.json.format(msgspec.json.encode(result.document()), indent=2).decode() + "\n"
    if chosen == "table":
        from ..render.terminal import to_terminal

        return to_terminal(result.sheets)
    from ..render.markdown import to_csv, to_markdown

    if chosen == "md":
        return to_markdown(result.sheets)
    return result.data if isinstance(result.data, str) else to_csv(result.data)


def _terminal(result: Result) -> str:
    import shutil

    from ..render.terminal import to_terminal

    screen = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if screen else None
    return to_terminal(result.sheets, width, color=screen, ascii_only=not knows(sys.stdout, "█×–→"))


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def write(path: Path, text: str) -> None:
    """Write the file at `path` atomically. Raises InputError if it cannot be written."""
    with _write_errors(path):
        replace_file(path, text.encode())


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that replaces that at `path` at the end. Raises InputError if it cannot be written."""
    with _write_errors(path), draft_of(path) as file:
        yield file


def check_writable(path: Path) -> None:
    """Raise InputError if write() could not write the file at `path`, before anything is measured."""
    with _write_errors(path):
        try_folder(path)


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Raise errors of writing the file at `path` as InputError."""
    if str(path) == "-":
        raise InputError("-: --output takes a file name; without --output the result is printed")
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a directory; --output takes a file")
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        kept = "; its content is unchanged" if path.is_file() else ""
        raise InputError(f"{path}: cannot be written ({reason}){kept}") from None
