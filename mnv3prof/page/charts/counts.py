"""Charts of what standard convolutions would cost, and of what FLOP counters count."""

from collections.abc import Mapping
from typing import Final

from ...analysis.compare import Change
from ...analysis.savings import measured_changes, standard_ratios
from ...analysis.view import View
from ...cost.conventions import COUNTERS, TERMS, Reconciliation
from ...mobilenetv3.saving import pair_saving
from ...mobilenetv3.table import row_names
from .chart import PALETTE, Chart, Trace, categories, color, label, marker


def saving_chart(view: View, dense: str, key: str, anchors: Mapping[str, str]) -> Chart:
    """Ratio of standard to separable convolution by block: MACs, the pair alone, measured latency, that on
    the fastest target at first.

    dense: the run's variant with standard convolutions, or "". anchors: of the view's blocks.
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
    measured = measured_changes(view, dense)
    first = fastest if (fastest := view.fastest()) in measured else next(iter(measured), None)
    for number, (target, changes) in enumerate(measured.items(), 1):  # the bars have the first color
        shown = {block: changes[block] for block in blocks if block in changes}
        trace = _changes_trace(label(view.label_of(target)), shown, number)
        data.append({**trace, "visible": True if target == first else "legendonly"})
    layout = {
        "xaxis": categories(blocks),
        "yaxis": {"title": {"text": "standard ÷ separable"}, "rangemode": "tozero"},
    }
    alt = f"Standard compared with depthwise-separable convolution in {view.name}"
    marks = sum(len(trace["x"]) for trace in data)
    spans = {anchors[block]: (n - 0.5, n + 0.5) for n, block in enumerate(blocks)}
    return Chart(key, alt, data, layout, marks, 400, 34 * len(blocks), spans=spans, switches=True)


def _changes_trace(where: str, changes: Mapping[str, Change], number: int) -> Trace:
    known = {block: change for block, change in changes.items() if change.ratio is not None}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"latency on {where}",
        "x": list(known),
        "y": [change.ratio for change in known.values()],
        "customdata": [change.described for change in known.values()],
        "marker": marker(number, 9),
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
            "marker": {"color": color(number), "pattern": {"shape": _PATTERNS[number // PALETTE % 3]}},
            "hovertemplate": "%{x}: %{y:.2f} M<extra>%{fullData.name}</extra>",
        }
        for number, (term, values) in enumerate(counted.items())
    ]
    layout = {
        "barmode": "stack",
        "yaxis": {"title": {"text": "millions counted"}},
        "xaxis": categories(tools),
    }
    return Chart(
        key, "What each FLOP counter counts", data, layout, len(tools) * len(counted), 440, 70 * len(tools)
    )


_PATTERNS: Final = ("", "/", "x")
