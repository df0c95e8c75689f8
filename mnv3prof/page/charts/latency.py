"""Charts of latencies: parts on targets, and the roofline."""

from collections.abc import Mapping, Sequence
from math import log10
from typing import Final

from ...analysis.grid import Rates, peak_of
from ...analysis.view import View
from ...record.run import PeakRates
from ...record.target import Target, threads_of
from ...record.timing import Timing
from ...render.numbers import milliseconds
from ...show.times import spread_text
from ..rows import rows_of
from .chart import Chart, Trace, categories, label, marker, network_names, summary_of

_DECADES: Final = [step * 10.0**power for power in range(-6, 7) for step in (1, 2, 5)]


def matrix_chart(seen: Sequence[View], key: str) -> Chart:
    """Median per call with its spread, parts × targets, colored by the share of the target's sum; the
    targets of several runs beside each other.
    """
    rows = rows_of(seen)
    lines = [*zip(rows.names, rows.titles, strict=True)]
    blocks = {name for row in rows.names for name in row}
    others = dict.fromkeys(part for view in seen for part in view.grid.parts if part not in blocks)
    lines += [((part,) * len(seen), part) for part in others]
    lines = [line for line in lines if any(line[0][n] in view.grid.parts for n, view in enumerate(seen))]
    parts = [title for _, title in lines]
    anchors = dict(zip(rows.titles, rows.anchors, strict=True))
    columns = [(n, view, target) for n, view in enumerate(seen) for target in view.grid.targets]
    several = any(target.batch > 1 for _, _, target in columns)
    names = [
        _stacked(", ".join(filter(None, (view.called, view.label_of(target), "per call" if several else ""))))
        for _, view, target in columns
    ]
    shares = [view.time_shares(target) for _, view, target in columns]
    cells = [[_at(view, row[n], target) for n, view, target in columns] for row, _ in lines]
    text = [[_cell(timing) for timing in line] for line in cells]
    z = [[shares[c].get(row[n] or "") for c, (n, _, _) in enumerate(columns)] for row, _ in lines]
    hover = [
        [_hover(timing, share) for timing, share in zip(line, of_line, strict=True)]
        for line, of_line in zip(cells, z, strict=True)
    ]
    layout = {
        "xaxis": {"side": "top", "type": "category", "showgrid": False},
        "yaxis": {**categories(parts), "autorange": "reversed", "title": {"text": "part"}, "showgrid": False},
    }
    alt = f"Latency of each part of {network_names(seen)} on each target"
    marks = sum(bool(words) for line in text for words in line)
    stacked = max((name.count("<br>") for name in names), default=0)
    named = 7 * max(0, max(map(len, parts), default=0) - 10)  # room of long names, so that cells keep theirs
    high, wide = 150 + 18 * stacked + 24 * len(parts), 70 + named + 126 * len(columns)
    trace = {"type": "heatmap", "x": names, "y": parts, **_heat(z, text, hover)}
    spans = {anchors[part]: (n - 0.5, n + 0.5) for n, part in enumerate(parts) if part in anchors}
    return Chart(key, alt, [trace], layout, marks, high, wide, spans=spans, axis="y")


def _at(view: View, part: str | None, target: Target) -> Timing | None:
    return view.grid.at(part, target) if part and part in view.grid.same else None


def _heat(
    shares: Sequence[Sequence[float | None]], text: Sequence[Sequence[str]], hover: Sequence[Sequence[str]]
) -> Trace:
    """Return the colors and the texts of the cells; of one color if no share is known."""
    known = [share for row in shares for share in row if share]
    if not known:  # plotly draws neither cells nor texts without numbers
        shares = [[0.0 if words else None for words in row] for row in text]
    return {
        "z": shares,
        "text": text,
        "customdata": hover,
        "texttemplate": "%{text}",
        "xgap": 2,
        "ygap": 2,
        "showscale": bool(known),
        "zmin": 0.0,
        "zmax": max(known, default=1.0),
        "hovertemplate": "%{y} on %{x}<br>%{customdata}<extra></extra>",
        "colorscale": [[0, "var:low"], [1, "var:high"]],
        "textfont": {"color": "var:ink"},
        "colorbar": {
            "title": {"text": "share of the sum", "side": "top"},
            "tickformat": ".1~%",
            "thickness": 10,
            "orientation": "h",
            "lenmode": "pixels",
            "len": 190,
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yanchor": "top",
        },
    }


def _stacked(called: str) -> str:
    """Write a target's name with a line per field that differs."""
    return "<br>".join(map(label, called.split(", ")))


_NAMED: Final = 3
"""Number of points of the roofline that are named: those with the lowest share of it."""


def roofline_chart(seen: Sequence[View], key: str) -> Chart:
    """Rate of each part over its arithmetic intensity, and the rooflines of the machines. Of each run one
    target is shown at first, the fastest.
    """
    data: list[Trace] = []
    notes: list[Trace] = []
    reach: list[float] = []
    peaks: dict[PeakRates, None] = {}
    rows = rows_of(seen)
    for number, view in enumerate(seen):
        first = view.fastest()
        for target in view.grid.targets:
            points = _rated(view, target)
            if not points:
                continue
            is_shown = target == first
            trace = _rates_trace(view, target, points, len(data), rows.of(number))
            data.append({**trace, "visible": True if is_shown else "legendonly"})
            reach += [rate.intensity or 0.0 for _, rate in points]
            notes += _worst(view, target, points) if is_shown else []
        known = (peak_of(timing, view.run) for timing in view.grid.cells.values())
        peaks |= dict.fromkeys(peak for peak in known if peak is not None)
    if data and all(trace["visible"] == "legendonly" for trace in data):
        data[0]["visible"] = True
    data += [_roofline_trace(peak, list(peaks), reach) for peak in peaks] if data else []
    layout = {
        "xaxis": {"type": "log", "tickvals": _DECADES, "title": {"text": "MAC per byte moved"}},
        "yaxis": {"type": "log", "tickvals": _DECADES, "title": {"text": "GMAC/s"}},
        "annotations": notes,
    }
    alt = f"Roofline: rates of the parts of {network_names(seen)}"
    return Chart(key, alt, data, layout, len(reach), 440, axis="points", switches=True)


def _rated(view: View, target: Target) -> list[tuple[str, Rates]]:
    found = ((part, view.rates(part, target)) for part in view.grid.parts)
    return [(part, rate) for part, rate in found if rate and rate.gmacs and rate.intensity]


def _worst(view: View, target: Target, points: Sequence[tuple[str, Rates]]) -> list[Trace]:
    """Name the points with the lowest share of the roofline, of distinct parts."""
    shares = {
        part: rate.of_roofline
        for part, rate in points
        if rate.of_roofline is not None and view.grid.same[part] == part and view.graph.block(part)
    }
    rates = dict(points)
    return [
        {
            "text": label(part), "x": log10(rates[part].intensity or 1), "y": log10(rates[part].gmacs or 1),
            "xanchor": "left", "yanchor": "top", "showarrow": False, "xshift": 6,
        }
        for part in sorted(shares, key=lambda part: shares[part])[:_NAMED]
    ]  # fmt: skip


def _rates_trace(
    view: View, target: Target, points: Sequence[tuple[str, Rates]], number: int, anchors: Mapping[str, str]
) -> Trace:
    called = ", ".join(filter(None, (view.called, view.label_of(target))))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(called),
        "x": [rate.intensity for _, rate in points],
        "y": [rate.gmacs for _, rate in points],
        "text": [part for part, _ in points],
        "marker": marker(number, 8),
        "customdata": [anchors.get(part, "") for part, _ in points],
        "hovertemplate": "%{text}: %{y:.1f} GMAC/s at %{x:.2f} MAC/byte<extra>%{fullData.name}</extra>",
    }


def _roofline_trace(peak: PeakRates, peaks: Sequence[PeakRates], reach: Sequence[float]) -> Trace:
    """Return the roofline of a device, from half of the lowest intensity to twice the highest."""
    ridge = peak.macs_per_s / peak.bytes_per_s
    ends = [min([*reach, ridge]) / 2, ridge, max([*reach, ridge]) * 2]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label(_roofline_name(peak, peaks)),
        "x": ends,
        "y": [min(x * peak.bytes_per_s, peak.macs_per_s) / 1e9 for x in ends],
        "line": {"color": "var:ink", "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _roofline_name(peak: PeakRates, peaks: Sequence[PeakRates]) -> str:
    """Return the name of a device's roofline, with what else differs among those that are drawn."""
    dtypes, threads = {other.dtype for other in peaks}, {other.threads for other in peaks}
    more = [
        *([peak.dtype] if len(dtypes) > 1 else []),
        *([threads_of(peak.threads)] if len(threads) > 1 else []),
    ]
    return f"roofline of {', '.join([peak.name, *more])}"


def _cell(timing: Timing | None) -> str:
    if timing is None:
        return ""
    s = timing.summary
    if timing.status == "ok" and timing.without_samples:
        return milliseconds(timing.seconds or 0)
    if timing.status != "ok" or s is None:
        return timing.status if timing.status != "ok" else ""
    return f"{milliseconds(s.median)} ±{s.noise:.0%}{' ~' if timing.noisy else ''}"


def _hover(timing: Timing | None, share: float | None) -> str:
    if timing and timing.without_samples:
        return f"{milliseconds(timing.seconds or 0)} {spread_text(timing)}"
    s = summary_of(timing)
    if timing is None or s is None:
        return "not measured"
    text = f"{milliseconds(s.median)}, p10 {milliseconds(s.p10)}, p90 {milliseconds(s.p90)}"
    text += "<br>noisy" if timing.noisy else ""
    if timing.target.batch > 1:
        text += f"<br>{milliseconds(s.median / timing.target.batch)} per image"
    return text if share is None else f"{text}<br>{share:.1%} of the blocks' sum"
