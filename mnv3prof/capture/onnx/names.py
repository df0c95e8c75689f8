"""Names in ONNX files: printable and unique, and the modules that PyTorch's exporter writes into them."""

import re
from collections import Counter

from ...graph.errors import printable

_LONGEST = 100


class Names:
    """Makes names printable, short and unique: the second of a name ends in #2."""

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


def module_path(*names: str) -> str:
    """Return the path of the module that the first of the names with one has, or "".

    TorchScript's exporter writes /features/features.0/features.0.0/Conv, where a container's child repeats
    the container's name and another module's does not: /layer1/layer1.0/conv1/Conv is layer1.0.conv1.
    """
    for name in names:
        if name.startswith("/"):
            return capped(_joined(_modules(name)))
    return ""


def _modules(name: str) -> list[str]:
    """Return the parts of a name before the operator, and before what a fusion adds to it."""
    parts = name.strip("/").split("/")
    while len(parts) > 1 and re.match(r"\w*Fusion", parts[-1]):
        parts.pop()
    return parts[:-1]


def _joined(parts: list[str]) -> str:
    parent = last = ""
    for part in parts:
        if not last or not part.startswith(f"{last}."):
            parent = f"{parent}{last}." if last else ""
        last = part
    return parent + last
