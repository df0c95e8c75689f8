"""The cache of converted parts: conversion takes longer than everything else."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from time import time
from typing import Final, NamedTuple

import msgspec

from ..analysis.operators import inner_paths
from ..graph.errors import InputError
from ..record.atomic import read_file
from ..record.run import Subject
from ..space.tables import PREFIX as SPACES
from .formats import get_format, installed
from .requests import FileKind

MOST_BYTES: Final = 4 * 2**30
"""Size limit, above which the least recently used entries are removed."""
_PROCESS: Final = token_hex()
"""Distinguishes modules, whose code and weights can be others in the next process."""
_FORM: Final = 5
"""Version of the entries. Raise it when conversions change without a change of a package's version."""
_MANIFEST: Final = "entry.json"
_MOST_MANIFEST: Final = 2**20
_DRAFT: Final = ".draft-"
_INDUCTOR: Final = "inductor"
_INDUCTORS_FOLDER: Final = "TORCHINDUCTOR_CACHE_DIR"
IN_AND_OUT: Final = ".npy"
"""Suffix of the files of a part's inputs and outputs."""
TRIALS: Final = "trials-"
"""Prefix of the files that hold the trainings of claims."""


class Entry(msgspec.Struct, frozen=True):
    """A converted part.

    main: name of the main file. seconds: duration of the conversion. digests: of every file, by name.
    """

    main: str
    seconds: float
    bytes: int
    digests: dict[str, str]


class Kept(msgspec.Struct, frozen=True):
    """The folder, number of entries and size of a cache."""

    folder: str
    entries: int
    bytes: int


def default_folder() -> Path:
    """Return the environment's MNV3PROF_CACHE, or the user's cache directory."""
    import platformdirs

    return Path(os.environ.get("MNV3PROF_CACHE") or platformdirs.user_cache_dir("mnv3prof"))


def key(subject: Subject, part: str, kind: FileKind, *, exact: bool = False) -> str:
    """Return the name of an entry, the digest of all that the conversion depends on.

    For timing, parts of equal structure share an entry, whatever network they are in, since their times
    are the same. exact: distinguish the network and the place in it too, for a file that is exported.
    Trained weights are always distinguished.
    """
    paths = inner_paths(subject.graph, part)
    structure = [subject.graph.key_of([*paths.values()]), [*paths]]
    weights = subject.weights.sha256 if subject.weights else ""
    captured = subject.captured and (subject.captured.text, subject.captured.sha256 or _PROCESS)
    dtypes = subject.captured.dtypes if subject.captured else ()
    values = [subject.listed, captured, subject.input, part, weights] if exact or weights else []
    versions = {
        package: installed(package) for package in (*get_format(kind.format).PACKAGES, "mnv3prof", "numpy")
    }
    facts = [_FORM, kind, structure, dtypes, values, versions]
    return hashlib.blake2b(msgspec.json.encode(facts), digest_size=16).hexdigest()


def find(folder: Path, name: str) -> Entry | None:
    """Return the entry called `name`, or None. A damaged entry is removed."""
    place = folder / name
    entry = _read(place)
    if entry is None:
        _remove(place)
        return None
    with suppress(OSError):  # owned by another user, or read-only
        os.utime(place)
    return entry


def digests(place: Path) -> dict[str, str]:
    """Return the digests of an entry's files, by name. Raises OSError if it was removed."""
    entry = _read(place)
    if entry is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    return entry.digests


def is_whole(place: Path) -> bool:
    """Return True if the folder is a complete and undamaged entry."""
    return _read(place) is not None


def _read(place: Path) -> Entry | None:
    try:
        entry = msgspec.json.decode(read_file(place / _MANIFEST, _MOST_MANIFEST), type=Entry)
        own = entry.main in entry.digests and all(Path(file).name == file for file in entry.digests)
        whole = own and all(digest(place / file) == known for file, known in entry.digests.items())
    except (InputError, OSError, msgspec.DecodeError):
        return None
    return entry if whole else None


def keep(folder: Path, name: str, make: Callable[[Path], tuple[Path, float]]) -> Entry:
    """Create an entry atomically, by renaming the folder into which `make` writes.

    make: returns the main file and the seconds of the conversion. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder, prefix=_DRAFT))
    try:
        main, seconds = make(draft)
        files = sorted(path for path in draft.iterdir() if path.is_file())
        size = sum(path.stat().st_size for path in files if path.suffix != IN_AND_OUT)
        entry = Entry(main.name, seconds, size, {path.name: digest(path) for path in files})
        (draft / _MANIFEST).write_bytes(msgspec.json.encode(entry))
        try:
            draft.rename(folder / name)
        except OSError:
            if known := find(folder, name):  # another process has created it meanwhile
                return known
            (folder / name).rename(f"{draft}-damaged")  # its files may belong to another user
            draft.rename(folder / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return entry


class _Item(NamedTuple):
    """A file or folder in the cache. used: time of the last use, in Unix seconds."""

    place: Path
    bytes: int
    used: float

    @property
    def is_entry(self) -> bool:
        if self.place.name.startswith(SPACES):
            return self.place.is_file()
        return (self.place / _MANIFEST).is_file() and not self.is_draft

    @property
    def is_draft(self) -> bool:
        return self.place.name.startswith(_DRAFT)


def trim(folder: Path, most: int = MOST_BYTES, own: Collection[str] = ()) -> None:
    """Remove old drafts, and least recently used items beyond `most` bytes.

    Trainings, recent drafts and the entries called `own` are not removed.
    """
    held, day_ago = 0, time() - 86_400
    for item in sorted(_items(folder), key=lambda item: item.used, reverse=True):
        old_draft = item.is_draft and item.used < day_ago
        stays = item.place.name in own or item.place.name.startswith((TRIALS, _DRAFT))
        if old_draft or (held + item.bytes > most and not stays):
            _remove(item.place)
        else:
            held += item.bytes


def contents(folder: Path) -> Kept:
    """Return the number of entries and the size of a cache. Raises InputError."""
    try:
        items = _items(folder)
    except OSError as error:
        raise InputError(f"{folder}: the cache cannot be read ({error.strerror})") from None
    return Kept(str(folder), sum(item.is_entry for item in items), sum(item.bytes for item in items))


def clear(folder: Path) -> tuple[Kept, Kept]:
    """Remove everything. Return the contents before and after. Raises InputError."""
    before = contents(folder)
    for item in _items(folder):
        _remove(item.place)
    return before, contents(folder)


@contextmanager
def opened(folder: Path | None) -> Iterator[Path]:
    """Yield the folder, or a temporary one for None, which inductor uses too."""
    with ExitStack() as stack:
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="mnv3prof-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(temporary))
        if _INDUCTORS_FOLDER not in os.environ:
            os.environ[_INDUCTORS_FOLDER] = str(folder / _INDUCTOR)
            stack.callback(os.environ.pop, _INDUCTORS_FOLDER, None)
        yield folder


def _items(folder: Path) -> list[_Item]:
    """Return entries, tables of spaces, drafts, trainings and inductor's files. Raises OSError."""
    places = [
        place
        for place in _children(folder)
        if place.name.startswith((_DRAFT, TRIALS, SPACES)) or (place / _MANIFEST).is_file()
    ]
    items = []
    for place in (*places, *_children(folder / _INDUCTOR)):
        with suppress(FileNotFoundError):  # another run has removed it
            items.append(_Item(place, _size(place), place.lstat().st_mtime))
    return items


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _size(place: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    total = 0
    for path in (place, *place.rglob("*")):
        with suppress(OSError):
            status = path.lstat()
            total += status.st_size if S_ISREG(status.st_mode) else 0
    return total


def _remove(place: Path) -> None:
    """Remove a file, a link or a folder, as far as permissions allow."""
    if place.is_symlink() or place.is_file():
        with suppress(OSError):
            place.unlink()
    else:
        shutil.rmtree(place, ignore_errors=True)


def digest(path: Path) -> str:
    """Return the digest of a regular file. Raises OSError."""
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
