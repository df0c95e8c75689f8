"""Registries with one file per entry: backends, formats, counters, claims, commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .graph.errors import lookup


def stems(init: str) -> tuple[str, ...]:
    """Return the stems of the modules in a package, "import" of import_.py. init: its __init__ file."""
    known = (path.stem for path in Path(init).parent.glob("*.py") if path.stem != "__init__")
    return tuple(sorted(stem.removesuffix("_") for stem in known))


def file_names(init: str) -> tuple[str, ...]:
    """Return the stems with "-" instead of "_"."""
    return tuple(stem.replace("_", "-") for stem in stems(init))


def canonical(called: str, what: str, names: tuple[str, ...], load: Callable[[str], Any]) -> str:
    """Return the entry with this name or alias (ALIASES of its file). Raises InputError."""
    if called in names:
        return called
    aliases = {alias: name for name in names for alias in getattr(load(name), "ALIASES", ())}
    return lookup(called, {name: name for name in names} | aliases, what)
