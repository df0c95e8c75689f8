"""Charts of the report as plotly figures: data and layout, which the page's script draws.

Colours are names of the page's style ("var:time"), so that a chart follows its theme. Texts from a run are
escaped, since plotly interprets some HTML.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ..analysis.compare import Change
from ..analysis.grid import peak_of
from ..analysis.savings import measured_changes, standard_ratios
from ..analysis.view import View
from ..cost.conventions import COUNTERS, TERMS, Reconciliation
from ..cost.memory import Arena, Peaks
from ..graph.parts import NET
from ..mobilenetv3.saving import pair_saving
from ..mobilenetv3.table import row_names
from ..record.run import PeakRates
from ..record.stats import Summary
from ..record.target import Target, threads_of
from ..record.timing import Timing
from ..render.html import escape
from ..render.numbers import milliseconds
from ..show.times import spread_text

Trace = dict[str, Any]


class Chart(msgspec.Struct, frozen=True):
    """A plotly figure. key: id of its element. alt: text alternative.

    marks: number of bars, points and cells. wide: least width in pixels.
    """

    key: str
    alt: str
    data: list[Trace]
    layout: dict[str, Any]
    marks: int
    height: int = 380
    wide: int = 0


_SERIES: Final = ("macs", "params", "bytes", "time")
_PALETTE: Final = 8
_LABEL: Final = 40
_TICK: Final = 5
_DECADES: Final = [step * 10.0**power for power in range(-6, 7) for step in (1, 2, 5)]


def colour(number: int) -> str:
    """Return the style's name of a series' colour."""
    return f"var:series-{number % _PALETTE + 1}"


def symbol(number: int) -> int:
    """Return the symbol of a series; series of the same colour differ in it."""
    return (number + number // _PALETTE) % _PALETTE


def label(text: str) -> str:
    """Escape a text for plotly, cut to _LABEL characters."""
    return escape(text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…", quote=False)


def net_chart(view: View, key: str) -> Chart:
    """Latency of the whole network on every target, per image, with p10 to p90 as whiskers."""
    ranking = view.ranking()[::-1]
    timings = [timing for target, _ in ranking if (timing := view.timing(NET, target))]
    whiskers = [_whiskers(timing) for timing in timings]
    reported = any(timing.without_samples for timing in timings)
    several = any(target.batch > 1 for target, _ in ranking)
    bars = {
        "type": "bar",
        "orientation": "h",
        "name": "network",
        "y": [f"{label(view.label_of(target))}, {milliseconds(seconds)}" for target, seconds in ranking],
        "x": [seconds * 1e3 for _, seconds in ranking],
        "hovertemplate": "%{y}: %{x:.3f} ms<extra></extra>",
        "marker": {"color": "var:time"},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "color": "var:ink",
            "thickness": 1.2,
            "width": 4,
            "array": [above for _, above in whiskers],
            "arrayminus": [below for below, _ in whiskers],
        },
    }
    unit = "ms per image" if several else "ms"
    layout = {
        "xaxis": {
            "title": {"text": f"{unit}; whiskers p10 to p90{', or the reported range' if reported else ''}"},
            "rangemode": "tozero",
        },
        "yaxis": {"automargin": True},
        "showlegend": False,
    }
    alt = f"Latency of {view.name} on {len(ranking)} targets"
    return Chart(key, alt, [bars], layout, len(ranking), 90 + 34 * len(ranking))


def shares_chart(view: View, key: str) -> Chart:
    """Share of MACs, parameters, activation bytes, and latency on the fastest target by block."""
    series = {
        "MACs": view.mac_shares(),
        "parameters": view.param_shares(),
        "activation bytes": view.byte_shares(),
    }
    fastest = view.fastest()
    if fastest and (times := view.time_shares(fastest)):
        series[f"latency on {view.label_of(fastest)}"] = times
    blocks = list(view.graph.block_names)
    data = [
        {
            "type": "bar",
            "name": label(name),
            "x": blocks,
            "y": [shares[block] for block in blocks],
            "marker": {"color": f"var:{token}"},
            "hovertemplate": "%{x}: %{y:.1%}<extra>%{fullData.name}</extra>",
        }
        for token, (name, shares) in zip(_SERIES, series.items(), strict=False)
    ]
    layout = {
        "barmode": "group",
        "bargap": 0.25,
        "xaxis": _categories(blocks),
        "yaxis": {"title": {"text": "share of the network"}, "tickformat": ".0%"},
    }
    alt = f"Shares of {view.name} by block: {', '.join(series)}"
    return Chart(key, alt, data, layout, len(blocks) * len(series), 400, 38 * len(blocks))


def matrix_chart(view: View, key: str) -> Chart:
    """Median per call with its spread, parts × targets, coloured by the share of the target's sum."""
    parts = list(view.grid.parts)
    columns = view.grid.targets
    several = any(target.batch > 1 for target in columns)
    names = [_stacked(f"{view.label_of(target)}{', per call' if several else ''}") for target in columns]
    shares = {target: view.time_shares(target) for target in columns}
    text = [[_cell(view.grid.at(part, target)) for target in columns] for part in parts]
    z = [[shares[target].get(part) for target in columns] for part in parts]
    hover = [
        [_hover(view.timing(part, target), shares[target].get(part)) for target in columns] for part in parts
    ]
    layout = {
        "xaxis": {"side": "top", "type": "category", "showgrid": False},
        "yaxis": {
            **_categories(parts),
            "autorange": "reversed",
            "title": {"text": "part"},
            "showgrid": False,
        },
    }
    alt = f"Latency of each part of {view.name} on each target"
    marks = sum(bool(words) for row in text for words in row)
    lines = max((name.count("<br>") for name in names), default=0)
    high = 110 + 18 * lines + 26 * len(parts)
    trace = {"type": "heatmap", "x": names, "y": parts, **_heat(z, text, hover)}
    return Chart(key, alt, [trace], layout, marks, high, 130 + 126 * len(columns))


def _heat(
    shares: Sequence[Sequence[float | None]], text: Sequence[Sequence[str]], hover: Sequence[Sequence[str]]
) -> Trace:
    """Return the colours and the texts of the cells; of one colour if no share is known."""
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
        "colorbar": {"title": {"text": "share"}, "tickformat": ".0%", "thickness": 12},
    }


def _stacked(called: str) -> str:
    """Write a target's name with a line per field that differs."""
    return "<br>".join(map(label, called.split(", ")))


def roofline_chart(view: View, key: str) -> Chart:
    """Rate of each part over its arithmetic intensity, and the roofline of the machine."""
    points = [_rates_trace(view, target, number) for number, target in enumerate(view.grid.targets)]
    reach = [x for trace in points for x in trace["x"]]
    known = (peak_of(timing, view.run) for timing in view.grid.cells.values())
    peaks = list(dict.fromkeys(peak for peak in known if peak is not None))
    data = [trace for trace in points if trace["x"]] + [_roofline_trace(peak, peaks, reach) for peak in peaks]
    layout = {
        "xaxis": {"type": "log", "tickvals": _DECADES, "title": {"text": "MAC per byte moved"}},
        "yaxis": {"type": "log", "tickvals": _DECADES, "title": {"text": "GMAC/s"}},
    }
    return Chart(key, f"Roofline: rates of the parts of {view.name}", data, layout, len(reach), 440)


def _rates_trace(view: View, target: Target, number: int) -> Trace:
    found = ((part, view.rates(part, target)) for part in view.grid.parts)
    points = [(part, rate) for part, rate in found if rate and rate.gmacs and rate.intensity]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(view.label_of(target)),
        "x": [rate.intensity for _, rate in points],
        "y": [rate.gmacs for _, rate in points],
        "text": [part for part, _ in points],
        "marker": _marker(number, 8),
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


def _marker(number: int, size: int) -> Trace:
    """Return the style of a series' points."""
    line = {"width": 1, "color": "var:paper"}
    return {"color": colour(number), "size": size, "symbol": symbol(number), "line": line}


def memory_chart(view: View, peaks: Peaks, key: str) -> Chart:
    """Live bytes in each layer, by definition of the peak."""
    named = (("PyTorch eager", peaks.eager), ("unfused", peaks.unfused), ("fused", peaks.fused))
    names = [layer.name for layer in view.graph.layers]
    data: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": list(range(len(names))),
            "y": [size / 2**20 for size in peak.layers],
            "text": names,
            "line": {"shape": "hvh", "width": 2 if name == "fused" else 1.2, "color": colour(number)},
            "fill": "tozeroy" if name == "fused" else "none",
            "hovertemplate": "%{text}: %{y:.2f} MiB<extra>%{fullData.name}</extra>",
        }
        for number, (name, peak) in enumerate(named)
        if peak is not None
    ]
    top = peaks.fused
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "fused peak",
            "showlegend": False,
            "x": [top.layers.index(top.bytes)],
            "y": [top.bytes / 2**20],
            "text": [top.layer],
            "marker": {"color": "var:time", "size": 10, "symbol": "diamond"},
            "hovertemplate": "peak at %{text}: %{y:.2f} MiB<extra></extra>",
        }
    )
    layout = {"xaxis": _layers_axis(view), "yaxis": {"title": {"text": "live MiB"}, "rangemode": "tozero"}}
    alt = f"Activation memory of {view.name} by layer"
    return Chart(key, alt, data, layout, len(names) * (len(data) - 1) + 1, 380, _wide(view))


def arena_chart(view: View, arena: Arena, key: str) -> Chart:
    """Planned arena: offset of each tensor (upwards) over its lifetime in layers (to the right)."""
    placed = arena.placements
    bars = {
        "type": "bar",
        "name": "tensors",
        "x": [(p.first + p.last) / 2 for p in placed],
        "width": [p.last - p.first + 0.94 for p in placed],
        "base": [p.offset / 2**20 for p in placed],
        "y": [p.bytes / 2**20 for p in placed],
        "text": [p.tensor for p in placed],
        "textposition": "none",
        "customdata": [[p.offset, p.bytes] for p in placed],
        "marker": {
            "color": [colour(n) for n in range(len(placed))],
            "opacity": 0.85,
            "line": {"width": 0.5, "color": "var:paper"},
        },
        "hovertemplate": "%{text}<br>%{customdata[1]:,} bytes at offset %{customdata[0]:,}<extra></extra>",
    }
    layout = {
        "xaxis": _layers_axis(view),
        "showlegend": False,
        "barmode": "overlay",
        "yaxis": {"title": {"text": "offset in the arena, MiB"}, "rangemode": "tozero"},
    }
    alt = f"Placement of the tensors of {view.name} in its arena"
    return Chart(key, alt, [bars], layout, len(placed), 380, _wide(view))


def saving_chart(view: View, dense: str, key: str) -> Chart:
    """Ratio of standard to separable convolution by block: MACs, the pair alone, measured latency.

    dense: the run's variant with standard convolutions, or "".
    """
    table = view.run.subject.table
    blocks = list(row_names(table))
    exact = standard_ratios(view)
    data: list[Trace] = [
        {
            "type": "bar",
            "name": "MACs",
            "x": blocks,
            "y": [exact[block] for block in blocks],
            "marker": {"color": "var:macs"},
            "hovertemplate": "%{x}: ×%{y:.2f}<extra>MACs</extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "the pair alone, 1/(1/N + 1/k²)",
            "x": blocks,
            "y": [pair_saving(row) for row in table.rows],
            "marker": {"color": "var:ink", "symbol": "line-ew-open", "size": 14},
            "hovertemplate": "%{x}: ×%{y:.2f}<extra>pair</extra>",
        },
    ]
    for number, (target, changes) in enumerate(measured_changes(view, dense).items()):
        shown = {block: changes[block] for block in blocks if block in changes}
        data.append(_changes_trace(label(view.label_of(target)), shown, number))
    layout = {
        "xaxis": _categories(blocks),
        "yaxis": {"title": {"text": "standard ÷ separable"}, "rangemode": "tozero"},
    }
    alt = f"Standard compared with depthwise-separable convolution in {view.name}"
    marks = sum(len(trace["x"]) for trace in data)
    return Chart(key, alt, data, layout, marks, 400, 34 * len(blocks))


def _changes_trace(where: str, changes: Mapping[str, Change], number: int) -> Trace:
    known = {block: change for block, change in changes.items() if change.ratio is not None}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"latency on {where}",
        "x": list(known),
        "y": [change.ratio for change in known.values()],
        "customdata": [change.described for change in known.values()],
        "marker": _marker(number, 9),
        "hovertemplate": "%{x}: %{customdata}<extra>%{fullData.name}</extra>",
    }


def counters_chart(reconciliation: Reconciliation, key: str) -> Chart:
    """Composition of each counter result: coefficient × quantity by term."""
    tools = [tool.reading.tool for tool in reconciliation.tools if tool.reading.printed is not None]
    stacks = {
        term: [COUNTERS[tool].coefficients.get(term, 0) * quantity for tool in tools]
        for term, quantity in reconciliation.quantities.items()
    }
    counted = {term: values for term, values in stacks.items() if any(values)}
    data = [
        {
            "type": "bar",
            "name": TERMS[term],
            "x": tools,
            "y": [v / 1e6 for v in values],
            "marker": {"color": colour(number), "pattern": {"shape": _PATTERNS[number // _PALETTE % 3]}},
            "hovertemplate": "%{x}: %{y:.2f} M<extra>%{fullData.name}</extra>",
        }
        for number, (term, values) in enumerate(counted.items())
    ]
    layout = {
        "barmode": "stack",
        "yaxis": {"title": {"text": "millions counted"}},
        "xaxis": _categories(tools),
    }
    return Chart(
        key, "What each FLOP counter counts", data, layout, len(tools) * len(counted), 440, 70 * len(tools)
    )


_PATTERNS: Final = ("", "/", "x")


def _roofline_name(peak: PeakRates, peaks: Sequence[PeakRates]) -> str:
    """Return the name of a device's roofline, with what else differs among those that are drawn."""
    dtypes, threads = {other.dtype for other in peaks}, {other.threads for other in peaks}
    more = [
        *([peak.dtype] if len(dtypes) > 1 else []),
        *([threads_of(peak.threads)] if len(threads) > 1 else []),
    ]
    return f"roofline of {', '.join([peak.name, *more])}"


def _summary(timing: Timing | None) -> Summary | None:
    return timing.summary if timing else None


def _whiskers(timing: Timing) -> tuple[float, float]:
    """Return how far p10 and p90, or the ends of a reported range, are from the time, in ms per image."""
    middle, scale = timing.seconds or 0.0, 1e3 / timing.target.batch
    if timing.without_samples:
        lows = [each.min_s for each in timing.reported if each.min_s is not None]
        highs = [each.max_s for each in timing.reported if each.max_s is not None]
        low, high = min([middle, *lows]), max([middle, *highs])
    else:
        low, high = (timing.summary.p10, timing.summary.p90) if timing.summary else (middle, middle)
    return (middle - low) * scale, (high - middle) * scale


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
    s = _summary(timing)
    if timing is None or s is None:
        return "not measured"
    text = f"{milliseconds(s.median)}, p10 {milliseconds(s.p10)}, p90 {milliseconds(s.p90)}"
    text += "<br>noisy" if timing.noisy else ""
    if timing.target.batch > 1:
        text += f"<br>{milliseconds(s.median / timing.target.batch)} per image"
    return text if share is None else f"{text}<br>{share:.1%} of the blocks' sum"


def _categories(values: Sequence[str]) -> dict[str, Any]:
    return {"type": "category", "categoryorder": "array", "categoryarray": list(values), "showgrid": False}


def _wide(view: View) -> int:
    """Return the least width in pixels at which the block names of a layers axis do not overlap."""
    return 40 * len(view.graph.blocks)


def _layers_axis(view: View) -> dict[str, Any]:
    """Put each block's name under the middle of its layers."""
    layers: dict[str, list[int]] = {}
    for number, (block, _) in enumerate(view.graph.placed()):
        layers.setdefault(block.name, []).append(number)
    middles = [(places[0] + places[-1]) / 2 for places in layers.values()]
    names = [name if len(name) <= _TICK else f"{name[: _TICK - 1]}…" for name in layers]
    return {
        "tickmode": "array",
        "tickvals": middles,
        "ticktext": names,
        "showgrid": False,
        "title": {"text": "layers in execution order, by block"},
        "tickangle": 0,
    }
