"""Registries whose entries are the files of a folder: backends, formats, counters, claims, commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .graph.errors import lookup


def stems(init: str) -> tuple[str, ...]:
    """Return the stems of the files in a package's folder. init: its __init__ file."""
    found = sorted(path.stem for path in Path(init).parent.glob("*.py"))
    return tuple(stem for stem in found if stem != "__init__")


def file_names(init: str) -> tuple[str, ...]:
    """Return the stems as names, with - for _."""
    return tuple(stem.replace("_", "-") for stem in stems(init))


def canonical(called: str, what: str, names: tuple[str, ...], load: Callable[[str], Any]) -> str:
    """Return the entry of `names` for a name or an alias in its file's ALIASES. Raises InputError."""
    if called in names:
        return called
    aliases = {alias: name for name in names for alias in getattr(load(name), "ALIASES", ())}
    return lookup(called, {**{name: name for name in names}, **aliases}, what)
