"""Drawing of the networks: a table of blocks, whose stages are bars with lengths in channels.

Each stage has its share of every metric, and the page's style colors it by the selected one. The values are
shown next to it, and the layers of a block under it if the page's address names the block, also without
script.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Final, NamedTuple

from ..analysis.view import View
from ..cost.counts import Cost, count
from ..graph.graph import Block, Graph
from ..render.html import escape, to_html
from ..render.numbers import compact, milliseconds
from ..render.sheet import format_value
from ..show.costs import block_summary
from ..show.sentences import shares, title_of
from .charts.chart import PALETTE
from .layers import MOST_LAYERS, layers_sheet
from .rows import rows_of

_HIGH: Final = 8
_SE_HIGH: Final = 4
"""Height of a stage in pixels; squeeze-excite, which has few MACs, is a thin bar."""
_GAP: Final = 2
_WIDTH: Final = 1000.0
_EDGE: Final = 70.0
"""Space on the right for the line of the identity."""
METRICS: Final = {"macs": "MACs", "params": "Parameters", "bytes": "Activation bytes", "time": "Latency"}
_NOUNS: Final = {"macs": "MACs", "params": "parameters", "bytes": "activation bytes"}


class _Stage(NamedTuple):
    kind: str
    wide_in: int
    wide_out: int
    costs: dict[str, float]

    @property
    def high(self) -> int:
        return _SE_HIGH if self.kind == "se" else _HIGH


class _Drawn(NamedTuple):
    """A network as it is drawn. shares: by metric and block. values: of the blocks, as text, likewise."""

    view: View
    stages: dict[str, list[_Stage]]
    shares: dict[str, Mapping[str, float]]
    values: dict[str, dict[str, str]]


def network_drawing(seen: Sequence[View], key: str) -> str:
    """Return the table with its metric switch, as HTML. key: unique in the page."""
    drawn = [_drawn(view) for view in seen]
    metrics = [metric for metric in METRICS if any(one.shares[metric] for one in drawn)]
    every = [stage for one in drawn for stages in one.stages.values() for stage in stages]
    scale = (_WIDTH - _EDGE) / max((max(s.wide_in, s.wide_out) for s in every), default=1)
    largest = {m: max((s.costs[m] for s in every), default=1) or 1 for m in ("macs", "params", "bytes")}
    longest = max((share for one in drawn for share in one.shares["time"].values()), default=1) or 1
    rows = "".join(
        _row(drawn, place, _Scale(scale, largest, longest), metrics)
        for place in zip(*rows_of(seen), strict=True)
    )
    where = dict.fromkeys(view.label_of(target) for view in seen if (target := view.fastest()))
    switch = "".join(_radio(m, key, ", ".join(where), checked=m == "macs") for m in metrics)
    heads = [escape(METRICS[m]) for m in metrics if m != "bytes"]
    if len(seen) > 1:
        heads = [f"{_mark(number)}{escape(view.called)}" for number, view in enumerate(seen)]
    columns = "".join(f'<th scope="col" class="n">{head}</th>' for head in heads)
    several = " several" if len(seen) > 1 else ""
    return (
        f'<div class="network{several}" id="{key}">'
        f'<fieldset class="switch"><legend>Color by</legend>{switch}</fieldset>'
        f"{_sentences(drawn, metrics)}{_key(largest, longest, metrics)}"
        '<div class="scroll" tabindex="0" role="group" aria-label="Blocks, scrollable">'
        '<table><caption class="hidden">Blocks: stages with channels to scale, and costs</caption>'
        f'<thead><tr><th scope="col">Block</th><th scope="col">Stages, channels to scale</th>{columns}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>{_legend(drawn)}</div>"
    )


class _Scale(NamedTuple):
    """Pixels per channel, the largest value of a stage by metric, and the largest share of the latency."""

    channel: float
    largest: Mapping[str, float]
    longest: float


def _drawn(view: View) -> _Drawn:
    fastest = view.fastest()
    found: dict[str, Mapping[str, float]] = {
        "macs": view.mac_shares(),
        "params": view.param_shares(),
        "bytes": view.byte_shares(),
        "time": view.time_shares(fastest) if fastest else {},
    }
    costs = {block: view.costs[block] for block in view.graph.block_names}
    moved = {b: c.read_bytes + c.write_bytes - c.weight_bytes for b, c in costs.items()}
    values = {
        "macs": {block: compact(cost.macs) for block, cost in costs.items()},
        "params": {block: compact(cost.params) for block, cost in costs.items()},
        "bytes": {block: format_value(size, "bytes") for block, size in moved.items()},
        "time": {
            block: milliseconds(view.seconds(block, fastest) or 0.0) for block in found["time"] if fastest
        },
    }
    return _Drawn(view, _stages(view.graph), found, values)


def _sentences(drawn: Sequence[_Drawn], metrics: Sequence[str]) -> str:
    """Return what the selected metric shows, a sentence for each."""
    return "".join(
        f'<p class="say by-{metric}">{escape(" ".join(_told(one, metric) for one in drawn))}</p>'
        for metric in metrics
    )


def _told(one: _Drawn, metric: str) -> str:
    before = f"{one.view.called}: " if one.view.called else ""
    known = one.shares[metric]
    if not known:
        return f"{before}Not all blocks' latencies were measured."
    if metric == "time":
        return before + shares(one.view)
    top = max(known, key=lambda block: known[block])
    what = _NOUNS[metric]
    return f"{before}Most {what}: {title_of(one.view, top)}, {one.values[metric][top]} ({known[top]:.1%})."


def _key(largest: Mapping[str, float], longest: float, metrics: Sequence[str]) -> str:
    """Return the key of the colors, with the value of the strongest."""
    ends = {
        "macs": f"{compact(largest['macs'])} MACs in a stage",
        "params": f"{compact(largest['params'])} parameters in a stage",
        "bytes": f"{format_value(round(largest['bytes']), 'bytes')} in a stage",
        "time": f"{longest:.1%} of latency in a block",
    }
    texts = "".join(f'<span class="by-{metric}">{ends[metric]}</span>' for metric in metrics)
    return f'<p class="key note"><span>0</span><i></i>{texts}</p>'


_KINDS: Final = {
    "expand": "expand 1×1",
    "fused": "fused k×k",
    "depthwise": "depthwise k×k",
    "se": "squeeze-excite (thin bar, squeezed channels)",
    "project": "project 1×1",
    "standard": "standard k×k",
}


def _legend(drawn: Sequence[_Drawn]) -> str:
    found = {stage.kind for one in drawn for stages in one.stages.values() for stage in stages}
    kinds = ", ".join(title for kind, title in _KINDS.items() if kind in found)
    several = " Numbered spots tell whose a picture is; without one it is the same in all." * (len(drawn) > 1)
    order = f"From top to bottom: {kinds}. " if kinds else "Layers are drawn in execution order. "
    return (
        f'<p class="note">The length of a bar is its number of channels. {order}'
        "The dashed line is the identity. Latency is measured per block, so all stages of a block have its "
        f"color.{several} A click on a block opens its layers.</p>"
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
    drawn: Sequence[_Drawn],
    place: tuple[Sequence[str | None], str, str],
    scale: _Scale,
    metrics: Sequence[str],
) -> str:
    """Return a block's row, and that of its layers. place: names, title and anchor."""
    row, title, anchor = place
    first = next(block for one, name in zip(drawn, row, strict=True) if (block := _block(one, name)))
    pictures = [
        (number, _drawing(block, one.stages[block.name], scale, one.shares["time"].get(block.name, 0)))
        for number, (one, name) in enumerate(zip(drawn, row, strict=True))
        if (block := _block(one, name))
    ]
    cells = _values(drawn[0], first.name, metrics) if len(drawn) == 1 else _compared(drawn, row, metrics)
    inside = "".join(_layers(one, name) for one, name in zip(drawn, row, strict=True) if name)
    wide = 2 + cells.count("<td")
    return (
        f'<tr data-block="{anchor}"><th scope="row"><a href="#{anchor}">{escape(title)}</a>'
        f"<small>{escape(block_summary(first))}</small></th>"
        f'<td class="drawn">{_marked(pictures, len(drawn))}</td>{cells}</tr>'
        f'<tr class="inside" id="{anchor}"><td colspan="{wide}">{inside}</td></tr>'
    )


def _marked(pictures: Sequence[tuple[int, str]], networks: int) -> str:
    """Return the pictures of a row, equal ones once; where they differ, with the marks of their networks."""
    by_picture: dict[str, list[int]] = {}
    for number, picture in pictures:
        by_picture.setdefault(picture, []).append(number)
    if len(by_picture) == 1 and len(pictures) == networks:
        return pictures[0][1]
    return "".join(
        f'<div class="of"><span>{"".join(map(_mark, numbers))}</span>{picture}</div>'
        for picture, numbers in by_picture.items()
    )


def _mark(number: int) -> str:
    """Return the mark of one of several networks: a spot in its color in the charts, with its number."""
    return f'<i class="mark" style="background:var(--series-{number % PALETTE + 1})">{number + 1}</i>'


def _block(one: _Drawn, name: str | None) -> Block | None:
    return one.view.graph.block(name) if name else None


def _values(one: _Drawn, block: str, metrics: Sequence[str]) -> str:
    """Return the cells of a block's costs, each with a bar: its part of the largest block's."""
    largest = {metric: max(shares.values(), default=0) or 1 for metric, shares in one.shares.items()}
    return "".join(
        f'<td class="n share" style="--part:{one.shares[m].get(block, 0) / largest[m]:.1%}">'
        f"{one.values[m].get(block, '')}</td>"
        for m in metrics
        if m != "bytes"
    )


def _compared(drawn: Sequence[_Drawn], row: Sequence[str | None], metrics: Sequence[str]) -> str:
    """Return a cell per network, with the selected metric."""
    return "".join(
        '<td class="n">'
        + "".join(f'<span class="by-{m}">{one.values[m].get(name or "", "")}</span>' for m in metrics)
        + "</td>"
        for one, name in zip(drawn, row, strict=True)
    )


def _layers(one: _Drawn, name: str) -> str:
    if len(one.view.graph.layers) > MOST_LAYERS:
        return '<p class="note">The layers of a network of this size are listed by flops --by layer.</p>'
    return to_html(layers_sheet(one.view, name))


def _drawing(block: Block, stages: list[_Stage], scale: _Scale, time: float) -> str:
    height = sum(stage.high for stage in stages) + _GAP * (len(stages) - 1)
    middle = (_WIDTH - _EDGE) / 2
    shapes = []
    top = 0
    for stage in stages:
        low = top + stage.high
        a, b = stage.wide_in * scale.channel / 2, stage.wide_out * scale.channel / 2
        # The root spreads small shares: most stages have a few percent of the largest.
        heat = ";".join(f"--by-{m}:{sqrt(stage.costs[m] / most):.3f}" for m, most in scale.largest.items())
        points = (
            f"{middle - a:.1f},{top} {middle + a:.1f},{top} {middle + b:.1f},{low} {middle - b:.1f},{low}"
        )
        title = f"{stage.kind}: {stage.wide_in}→{stage.wide_out} channels"
        style = f"{heat};--by-time:{sqrt(time / scale.longest):.3f}"
        shapes.append(
            f'<polygon class="stage" style="{style}" points="{points}"><title>{title}</title></polygon>'
        )
        top = low + _GAP
    if any(layer.op == "add" for layer in block.layers):
        right = middle + max(s.wide_out for s in stages) * scale.channel / 2 + _EDGE / 3
        reach = middle + stages[0].wide_in * scale.channel / 2
        shapes.append(f'<path class="identity" d="M{reach:.1f},1 H{right} V{height - 1} H{reach:.1f}"/>')
    label = escape(f"{block.name}: " + ", ".join(f"{s.kind} {s.wide_in} to {s.wide_out}" for s in stages))
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height}" preserveAspectRatio="none" '
        f'style="height:{height / 16:.2f}rem" role="img" aria-label="{label}">{"".join(shapes)}</svg>'
    )
