"""The one place that prints and writes: a result whole, in the format asked for."""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import typer

from ..graph.errors import InputError
from ..record.whole import replace_file, try_folder
from ..render.sheet import Sheet
from .streams import STANDARD_OUTPUT

Format = Literal["table", "json", "csv", "md"]
_SUFFIXES: Final[dict[str, Format]] = {".json": "json", ".csv": "csv", ".md": "md"}
FORMAT_HELP: Final = "How to write it; by default --output's suffix decides."
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Replace this file whole instead of printing.")
]


class Output(msgspec.Struct, frozen=True):
    """The options that say where a result goes and in which form."""

    format: Annotated[Format | None, typer.Option("--format", help=FORMAT_HELP)] = None
    output: OutputOption = None


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


def form_of(output: Output) -> Format:
    """The format asked for, or else the one that the file's suffix means."""
    return output.format or _format_of(output.output)


def _format_of(path: Path | None) -> Format:
    suffix = path.suffix.lower() if path else ""
    if suffix == ".toml":
        raise InputError(f"{path}: TOML is read, not written; allowed are .json and .csv, which are read too")
    return _SUFFIXES.get(suffix, "table")


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
        raise InputError(f"{path}: cannot be written ({reason}); what was there is unchanged") from None
