"""Files that are written whole or not at all."""

import errno
import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Let `path` hold `data`: a new file beside it takes its place, or nothing changes.

    A pipe or device is written to as it is. Raises OSError.
    """
    import tempfile

    if path.exists() and not path.is_file():  # /dev/stdout, a pipe
        path.write_bytes(data)
        return
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def try_folder(path: Path) -> None:
    """Raises OSError where the folder of `path` takes no new file, and so replace_file() would."""
    import tempfile

    if not path.exists() or path.is_file():
        tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent).close()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
