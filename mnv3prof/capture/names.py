"""Names from elsewhere, made printable, short and unique."""

from collections import Counter
from typing import Final

from ..graph.errors import printable

_LONGEST: Final = 100
_LONGEST_PATH: Final = 140
"""A block that begins in one module and ends in another is called by both paths."""
_DEEPEST: Final = 64
"""Maximum number of modules in each other whose parents are kept."""


class Names:
    """Makes names unique: the second of a name ends in #2."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._taken: set[str] = set()

    def unique(self, name: str) -> str:
        """Return a name that was not returned before."""
        base = capped(name) or "unnamed"
        while True:
            self._seen[base] += 1
            count = self._seen[base]
            numbered = base if count == 1 else f"{base}#{count}"
            if numbered not in self._taken:
                self._taken.add(numbered)
                return numbered


class Paths:
    """Makes paths of modules printable, short and unique; the path of a module begins with its parent's."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {"": ""}
        self._inside: dict[str, Names] = {}
        self._long = Names()

    def shown(self, path: str) -> str:
        """Return the path to show for a module's."""
        if path not in self._shown:
            whole = self._inner(path) if path.count(".") < _DEEPEST else ""
            is_short = 0 < len(whole) <= _LONGEST_PATH
            self._shown[path] = whole if is_short else self._long.unique(path)
        return self._shown[path]

    def _inner(self, path: str) -> str:
        parent, _, name = path.rpartition(".")
        unique = self._inside.setdefault(parent, Names()).unique(name)
        return f"{self.shown(parent)}.{unique}" if parent else unique


def capped(name: str) -> str:
    """Return a name as printable text of at most 100 characters."""
    text = printable(name[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
