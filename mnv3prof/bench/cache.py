"""Converted parts, kept between runs: conversions take longer than all else together."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from stat import S_ISREG
from time import time
from typing import Final, NamedTuple

import msgspec

from ..analysis.operators import inner_paths
from ..cost.counts import Dtype
from ..graph.errors import InputError
from ..record.run import Subject
from ..record.whole import read_file
from .formats import form

MOST_BYTES: Final = 4 * 2**30
"""What is used least recently leaves when the cache grows beyond this."""
_FORM: Final = 3
"""Raised when what conversions make changes, and no package's version with it."""
_MANIFEST: Final = "entry.json"
_MOST_MANIFEST: Final = 2**20
_DRAFT: Final = ".draft-"
_INDUCTOR: Final = "inductor"
_INDUCTORS_FOLDER: Final = "TORCHINDUCTOR_CACHE_DIR"
IN_AND_OUT: Final = ".npy"
"""The suffix of a part's input and output, which stand beside its converted files."""


TRIALS: Final = "trials-"
"""What the names of files begin with in which the trainings of claims are kept."""


class Entry(msgspec.Struct, frozen=True):
    """A converted part. main: its file's name; seconds: of the conversion; digests: of every file."""

    main: str
    seconds: float
    bytes: int
    digests: dict[str, str]


class Kept(msgspec.Struct, frozen=True):
    """What the cache holds."""

    folder: str
    entries: int
    bytes: int


def default_folder() -> Path:
    """MNV3PROF_CACHE of the environment, or the platform's cache directory of the user."""
    import platformdirs

    return Path(os.environ.get("MNV3PROF_CACHE") or platformdirs.user_cache_dir("mnv3prof"))


def key(
    subject: Subject, part: str, format_name: str, dtype: Dtype, batch: int, *, exact: bool = False
) -> str:  # fmt: skip
    """Return the entry's name: the digest of what the converted part depends on.

    To be timed, parts of one structure share an entry, in whatever network they are: their times are the
    same, and each entry has its own input and expected output. exact: tell apart what only values depend
    on too (the network, its weights and the place in it), for a file that is handed out. Trained weights
    are always told apart.
    """
    paths = inner_paths(subject.graph, part)
    structure = [subject.graph.key_of([*paths.values()]), [*paths]]
    weights = subject.weights.sha256 if subject.weights else ""
    values = [subject.table, subject.input, part, weights] if exact or weights else []
    versions = {package: _version(package) for package in (*form(format_name).PACKAGES, "mnv3prof", "numpy")}
    facts = [_FORM, format_name, dtype, batch, structure, values, versions]
    return hashlib.blake2b(msgspec.json.encode(facts), digest_size=16).hexdigest()


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def find(folder: Path, name: str) -> Entry | None:
    """The entry called `name`, if all of it is there as it was written; what is damaged is removed."""
    place = folder / name
    entry = _read(place)
    if entry is None:
        _remove(place)
        return None
    with suppress(OSError):  # it is another user's, or cannot be written
        os.utime(place)
    return entry


def is_whole(place: Path) -> bool:
    """Tell whether a folder is an entry, with all of it there as it was written."""
    return _read(place) is not None


def _read(place: Path) -> Entry | None:
    try:
        entry = msgspec.json.decode(read_file(place / _MANIFEST, _MOST_MANIFEST), type=Entry)
        own = entry.main in entry.digests and all(Path(file).name == file for file in entry.digests)
        whole = own and all(_digest(place / file) == digest for file, digest in entry.digests.items())
    except (InputError, OSError, msgspec.DecodeError):
        return None
    return entry if whole else None


def keep(folder: Path, name: str, make: Callable[[Path], tuple[Path, float]]) -> Entry:
    """Let `make` write a new entry's files into a folder beside, which becomes the entry when whole.

    make: returns the main file and how many seconds the conversion took. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder, prefix=_DRAFT))
    try:
        main, seconds = make(draft)
        files = sorted(path for path in draft.iterdir() if path.is_file())
        size = sum(path.stat().st_size for path in files if path.suffix != IN_AND_OUT)
        entry = Entry(main.name, seconds, size, {path.name: _digest(path) for path in files})
        (draft / _MANIFEST).write_bytes(msgspec.json.encode(entry))
        try:
            draft.rename(folder / name)
        except OSError:
            if known := find(folder, name):  # another process has put the same there meanwhile
                return known
            (folder / name).rename(f"{draft}-damaged")  # what is in it may not be ours to remove
            draft.rename(folder / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return entry


class _Item(NamedTuple):
    """A file or folder in the cache. used: when it was, in seconds since the epoch."""

    place: Path
    bytes: int
    used: float

    @property
    def is_entry(self) -> bool:
        return (self.place / _MANIFEST).is_file() and not self.is_draft

    @property
    def is_draft(self) -> bool:
        return self.place.name.startswith(_DRAFT)


def trim(folder: Path, most: int = MOST_BYTES, own: Collection[str] = ()) -> None:
    """Remove what was used least recently until the rest is at most `most` bytes, and old drafts.

    Trainings stay, drafts that may still be written, and the entries called `own`.
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
    """How much there is. Raises InputError where that cannot be told."""
    try:
        items = _items(folder)
    except OSError as error:
        raise InputError(f"{folder}: the cache cannot be read ({error.strerror})") from None
    return Kept(str(folder), sum(item.is_entry for item in items), sum(item.bytes for item in items))


def clear(folder: Path) -> tuple[Kept, Kept]:
    """Remove everything that is kept; what was there, and what could not be removed. Raises InputError."""
    found = contents(folder)
    for item in _items(folder):
        _remove(item.place)
    return found, contents(folder)


@contextmanager
def opened(folder: Path | None) -> Iterator[Path]:
    """The folder, or where there is none one that is removed at the end. inductor's files go there too."""
    with ExitStack() as stack:
        if folder is None:
            made = tempfile.TemporaryDirectory(prefix="mnv3prof-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(made))
        if _INDUCTORS_FOLDER not in os.environ:
            os.environ[_INDUCTORS_FOLDER] = str(folder / _INDUCTOR)
            stack.callback(os.environ.pop, _INDUCTORS_FOLDER, None)
        yield folder


def _items(folder: Path) -> list[_Item]:
    """Entries, drafts, trainings and inductor's files; nothing else that is in the folder. Raises OSError."""
    places = [
        place for place in _children(folder)
        if place.name.startswith((_DRAFT, TRIALS)) or (place / _MANIFEST).is_file()
    ]  # fmt: skip
    found = []
    for place in (*places, *_children(folder / _INDUCTOR)):
        with suppress(FileNotFoundError):  # another run has removed it
            found.append(_Item(place, _size(place), place.lstat().st_mtime))
    return found


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _size(place: Path) -> int:
    """Bytes of a file, or of all files in a folder; what is removed meanwhile counts for nothing."""
    total = 0
    for path in (place, *place.rglob("*")):
        with suppress(OSError):
            found = path.lstat()
            total += found.st_size if S_ISREG(found.st_mode) else 0
    return total


def _remove(place: Path) -> None:
    """Remove a file, a link or a folder, as far as that is allowed."""
    if place.is_symlink() or place.is_file():
        with suppress(OSError):
            place.unlink()
    else:
        shutil.rmtree(place, ignore_errors=True)


def _digest(path: Path) -> str:
    """Raises OSError for what is no file beside the others."""
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
