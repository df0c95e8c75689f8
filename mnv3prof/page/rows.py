"""The blocks of the page's networks, side by side, and their anchors."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..analysis.view import View
from ..graph.align import joined

_LONGEST: Final = 40


class Rows(NamedTuple):
    """Aligned blocks: their names in each view, None where there is none; titles and anchors, unique."""

    names: list[tuple[str | None, ...]]
    titles: list[str]
    anchors: list[str]

    def of(self, view: int) -> dict[str, str]:
        """Return the anchors of a view's blocks, by name."""
        pairs = zip(self.names, self.anchors, strict=True)
        return {name: anchor for row, anchor in pairs if (name := row[view])}

    def on_axis(self) -> dict[str, tuple[float, float]]:
        """Return the ends of each row on an axis of categories, by anchor."""
        return {anchor: (n - 0.5, n + 0.5) for n, anchor in enumerate(self.anchors)}


def rows_of(seen: Sequence[View]) -> Rows:
    """Return the aligned blocks of the views' networks."""
    names = joined([view.graph for view in seen])
    titles = [row_title(row) for row in names]
    anchors: dict[str, None] = {}
    for row in names:
        first = next(name for name in row if name)  # an address that a run of it alone has too
        begin = "block-" + re.sub(r"[^A-Za-z0-9._-]+", "-", first)[:_LONGEST]
        anchor, count = begin, 1
        while anchor in anchors:
            count += 1
            anchor = f"{begin}-{count}"
        anchors[anchor] = None
    return Rows(names, titles, list(anchors))


def row_title(row: Sequence[str | None]) -> str:
    """Return one name if all have it: "12", else all: "12 → 8", "– → 9"."""
    names = [name or "–" for name in row]
    return names[0] if len({*names}) == 1 else " → ".join(names)
