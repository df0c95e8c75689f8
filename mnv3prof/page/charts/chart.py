"""A chart of the page, and what several kinds share.

Colors are names of the page's style ("var:time"), so that a chart follows its theme. Texts from a run are
escaped, since plotly interprets some HTML.
"""

from collections.abc import Sequence
from math import inf
from typing import Any, Final, Literal

import msgspec

from ...analysis.view import View
from ...record.stats import Summary
from ...record.timing import Timing
from ...render.html import escape
from ...render.sheet import join_words

Trace = dict[str, Any]


class Chart(msgspec.Struct, frozen=True):
    """A plotly figure. key: id of its element. alt: text alternative.

    marks: number of bars, points and cells. wide: least width in pixels. spans: the ends of each block on
    an axis, by anchor; axis: which one, "points" if the points' data are anchors, "copies" if a click on a
    point of the last trace copies its text: of `copies`, or the first of its data. switches: a click on the
    legend shows and hides.
    """

    key: str
    alt: str
    data: list[Trace]
    layout: dict[str, Any]
    marks: int
    height: int = 380
    wide: int = 0
    spans: dict[str, tuple[float, float]] = {}
    axis: Literal["x", "y", "points", "copies"] = "x"
    switches: bool = False
    copies: list[str] = []


PALETTE: Final = 8


_LABEL: Final = 40


_TICK: Final = 5
_NARROWEST: Final = 320
_LETTER: Final = 8
_MARGINS: Final = 74
"""Width of a letter of a tick and what surrounds it, and of a chart's margins, in pixels."""


def color(number: int) -> str:
    """Return the style's name of a series' color."""
    return f"var:series-{number % PALETTE + 1}"


def symbol(number: int) -> int:
    """Return the symbol of a series; series of the same color differ in it."""
    return (number + number // PALETTE) % PALETTE


def label(text: str) -> str:
    """Escape a text for plotly, cut to _LABEL characters."""
    return escape(text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…", quote=False)


def network_names(seen: Sequence[View]) -> str:
    """Return the names of the views' networks, for a text alternative."""
    return join_words(list(dict.fromkeys(view.name for view in seen)))


def marker(number: int, size: int) -> Trace:
    """Return the style of a series' points."""
    line = {"width": 1, "color": "var:paper"}
    return {"color": color(number), "size": size, "symbol": symbol(number), "line": line}


def categories(values: Sequence[str]) -> dict[str, Any]:
    """Return an axis of these values, in their order."""
    return {"type": "category", "categoryorder": "array", "categoryarray": list(values), "showgrid": False}


def wide_layers(view: View) -> int:
    """Return the least width in pixels of a chart with an axis of layers."""
    return max(40 * len(view.graph.blocks), _NARROWEST)


def layer_spans(view: View) -> dict[str, tuple[float, float]]:
    """Return the ends of each block on an axis of layers, by name."""
    layers: dict[str, list[int]] = {}
    for number, (block, _) in enumerate(view.graph.placed()):
        layers.setdefault(block.name, []).append(number)
    return {name: (places[0] - 0.5, places[-1] + 0.5) for name, places in layers.items()}


def layers_axis(view: View) -> dict[str, Any]:
    """Put each block's name under the middle of its layers, in the second line where the first is taken."""
    spans = layer_spans(view)
    middles = [(low + high) / 2 for low, high in spans.values()]
    names = [name if len(name) <= _TICK else f"{name[: _TICK - 1]}…" for name in spans]
    pixels = (wide_layers(view) - _MARGINS) / max(len(view.graph.layers), 1)
    ends = [-inf, -inf]
    for number, (name, middle) in enumerate(zip(names, middles, strict=True)):
        half = len(name) * _LETTER / 2
        low, high = middle * pixels - half, middle * pixels + half
        line = 0 if low > ends[0] else 1
        names[number] = "<br>" * line + name if low > ends[line] else ""
        ends[line] = high if low > ends[line] else ends[line]
    return {
        "tickmode": "array",
        "tickvals": middles,
        "ticktext": names,
        "showgrid": False,
        "title": {"text": "layers in execution order, by block"},
        "tickangle": 0,
    }


def whiskers(timing: Timing, *, per_image: bool = True) -> tuple[float, float]:
    """Return how far p10 and p90, or the ends of a reported range, are from the time, in ms."""
    middle, scale = timing.seconds or 0.0, 1e3 / (timing.target.batch if per_image else 1)
    if timing.without_samples:
        lows = [each.min_s for each in timing.reported if each.min_s is not None]
        highs = [each.max_s for each in timing.reported if each.max_s is not None]
        low, high = min([middle, *lows]), max([middle, *highs])
    else:
        low, high = (timing.summary.p10, timing.summary.p90) if timing.summary else (middle, middle)
    return (middle - low) * scale, (high - middle) * scale


def summary_of(timing: Timing | None) -> Summary | None:
    """Return the summary of a timing, None without one."""
    return timing.summary if timing else None


def error_bars(ends: Sequence[tuple[float, float]], width: int) -> Trace:
    """Return whiskers from so far below to so far above each value. width: of their ends, in pixels."""
    return {
        "type": "data",
        "symmetric": False,
        "color": "var:ink",
        "thickness": 1.2,
        "width": width,
        "array": [above for _, above in ends],
        "arrayminus": [below for below, _ in ends],
    }
