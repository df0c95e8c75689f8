"""Converted parts, kept between runs: conversions take longer than all else together."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec

from ..analysis.operators import inner_paths
from ..cost.counts import Dtype
from ..record.run import Subject
from .formats import form

MOST_BYTES: Final = 4 * 2**30
"""What is used least recently leaves when the cache grows beyond this."""
_FORM: Final = 3
"""Raised when what conversions make changes, and no package's version with it."""
_MANIFEST: Final = "entry.json"
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
    try:
        entry = msgspec.json.decode((place / _MANIFEST).read_bytes(), type=Entry)
        whole = all(_digest(place / file) == digest for file, digest in entry.digests.items())
    except FileNotFoundError:
        whole = False
    except (OSError, msgspec.DecodeError):
        whole = False
    if whole:
        os.utime(place)
        return entry
    shutil.rmtree(place, ignore_errors=True)
    return None


def keep(folder: Path, name: str, make: Callable[[Path], tuple[Path, float]]) -> Entry:
    """Let `make` write a new entry's files into a folder beside, which becomes the entry when whole.

    make: returns the main file and how many seconds the conversion took.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder, prefix=".draft-"))
    try:
        main, seconds = make(draft)
        files = sorted(path for path in draft.iterdir() if path.is_file())
        size = sum(path.stat().st_size for path in files if path.suffix != IN_AND_OUT)
        entry = Entry(main.name, seconds, size, {path.name: _digest(path) for path in files})
        (draft / _MANIFEST).write_bytes(msgspec.json.encode(entry))
        with suppress(OSError):  # another process has put the same there meanwhile
            draft.rename(folder / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return entry


def trim(folder: Path, most: int = MOST_BYTES) -> None:
    """Remove the entries that were used least recently until the rest is at most `most` bytes."""
    entries = sorted(_entries(folder), key=lambda place: place.stat().st_mtime, reverse=True)
    held = 0
    for place in entries:
        held += _size(place)
        if held > most:
            shutil.rmtree(place, ignore_errors=True)


def contents(folder: Path) -> Kept:
    """How much there is."""
    entries = list(_entries(folder))
    return Kept(str(folder), len(entries), sum(map(_size, entries)))


def clear(folder: Path) -> Kept:
    """Remove every entry, trainings, and drafts that were never finished; what was there."""
    found = contents(folder)
    for place in [*_entries(folder), *folder.glob(".draft-*")]:
        shutil.rmtree(place, ignore_errors=True)
    for file in folder.glob(f"{TRIALS}*.json"):
        file.unlink(missing_ok=True)
    return found


@contextmanager
def opened(folder: Path | None) -> Iterator[Path]:
    """The folder, or where there is none one that is removed at the end."""
    if folder:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="mnv3prof-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _entries(folder: Path) -> Iterator[Path]:
    return (path.parent for path in folder.glob(f"*/{_MANIFEST}") if not path.parent.name.startswith("."))


def _size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.iterdir() if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
