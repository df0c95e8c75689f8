"""Names from elsewhere, made printable, short and unique."""

from collections import Counter
from typing import Final

from ..graph.errors import printable

_LONGEST: Final = 100


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


def capped(name: str) -> str:
    """Return a name as printable text of at most 100 characters."""
    text = printable(name[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
