"""Reading of regular files only, and atomic writing."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import IO

from ..graph.errors import InputError


def read_file(path: Path, most: int, expected: str = "expected a file") -> bytes:
    """Return the content of a regular file of up to `most` bytes; a pipe could block.

    expected: the end of the error message about anything else. Raises InputError.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not S_ISREG(status.st_mode):
                raise InputError(f"{path}: is not a regular file; {expected}")
            if status.st_size > most:
                raise InputError(f"{path}: is too large; expected at most {most:,} bytes")
            return file.read()
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory; {expected}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except InputError:
        raise
    except ValueError as error:  # a NUL byte in the path
        raise InputError(f"{str(path)!r}: is not a file name ({error})") from None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically, by renaming a file in the same folder.

    A pipe or device is written to directly. Raises OSError.
    """
    with draft_of(path) as file:
        file.write(data)


@contextmanager
def draft_of(path: Path) -> Iterator[IO[bytes]]:
    """Open a file in the same folder, which replaces `path` at the end, or is removed after an exception.

    A pipe or device is opened itself. Raises OSError.
    """
    import tempfile

    if path.exists() and not path.is_file():  # /dev/stdout, a pipe
        with path.open("wb") as file:
            yield file
        return
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def try_folder(path: Path) -> None:
    """Raise OSError if replace_file() could not write to the folder of `path`."""
    import tempfile

    if not path.exists() or path.is_file():
        tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent).close()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
