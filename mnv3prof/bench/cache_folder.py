"""A folder that the cache can be in: the user's, or a temporary one that shows what the user's holds."""

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
"""Bytes that a folder must take: the largest part in one format."""


def usable_folder(tell: Callable[[str], None]) -> Path:
    """Return default_folder(), or a temporary folder where it cannot be written, once the user was told.

    The temporary one holds links to the entries that can be read, and is removed as the process ends.
    Raises OSError where there is none either.
    """
    return _usable(default_folder().absolute(), tell)


@cache
def _usable(folder: Path, tell: Callable[[str], None]) -> Path:
    problem = _problem(folder)
    if not problem:
        return folder
    temporary = Path(tempfile.mkdtemp(prefix="mnv3prof-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    with suppress(OSError):  # it cannot be read either, or links cannot be made
        for place in folder.iterdir():
            if not place.name.startswith(".") and os.access(place, os.R_OK | os.X_OK):
                (temporary / place.name).symlink_to(place, target_is_directory=True)
    tell(
        f"mnv3prof: {folder}: the cache cannot be written ({problem}); what is converted is kept in a "
        "temporary folder until the end. MNV3PROF_CACHE names another one."
    )
    return temporary


def _problem(folder: Path) -> str:
    """Why the cache cannot be kept in the folder, or ""."""
    try:
        str(folder).encode()  # requests to workers carry it
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
    """Tell whether an entry is damaged, or hidden from this user, and not this user's to remove."""
    if place.name.startswith(".") or not place.is_dir() or os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return False
    return not is_whole(place)
