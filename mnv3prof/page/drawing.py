"""Drawing of the network: a table of blocks, whose stages are bars with lengths in channels.

Each stage has its share of every metric, and the page's style colours it by the selected one. The values are
shown next to it, also without script.
"""

from collections.abc import Mapping
from math import sqrt
from typing import Final, NamedTuple

from ..analysis.view import View
from ..cost.counts import Cost, count
from ..graph.graph import Block, Graph
from ..render.html import escape
from ..render.sheet import format_value
from ..show.costs import block_summary

_HIGH: Final = 18
_SE_HIGH: Final = 10
"""Height of a stage in pixels; squeeze-excite, which has few MACs, is a thin bar."""
_WIDTH: Final = 1000.0
_EDGE: Final = 70.0
"""Space on the right for the line of the identity."""
METRICS: Final = {"macs": "MACs", "params": "Parameters", "bytes": "Activation bytes", "time": "Latency"}


class _Stage(NamedTuple):
    kind: str
    wide_in: int
    wide_out: int
    costs: dict[str, float]

    @property
    def high(self) -> int:
        return _SE_HIGH if self.kind == "se" else _HIGH


def network_drawing(view: View, key: str) -> str:
    """Return the table with its metric switch, as HTML. key: unique in the page."""
    fastest = view.fastest()
    times = view.time_shares(fastest) if fastest else {}
    where = view.label_of(fastest) if fastest else ""
    metrics = [metric for metric in METRICS if metric != "time" or times]
    stages = _stages(view.graph)
    scale = (_WIDTH - _EDGE) / max(
        max(s.wide_in, s.wide_out) for block_stages in stages.values() for s in block_stages
    )
    peaks = {
        m: max(s.costs[m] for block_stages in stages.values() for s in block_stages) or 1
        for m in ("macs", "params", "bytes")
    }
    longest = max(times.values(), default=1) or 1
    shares = {
        "macs": view.mac_shares(),
        "params": view.param_shares(),
        "bytes": view.byte_shares(),
        "time": times,
    }
    rows = [
        _row(block, stages[block.name], scale, peaks, times.get(block.name, 0) / longest, shares)
        for block in view.graph.blocks
    ]
    switch = "".join(_radio(metric, key, where, checked=metric == "macs") for metric in metrics)
    return (
        f'<div class="network" id="{key}">'
        f'<fieldset class="switch"><legend>Colour by</legend>{switch}</fieldset>'
        '<table><caption class="hidden">Blocks: stages with channels to scale, and shares</caption>'
        '<thead><tr><th scope="col">Block</th><th scope="col">Stages, channels to scale</th>'
        '<th scope="col" class="n">Share</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{_legend(stages)}</div>"
    )


_KINDS: Final = {
    "expand": "expand 1×1",
    "fused": "fused k×k",
    "depthwise": "depthwise k×k",
    "se": "squeeze-excite (thin bar, squeezed channels)",
    "project": "project 1×1",
    "standard": "standard k×k",
}


def _legend(stages: Mapping[str, list[_Stage]]) -> str:
    found = {stage.kind for block_stages in stages.values() for stage in block_stages}
    kinds = ", ".join(title for kind, title in _KINDS.items() if kind in found)
    order = f"From top to bottom: {kinds}. " if kinds else "Layers are drawn in execution order. "
    return (
        f'<p class="note">The length of a bar is its number of channels. {order}'
        "The dashed line is the identity. Latency is measured per block, so all stages of a block have its "
        "colour.</p>"
    )


def _radio(metric: str, key: str, where: str, *, checked: bool) -> str:
    text = METRICS[metric] if metric != "time" else f"{METRICS[metric]} on {escape(where)}"
    on = " checked" if checked else ""
    return f'<label><input type="radio" name="{key}-metric" value="{metric}"{on}>{text}</label>'


def _stages(graph: Graph) -> dict[str, list[_Stage]]:
    """Return the stages by block: a convolution and what follows it until the next."""
    stages_of: dict[str, list[_Stage]] = {block.name: [] for block in graph.blocks}
    before: dict[str, float] = {}  # a padding or pool at the start of a block
    for (block, layer), cost in zip(graph.placed(), count(graph), strict=True):
        stages, costs = stages_of[block.name], _parts(cost)
        squeezes = layer.role == "se_pool"
        if squeezes or (layer.operation.weighted and not layer.role.startswith("se_")):
            kind = "se" if squeezes else layer.role or layer.op
            stages.append(_Stage(kind, *layer.widths, _sum(before, costs)))
            before = {}
        elif stages:
            last = stages[-1]
            squeezed = (layer.widths[1],) * 2 if layer.role == "se_reduce" else (last.wide_in, last.wide_out)
            stages[-1] = _Stage(last.kind, *squeezed, _sum(last.costs, costs))
        else:
            before = _sum(before, costs)
    return stages_of


def _sum(some: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    return {metric: some.get(metric, 0) + value for metric, value in others.items()}


def _parts(cost: Cost) -> dict[str, float]:
    moved = cost.read_bytes + cost.write_bytes - cost.weight_bytes
    return {"macs": cost.macs or 0, "params": cost.params, "bytes": moved}


def _row(
    block: Block,
    stages: list[_Stage],
    scale: float,
    peaks: Mapping[str, float],
    time: float,
    shares: Mapping[str, Mapping[str, float]],
) -> str:
    values = "".join(
        f'<span class="by-{metric}">{format_value(by_block[block.name], "share").strip()}</span>'
        for metric, by_block in shares.items()
        if block.name in by_block
    )
    drawn = _drawing(block, stages, scale, peaks, time)
    what = escape(block_summary(block))
    return (
        f'<tr><th scope="row">{escape(block.name)}<small>{what}</small></th><td class="drawn">{drawn}</td>'
        f'<td class="n">{values}</td></tr>'
    )


def _drawing(
    block: Block, stages: list[_Stage], scale: float, peaks: Mapping[str, float], time: float
) -> str:
    height = sum(stage.high for stage in stages) + 4 * (len(stages) - 1)
    middle = (_WIDTH - _EDGE) / 2
    shapes = []
    top = 0
    for stage in stages:
        low = top + stage.high
        a, b = stage.wide_in * scale / 2, stage.wide_out * scale / 2
        # The root spreads small shares: most stages have a few percent of the largest.
        heat = ";".join(f"--by-{m}:{sqrt(stage.costs[m] / peaks[m]):.3f}" for m in peaks)
        points = (
            f"{middle - a:.1f},{top} {middle + a:.1f},{top} {middle + b:.1f},{low} {middle - b:.1f},{low}"
        )
        title = f"{stage.kind}: {stage.wide_in}→{stage.wide_out} channels"
        style = f"{heat};--by-time:{sqrt(time):.3f}"
        shapes.append(
            f'<polygon class="stage" style="{style}" points="{points}"><title>{title}</title></polygon>'
        )
        top = low + 4
    if any(layer.op == "add" for layer in block.layers):
        right = middle + max(s.wide_out for s in stages) * scale / 2 + _EDGE / 3
        reach = middle + stages[0].wide_in * scale / 2
        shapes.append(f'<path class="identity" d="M{reach:.1f},1 H{right} V{height - 1} H{reach:.1f}"/>')
    label = escape(f"{block.name}: " + ", ".join(f"{s.kind} {s.wide_in} to {s.wide_out}" for s in stages))
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height}" preserveAspectRatio="none" '
        f'style="height:{height / 16:.2f}rem" role="img" aria-label="{label}">{"".join(shapes)}</svg>'
    )
