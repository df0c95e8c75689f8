"""The one place that prints and writes: a result whole, in the format asked for."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from ..arch.table import InputError
from ..show.sheet import Sheet

Format = Literal["table", "json", "csv", "md"]
_SUFFIXES: Final[dict[str, Format]] = {".json": "json", ".csv": "csv", ".md": "md"}


def emit(
    sheets: Sequence[Sheet],
    document: Callable[[], Any],
    form: Format | None,
    path: Path | None,
    *,
    data: Sheet | None = None,
) -> None:
    """Print the sheets, or `document()` as JSON, or write the file at `path` whole.

    Without a format, a file's suffix decides. CSV is the sheet `data`, by default the first.
    """
    form = form or _suffix(path)
    if form == "csv":
        sheets = [data or sheets[0]]
    if path is None:
        _print(_terminal(sheets) if form == "table" else _text(sheets, document, form))
    else:
        _write(path, _text(sheets, document, form))


def _suffix(path: Path | None) -> Format:
    suffix = path.suffix.lower() if path else ""
    return _SUFFIXES.get(suffix, "table")


def _text(sheets: Sequence[Sheet], document: Callable[[], Any], form: Format) -> str:
    if form == "json":
        import msgspec

        return msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n"
    if form == "table":
        from ..show.terminal import to_terminal

        return to_terminal(sheets)
    from ..show import markdown

    return markdown.to_csv(sheets[0]) if form == "csv" else markdown.to_markdown(sheets)


def _terminal(sheets: Sequence[Sheet]) -> str:
    import shutil

    from ..show.terminal import to_terminal

    screen = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if screen else None
    return to_terminal(sheets, width, color=screen, ascii_only=not _knows("█×–→"))


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


def _write(path: Path, text: str) -> None:
    """Replace the file at `path` whole: a new file beside it takes its place, or nothing changes."""
    import tempfile

    target = path.resolve()
    try:
        if target.is_dir():
            raise InputError(f"{path}: is a directory; --output takes a file")
        if target.exists() and not target.is_file():  # /dev/stdout, a pipe
            target.write_text(text, encoding="utf-8")
            return
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
        draft = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.chmod(mode)
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: cannot be written ({reason}); what was there is unchanged") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
