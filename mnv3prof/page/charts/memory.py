"""Charts of the memory of activations."""

from collections.abc import Mapping, Sequence

from ...analysis.view import View
from ...cost.memory import Arena, Peaks, peaks
from ..rows import rows_of
from .chart import (
    Chart,
    Trace,
    categories,
    color,
    label,
    layer_spans,
    layers_axis,
    network_names,
    wide_layers,
)


def memory_chart(view: View, found: Peaks, key: str, anchors: Mapping[str, str]) -> Chart:
    """Live bytes in each layer, by definition of the peak. anchors: of the view's blocks."""
    named = (("PyTorch eager", found.eager), ("unfused", found.unfused), ("fused", found.fused))
    names = [layer.name for layer in view.graph.layers]
    data: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": list(range(len(names))),
            "y": [size / 2**20 for size in peak.layers],
            "text": names,
            "line": {"shape": "hvh", "width": 2 if name == "fused" else 1.2, "color": color(number)},
            "fill": "tozeroy" if name == "fused" else "none",
            "hovertemplate": "%{text}: %{y:.2f} MiB<extra>%{fullData.name}</extra>",
        }
        for number, (name, peak) in enumerate(named)
        if peak is not None
    ]
    top = found.fused
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
    layout = {"xaxis": layers_axis(view), "yaxis": {"title": {"text": "live MiB"}, "rangemode": "tozero"}}
    alt = f"Activation memory of {view.name} by layer"
    marks = len(names) * (len(data) - 1) + 1
    return Chart(key, alt, data, layout, marks, 380, wide_layers(view), spans=_spans(view, anchors))


def block_memory_chart(seen: Sequence[View], key: str) -> Chart:
    """Most live bytes in each block of several networks, fused."""
    rows = rows_of(seen)
    blocks = rows.titles
    data: list[Trace] = []
    for number, view in enumerate(seen):
        live = dict(
            zip(view.graph.block_names, peaks(view.graph, view.dtype, view.batch).fused.blocks, strict=True)
        )
        data.append(
            {
                "type": "bar",
                "name": label(view.called),
                "x": blocks,
                "y": [live.get(row[number] or "", 0) / 2**20 for row in rows.names],
                "marker": {"color": color(number)},
                "hovertemplate": "%{x}: %{y:.2f} MiB<extra>%{fullData.name}</extra>",
            }
        )
    layout = {
        "barmode": "group",
        "bargap": 0.25,
        "xaxis": categories(blocks),
        "yaxis": {"title": {"text": "live MiB, fused"}, "rangemode": "tozero"},
    }
    alt = f"Activation memory by block of {network_names(seen)}"
    marks = len(blocks) * len(data)
    return Chart(key, alt, data, layout, marks, 320, 24 * len(blocks), spans=rows.on_axis())


def arena_chart(view: View, arena: Arena, key: str, top: int, anchors: Mapping[str, str]) -> Chart:
    """Planned arena: offset of each tensor (upwards) over its lifetime in layers (to the right).

    top: end of the axis, in bytes. anchors: of the view's blocks.
    """
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
            "color": [color(n) for n in range(len(placed))],
            "opacity": 0.85,
            "line": {"width": 0.5, "color": "var:paper"},
        },
        "hovertemplate": "%{text}<br>%{customdata[1]:,} bytes at offset %{customdata[0]:,}<extra></extra>",
    }
    layout = {
        "xaxis": layers_axis(view),
        "showlegend": False,
        "barmode": "overlay",
        "yaxis": {"title": {"text": "offset in the arena, MiB"}, "range": [0, top * 1.04 / 2**20]},
    }
    alt = f"Placement of the tensors of {view.name} in its arena"
    return Chart(key, alt, [bars], layout, len(placed), 380, wide_layers(view), spans=_spans(view, anchors))


def _spans(view: View, anchors: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    return {anchors[name]: ends for name, ends in layer_spans(view).items()}
