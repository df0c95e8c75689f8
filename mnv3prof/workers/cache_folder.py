"""The folder of the cache, or a temporary one if it cannot be written."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from .cache import default_folder, is_whole

_ROOM: Final = 32 * 2**20
"""Bytes that must be free in the folder: the largest part in one format."""


def usable_folder(tell: Callable[[str], None]) -> Path:
    """Return default_folder(), or a temporary folder if it cannot be written.

    The temporary folder holds links to the readable entries, and is removed when the process ends. tell:
    is called with a warning about it. Raises OSError if no temporary folder can be created.
    """
    return _usable(default_folder().absolute(), tell)


@cache
def _usable(folder: Path, tell: Callable[[str], None]) -> Path:
    problem = _problem(folder)
    if not problem:
        return folder
    temporary = Path(tempfile.mkdtemp(prefix="mnv3prof-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    with suppress(OSError):  # the folder cannot be read, or links are not supported
        for place in folder.iterdir():
            if not place.name.startswith(".") and os.access(place, os.R_OK | os.X_OK):
                (temporary / place.name).symlink_to(place, target_is_directory=True)
    tell(
        f"mnv3prof: {folder}: the cache cannot be written ({problem}); converted parts are saved in a "
        "temporary folder until the end. Set MNV3PROF_CACHE to another folder."
    )
    return temporary


def _problem(folder: Path) -> str:
    """Return the reason why the folder cannot hold the cache, or ""."""
    try:
        str(folder).encode()  # requests to workers contain it
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _ROOM)
        locked = [place for place in folder.iterdir() if _is_locked(place)]
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    except OSError as error:
        return error.strerror or str(error)
    return f"{locked[0].name} in it can be neither used nor replaced" if locked else ""


def _is_locked(place: Path) -> bool:
    """Return True if an entry is damaged or unreadable, and cannot be removed."""
    if place.name.startswith(".") or not place.is_dir() or os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return False
    return not is_whole(place)
