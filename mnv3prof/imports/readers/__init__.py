"""Readers of what tools print, one module for each kind of file.

Each module defines
    WHAT: the tool and its file;
    TOOL: the tool;
    recognizes(data, text): True if the file is of this kind;
    read(data, place): the runs in it. Raises InputError.
"""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from importlib import import_module
from typing import Final, Protocol

from ...graph.errors import InputError, any_of
from ...registry import file_names
from ..found import Found, Place

_MOST_SEEN: Final = 4_000_000
"""Characters of a text in which its kind is looked for."""


class Reader(Protocol):
    """The names that a reader's module defines."""

    WHAT: str
    TOOL: str

    def recognizes(self, data: bytes, text: str) -> bool:
        """Return True if a file is of this kind."""

    def read(self, data: bytes, place: Place) -> list[Found]:
        """Return the runs in a file. Raises InputError."""


def names() -> tuple[str, ...]:
    """Return the names of all readers."""
    return file_names(__file__)


def reader(name: str) -> Reader:
    """Import the reader called `name`."""
    return import_module(f".{name.replace('-', '_')}", __name__)


def read(data: bytes, where: str, kind: str | None = None) -> list[Found]:
    """Return the runs in a file. kind: the name of its reader, None to recognize it. Raises InputError."""
    if not data.strip():
        raise InputError(f"{where}: is empty; expected what a tool printed")
    text = _text(data)
    chosen = kind or _recognized(data, text[:_MOST_SEEN], where)
    found = reader(chosen).read(data, Place(text, where))
    if not found:
        raise InputError(f"{where}: has no times of {reader(chosen).WHAT}")
    return found


def _text(data: bytes) -> str:
    """Return a file as text: UTF-16 if it begins as PowerShell's > writes it, else UTF-8."""
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    return data.decode(encoding, "replace").replace("\r", "").replace("\ufeff", "")


def _recognized(data: bytes, text: str, where: str) -> str:
    """Return the name of the reader of a file. Raises InputError if there is none, or for several tools."""
    found = [name for name in names() if reader(name).recognizes(data, text)]
    if not found:
        raise InputError(f"{where}: has no times of a known tool; expected a whole file of {any_of(names())}")
    tools = {reader(name).TOOL: reader(name).WHAT for name in found}
    if len(tools) > 1:
        raise InputError(f"{where}: has times of {' and '.join(tools.values())}; expected a file of each")
    return found[0]
