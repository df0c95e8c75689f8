"""Charts of the whole network and of the shares of its blocks."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from ...analysis.side_by_side import Compared, compared_times
from ...analysis.view import View
from ...graph.parts import NET
from ...record.target import Target
from ...render.numbers import milliseconds
from ..rows import Rows, rows_of
from .chart import Chart, Trace, categories, color, error_bars, label, network_names, whiskers

_SERIES: Final = ("macs", "params", "bytes", "time")


def net_chart(seen: Sequence[View], key: str) -> Chart:
    """Latency of the whole network on every target, per image, with p10 to p90 as whiskers; of several runs
    beside each other. Targets of a single run that have no time are named below the others.
    """
    rows = compared_times(seen)
    rows.sort(key=lambda row: min(seconds for seconds in row.times if seconds is not None))
    rows.reverse()  # the axis begins at the bottom
    traces = [_bars_of(view, number, rows, len(seen)) for number, view in enumerate(seen)]
    absent = _without_times(seen[0]) if len(seen) == 1 else []
    named = [*absent, *(traces[0]["y"] if len(seen) == 1 else [label(row.label) for row in rows])]
    if absent:
        traces.append(
            {"type": "bar", "orientation": "h", "y": absent, "x": [0] * len(absent), "hoverinfo": "skip"}
        )
    timings = [
        timing for view in seen for target in view.grid.targets if (timing := view.timing(NET, target))
    ]
    reported = any(timing.without_samples for timing in timings)
    unit = "ms per image" if any(timing.target.batch > 1 for timing in timings) else "ms"
    layout = {
        "xaxis": {
            "title": {"text": f"{unit}; whiskers p10 to p90{', or the reported range' if reported else ''}"},
            "rangemode": "tozero",
        },
        "yaxis": {"automargin": True, "categoryorder": "array", "categoryarray": named},
        "showlegend": len(seen) > 1,
        "legend": {"traceorder": "reversed"},
        "barmode": "group",
    }
    marks = sum(len(trace["x"]) for trace in traces)
    alt = f"Latency of {network_names(seen)} on {len(rows)} targets"
    return Chart(key, alt, traces[::-1], layout, marks, 90 + (14 + 20 * len(seen)) * len(named))


def _without_times(view: View) -> list[str]:
    """Return the targets on which the whole network was tried and has no time, with their status."""
    if NET not in view.grid.same:
        return []
    found = [(target, view.grid.at(NET, target)) for target in view.grid.targets]
    return [
        f"{label(view.label_of(target))}: {timing.status}"
        for target, timing in found
        if timing and timing.per_image is None
    ]


def _bars_of(view: View, number: int, rows: Sequence[Compared], views: int) -> Trace:
    """Return the bars of one view, its times in the labels if it is alone."""
    shown = [row for row in rows if row.times[number] is not None]
    times = [row.times[number] or 0.0 for row in shown]
    targets = [row.targets[number] for row in shown]
    timings = [view.timing(NET, target) if target else None for target in targets]
    ends = [whiskers(timing) for timing in timings if timing]
    return {
        "type": "bar",
        "orientation": "h",
        "name": label(view.called) or "network",
        "y": [
            f"{label(row.label)}, {milliseconds(seconds)}{' ~' if timing and timing.noisy else ''}"
            if views == 1
            else label(row.label)
            for row, seconds, timing in zip(shown, times, timings, strict=True)
        ],
        **({} if views == 1 else {"text": [milliseconds(seconds) for seconds in times], **_INSIDE}),
        "x": [seconds * 1e3 for seconds in times],
        "hovertemplate": "%{y}: %{x:.3f} ms<extra>%{fullData.name}</extra>",
        "marker": {"color": "var:time" if views == 1 else color(number)},
        "error_x": error_bars(ends, 4),
    }


_INSIDE: Final = {"textposition": "inside", "insidetextanchor": "start", "textfont": {"color": "var:paper"}}
_HIGH: Final = 0.78
"""Height of one of the charts of shares_chart, as a share of the distance between two."""


_TALL: Final = 2.5
"""A bar this many times as high as the next lower one is cut, so that the others can be read."""


_ABOVE: Final = 1.3
"""Height at which it is cut, by the next lower one."""


def shares_chart(seen: Sequence[View], key: str) -> Chart:
    """Share of MACs, parameters, activation bytes, and latency on the fastest target by block: a chart above
    another for each, with a scale of its own.
    """
    rows = rows_of(seen)
    blocks = rows.titles
    metrics = _metrics(seen)
    data: list[Trace] = []
    layout: dict[str, Any] = {
        "barmode": "group",
        "bargap": 0.25,
        "annotations": [],
        "showlegend": len(seen) > 1,
        "legend": {"y": 1.06},  # above the heading of the first chart
    }
    for place, (token, (name, by_view)) in enumerate(zip(_SERIES, metrics.items(), strict=False)):
        axis = str(place + 1 if place else "")
        values = [[shares.get(row[n] or "", 0.0) for row in rows.names] for n, shares in enumerate(by_view)]
        data += [
            _share_bars(view, n, token, axis, blocks, values[n], several=len(seen) > 1)
            for n, view in enumerate(seen)
        ]
        top, cut = _cut(values)
        layout |= _axes(axis, blocks, place, len(metrics), top)
        layout["annotations"] += [
            _heading(name, axis),
            *(_beyond(blocks[at], value, top, axis) for at, value in cut.items()),
        ]
    alt = f"Shares of {network_names(seen)} by block: {', '.join(metrics)}"
    marks = len(blocks) * len(data)
    return Chart(
        key, alt, data, layout, marks, 150 + 110 * len(metrics), 24 * len(blocks), spans=rows.on_axis()
    )


def _axes(axis: str, blocks: Sequence[str], place: int, of: int, top: float) -> Trace:
    """Return the axes of one of several charts, the first of which is at the top."""
    low = 1 - (place + _HIGH) / of
    return {
        f"xaxis{axis}": {
            **categories(blocks),
            "anchor": f"y{axis}",
            "showticklabels": place == of - 1,
            **({"matches": "x"} if place else {}),
        },
        f"yaxis{axis}": {
            "domain": [max(low, 0.0), low + _HIGH / of],
            "tickformat": ".0%",
            "range": [0, top],
            "nticks": 4,
            "anchor": f"x{axis}",
        },
    }


def _metrics(seen: Sequence[View]) -> dict[str, list[Mapping[str, float]]]:
    """Return the shares by block in each view, by metric."""
    found: dict[str, list[Mapping[str, float]]] = {
        "MACs": [view.mac_shares() for view in seen],
        "parameters": [view.param_shares() for view in seen],
        "activation bytes": [view.byte_shares() for view in seen],
    }
    fastest = [view.fastest() for view in seen]
    times = [view.time_shares(target) if target else {} for view, target in zip(seen, fastest, strict=True)]
    where = dict.fromkeys(view.label_of(target) for view, target in zip(seen, fastest, strict=True) if target)
    if any(times):
        found[f"latency on {', '.join(where)}"] = list(times)
    return found


def _share_bars(
    view: View, number: int, token: str, axis: str, blocks: list[str], values: list[float], *, several: bool
) -> Trace:
    return {
        "type": "bar",
        "name": label(view.called) or token,
        "x": blocks,
        "y": values,
        "xaxis": f"x{axis}",
        "yaxis": f"y{axis}",
        "marker": {"color": color(number) if several else f"var:{token}"},
        "legendgroup": str(number),
        "showlegend": several and not axis,
        "hovertemplate": "%{x}: %{y:.1%}<extra>%{fullData.name}</extra>",
    }


def _cut(values: Sequence[Sequence[float]]) -> tuple[float, dict[int, float]]:
    """Return the end of the axis, and the bars that are cut there, by their number: up to three, and at most
    a quarter of them, or one.
    """
    highest = [max(each) for each in zip(*values, strict=True)]
    ordered = sorted(highest, reverse=True)
    most = min(3, max(1, len(ordered) // 4))
    for above, below in pairwise(ordered[: most + 1]):
        if below and above > _TALL * below:
            top = below * _ABOVE
            return top, {n: value for n, value in enumerate(highest) if value > top}
    return (ordered[0] * 1.1 if ordered and ordered[0] else 1.0), {}


def _heading(name: str, axis: str) -> Trace:
    return {
        "text": f"<b>{label(name)}</b>", "x": 0, "xref": "paper", "xanchor": "left", "y": 1,
        "yanchor": "bottom", "yref": f"y{axis} domain", "showarrow": False,
    }  # fmt: skip


def _beyond(block: str, value: float, top: float, axis: str) -> Trace:
    """Write the value of a bar that is cut at the end of the axis."""
    return {
        "text": f"{value:.0%} ↑", "x": block, "y": top, "xref": f"x{axis}", "yref": f"y{axis}",
        "yanchor": "top", "xanchor": "right", "xshift": -8, "showarrow": False, "bgcolor": "var:paper",
    }  # fmt: skip


def where_chart(seen: Sequence[View], key: str) -> Chart:
    """Latency of each block on the fastest target, of several runs beside each other; MACs if not all blocks
    of any were timed.
    """
    rows = rows_of(seen)
    several = len(seen) > 1
    data = [
        _block_bars(view, number, target, rows, several=several)
        for number, view in enumerate(seen)
        if (target := view.fastest()) and view.time_shares(target)
    ]
    unit, what = "ms per block", "Latency"
    if not data:
        unit, what = "million MACs per block", "MACs"
        data = [_mac_bars(view, number, rows, several=several) for number, view in enumerate(seen)]
    layout = {
        "xaxis": categories(rows.titles),
        "yaxis": {"title": {"text": unit}, "rangemode": "tozero"},
        "showlegend": several,
        "barmode": "group",
        "bargap": 0.25,
    }
    alt = f"{what} of each block of {network_names(seen)}"
    marks = sum(len(trace["x"]) for trace in data)
    return Chart(key, alt, data, layout, marks, 250, 24 * len(rows.titles), spans=rows.on_axis())


def _mac_bars(view: View, number: int, rows: Rows, *, several: bool) -> Trace:
    titled = zip(rows.names, rows.titles, strict=True)
    pairs = [(name, title) for row, title in titled if (name := row[number])]
    return {
        "type": "bar",
        "name": label(view.called) or "MACs",
        "x": [title for _, title in pairs],
        "y": [view.costs[name].macs / 1e6 for name, _ in pairs],
        "marker": {"color": color(number) if several else "var:macs"},
        "hovertemplate": "%{x}: %{y:.3f} M<extra>%{fullData.name}</extra>",
    }


def _block_bars(view: View, number: int, target: Target, rows: Rows, *, several: bool) -> Trace:
    """Return a bar for each block of a view, with p10 to p90 as whiskers."""
    shares = view.time_shares(target)
    titled = zip(rows.names, rows.titles, strict=True)
    pairs = [(name, title) for row, title in titled if (name := row[number])]
    timings = [timing for name, _ in pairs if (timing := view.timing(name, target))]
    ends = [whiskers(timing, per_image=False) for timing in timings]
    return {
        "type": "bar",
        "name": label(view.called) or "latency",
        "x": [title for _, title in pairs],
        "y": [(timing.seconds or 0.0) * 1e3 for timing in timings],
        "customdata": [[shares[name]] for name, _ in pairs],
        "marker": {"color": color(number) if several else "var:time"},
        "error_y": error_bars(ends, 2),
        "hovertemplate": "%{x}: %{y:.3f} ms, %{customdata[0]:.1%}<extra>%{fullData.name}</extra>",
    }
