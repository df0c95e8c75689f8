"""Files of parts on a device, by the digest of their content: each is sent once."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator

from .protocol import Cached, Clear, Place, Placement, Put, Stored
from .runtimes import Unavailable, Unsupported

MOST_BYTES = 2 * 2**30
"""Size of the folder above which the files that were not used for the longest time are removed."""
_LEAST_AGE_S = 86_400.0
"""Files that were used since are not removed: another part may be reading them."""
_FILES = "files"
_PART = "part-"
_DRAFT = ".draft-"


def digest(data: bytes) -> str:
    """Return the name of a file with this content, as the entries of the cache of conversions have it."""
    return hashlib.blake2b(data).hexdigest()[:32]


class Store:
    """The folder of files, and folders of parts that name them. Raises Unavailable if it cannot be used.

    folder: created when first needed; one of the system's temporary files if that is not allowed.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._wanted = folder or _default_folder()
        self._made: Path | None = None
        self._parts = 0

    @property
    def folder(self) -> Path:
        """The folder, which exists."""
        if self._made is None:
            self._made = _created(self._wanted)
            self._remove_parts_of_dead_processes()
        return self._made

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise Unavailable, which names the folder, for an OSError."""
        try:
            yield
        except OSError as error:
            where = self._made or self._wanted
            raise Unavailable(f"its folder {where} cannot be used: {error.strerror or error}") from None

    def place(self, request: Place) -> Placement:
        """Make a folder of a part, whose files are there under their own names; or say which are missing."""
        _require_plain_names(request.files)
        with self.explained():
            return self._place(request)

    def _place(self, request: Place) -> Placement:
        missing = tuple(name for name in dict.fromkeys(request.files.values()) if not self._has(name))
        if missing:
            return Placement("", missing)
        self._parts += 1
        folder = self.folder / f"{_PART}{os.getpid()}-{self._parts}"
        folder.mkdir(mode=0o700)
        for name, content in request.files.items():
            _link(self.folder / _FILES / content, folder / name)
        return Placement(str(folder), ())

    def put(self, request: Put) -> Stored:
        """Keep a file. Raises Unsupported if its content is not what was announced."""
        _require_plain_names({"file": request.digest})
        if digest(request.raw) != request.digest:
            raise Unsupported("a file arrived with other content than was sent")
        with self.explained():
            self._keep(request)
            self._trim()
        return Stored()

    def _keep(self, request: Put) -> None:
        files = self.folder / _FILES
        draft = files / f"{_DRAFT}{os.getpid()}"
        try:
            draft.write_bytes(request.raw)
            draft.replace(files / request.digest)
        finally:
            with suppress(OSError):
                draft.unlink()

    def cached(self, _: Cached) -> dict[str, object]:
        """Return the folder, the number of files and their size."""
        with self.explained():
            sizes = [each.stat().st_size for each in self._files()]
            return {"folder": str(self.folder), "files": len(sizes), "bytes": sum(sizes)}

    def clear(self, _: Clear) -> dict[str, object]:
        """Remove the folder, or what is in one that must stay, and return what it held."""
        found = self.cached(Cached())
        with self.explained():
            folder, self._made = self.folder, None
            for each in folder.iterdir():
                shutil.rmtree(str(each)) if each.is_dir() and not each.is_symlink() else each.unlink()
        with suppress(OSError):  # e.g. another file system begins there
            folder.rmdir()
        return found

    def leave(self) -> None:
        """Remove the folders of parts of this process."""
        if self._made:
            for part in self._made.glob(f"{_PART}{os.getpid()}-*"):
                shutil.rmtree(str(part), ignore_errors=True)

    def _has(self, name: str) -> bool:
        """Return True if the file is there and undamaged."""
        file = self.folder / _FILES / name
        try:
            whole = digest(file.read_bytes()) == name
        except OSError:
            return False
        with suppress(OSError):
            os.utime(str(file)) if whole else file.unlink()
        return whole

    def _files(self) -> Iterator[Path]:
        return (each for each in (self.folder / _FILES).iterdir() if not each.name.startswith(_DRAFT))

    def _trim(self) -> None:
        used = [(each.stat().st_mtime, each.stat().st_size, each) for each in self._files()]
        excess = sum(size for _, size, _ in used) - MOST_BYTES
        for used_at, size, file in sorted(used):
            if excess <= 0 or time.time() - used_at < _LEAST_AGE_S:
                return
            file.unlink()
            excess -= size

    def _remove_parts_of_dead_processes(self) -> None:
        for part in self.folder.glob(f"{_PART}*"):
            number = part.name[len(_PART) :].partition("-")[0]
            if number.isdigit() and not _is_alive(int(number)):
                shutil.rmtree(str(part), ignore_errors=True)


def _default_folder() -> Path:
    given = os.environ.get("MNV3PROF_DEVICE_CACHE")
    return Path(given) if given else Path("~").expanduser() / ".cache" / "mnv3prof-device"


def _created(folder: Path) -> Path:
    """Create the folder, or a temporary one where that is not allowed."""
    try:
        (folder / _FILES).mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder / _FILES)):
            return folder
    except OSError:
        other = Path(tempfile.gettempdir()) / f"mnv3prof-device-{os.getuid()}"
        other.mkdir(mode=0o700, exist_ok=True)
        if other.stat().st_uid != os.getuid() or other.is_symlink():
            raise
        (other / _FILES).mkdir(mode=0o700, exist_ok=True)
        return other


def _require_plain_names(files: dict[str, str]) -> None:
    for name, content in files.items():
        plain = name == Path(name).name and not name.startswith(".") and name
        if not plain or not content.isalnum() or len(content) > 64:
            raise Unsupported(f"the file {name[:50]!r} has a name that is not allowed")


def _link(file: Path, name: Path) -> None:
    try:
        name.symlink_to(file)
    except (OSError, NotImplementedError):  # a file system without links
        shutil.copy(str(file), str(name))


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
