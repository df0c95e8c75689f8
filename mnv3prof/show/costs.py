"""The sheets of `table` and `flops`: the network on paper, and its cost block by block."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ..arch.layers import Graph
from ..arch.table import ACTIVATIONS, adds_identity, head_width, in_widths, squeeze_width
from ..cost.counts import BatchNorm, By, Cost, Dtype, Totals, subtotals, total
from .sheet import Column, Sheet

_TABLE_COLUMNS: Final = (
    Column("block", "Block", "text"),
    Column("in", "In"),
    Column("expand", "Expand"),
    Column("out", "Out"),
    Column("kernel", "Kernel", "shape"),
    Column("stride", "Stride"),
    Column("dilation", "Dilation", importance=7),
    Column("squeeze", "SE"),
    Column("activation", "Act", "text"),
    Column("ratio", "Expand/in", "ratio", importance=3),
    Column("in_size", "In size", "shape", importance=4),
    Column("out_size", "Out size", "shape", importance=1),
    Column("identity", "Identity", "text", importance=2),
)

_COST_COLUMNS: Final = (
    Column("share", "Share of MACs", "share", importance=1),
    Column("macs", "MACs"),
    Column("flops", "FLOPs", importance=4),
    Column("params", "Params"),
    Column("weight_bytes", "Weights", "bytes", importance=6),
    Column("read_bytes", "Read", "bytes", importance=7),
    Column("write_bytes", "Written", "bytes", importance=8),
    Column("intensity", "FLOP/byte", "number", importance=5),
)

_OPTIONS: Final = (
    "conv", "norm_between", "se_ratio", "se_form", "se_activation", "se_gate", "divisor", "dropout",
    "bn_eps", "bn_momentum",
)  # fmt: skip

MAC: Final = "1 MAC = one multiply-accumulate of a convolution or linear layer"
NORMS: Final[dict[BatchNorm, str]] = {
    "folded": "batch norm folded into its convolution, activations applied as it stores",
    "separate": "batch norm and activations run by themselves",
}


def size_of(graph: Graph) -> str:
    """The input as a user writes it: "224×224", height first."""
    return f"{graph.input[0]}×{graph.input[1]}"


def titled(graph: Graph, what: str) -> str:
    """A sheet's title: what it shows of which network at which input."""
    return f"{graph.table.name} at {size_of(graph)}: {what}"


def table_sheet(graph: Graph) -> Sheet:
    """The table with what follows from it: input widths, spatial sizes, expansion ratios."""
    table = graph.table
    sizes = _out_sizes(graph)
    codes = (table.stem_activation, *(row.activation for row in table.rows), table.head_activation)
    rows: list[tuple[object, ...]] = [
        ("stem", 3, None, table.stem, (3, 3), 2, 1, None, codes[0], None, graph.input, sizes["stem"], "")
    ]
    before = sizes["stem"]
    for number, (row, width) in enumerate(zip(table.rows, in_widths(table), strict=True), 1):
        after = sizes[str(number)]
        squeeze = squeeze_width(table, row) if row.se else None
        identity = "yes" if adds_identity(row, width) else ""
        rows.append((
            str(number), width, row.expand, row.out, (row.kernel, row.kernel), row.stride, row.dilation,
            squeeze, row.activation, row.expand / width, before, after, identity,
        ))  # fmt: skip
        before = after
    head = head_width(table)
    last = table.rows[-1].out
    rows.append(("head", last, None, head, (1, 1), 1, 1, None, codes[-1], None, before, (1, 1), ""))
    rows.append(("classifier", head, table.last, table.classes, *[None] * 4, codes[-1], *[None] * 3, ""))
    used = dict.fromkeys(codes)
    legend = ", ".join(f"{code} = {ACTIVATIONS[code]}" for code in used)
    notes = (
        "Widths in channels, sizes height × width in pixels; SE is the squeezed width. "
        f"{legend}. The head ends in average pooling, the classifier's hidden width stands under Expand.",
        *_options(graph),
    )
    return Sheet(titled(graph, "layer table"), _TABLE_COLUMNS, tuple(rows), notes=notes)


def cost_sheet(
    graph: Graph, costs: Sequence[Cost], by: By = "block", dtype: Dtype = "fp32", norm: BatchNorm = "folded"
) -> Sheet:
    """What every block, operation or layer costs, its share of the whole, and the totals."""
    whole = total(costs)
    groups = subtotals(graph, costs, by)
    heads, leads = _LEADS[by](graph, groups)
    rows = tuple((*lead, *_figures(group, whole)) for lead, group in zip(leads, groups, strict=True))
    sums = (whole.layers if column.key == "layers" else "" for column in heads[1:])
    totals = (("total", *sums, *_figures(whole, whole)),)
    note = (
        f"{MAC}; FLOPs = 2 × MACs + every other operation; bytes at {dtype}, batch 1, "
        f"each tensor moved once, {NORMS[norm]}."
    )
    return Sheet(titled(graph, f"cost by {by}"), (*heads, *_COST_COLUMNS), rows, totals, (note,))


def _figures(group: Totals, whole: Totals) -> tuple[object, ...]:
    share = group.macs / whole.macs if whole.macs else 0.0
    return (
        share, group.macs, group.flops, group.params,
        group.weight_bytes, group.read_bytes, group.write_bytes, group.intensity,
    )  # fmt: skip


Lead = tuple[tuple[Column, ...], list[tuple[object, ...]]]
"""The columns that say what a row is about, and their values row by row."""


def _by_block(graph: Graph, groups: Sequence[Totals]) -> Lead:
    shapes = _block_shapes(graph)
    columns = (
        Column("block", "Block", "text"),
        Column("operator", "Operator", "text", importance=3),
        Column("out_shape", "Output", "shape", importance=2),
    )
    return columns, [(g.name, block_summary(graph, g.name), shapes[g.name]) for g in groups]


def _by_op(_: Graph, groups: Sequence[Totals]) -> Lead:
    columns = Column("op", "Operation", "text"), Column("layers", "Layers")
    return columns, [(g.name, g.layers) for g in groups]


def _by_layer(graph: Graph, _: Sequence[Totals]) -> Lead:
    columns = (
        Column("name", "Layer", "text"),
        Column("block", "Block", "text", importance=7),
        Column("op", "Operation", "text", importance=2),
        Column("in_shape", "Input", "shape", importance=6),
        Column("out_shape", "Output", "shape", importance=3),
    )
    return columns, [(x.name, x.block, x.op, x.in_shape, x.out_shape) for x in graph.layers]


_LEADS: Final = {"block": _by_block, "op": _by_op, "layer": _by_layer}


def block_summary(graph: Graph, block: str) -> str:
    """A block in a few words: "24→72→40, 5×5 /2, SE, RE"."""
    table = graph.table
    if block == "stem":
        return f"3→{table.stem}, 3×3 /2, {table.stem_activation}"
    if block == "head":
        return f"{table.rows[-1].out}→{head_width(table)}, 1×1, {table.head_activation}, pool"
    if block == "classifier":
        return f"{head_width(table)}→{table.last}→{table.classes}, {table.head_activation}"
    number = int(block) - 1
    row, width = table.rows[number], in_widths(table)[number]
    kernel = f"{row.kernel}×{row.kernel}" + (f" /{row.stride}" if row.stride > 1 else "")
    dilation = [f"dilated {row.dilation}"] if row.dilation > 1 else []
    widths = f"{width}→{row.expand}→{row.out}" if row.expand != width else f"{width}→{row.out}"
    parts = [widths, kernel, *dilation, *(["SE"] if row.se else []), row.activation]
    return ", ".join(parts)


def _block_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {layer.block: layer.out_shape for layer in graph.layers}


def _out_sizes(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {block: shape[1:] for block, shape in _block_shapes(graph).items()}


def _options(graph: Graph) -> list[str]:
    """The table's options that are not the paper's, in one sentence."""
    table = graph.table
    paper = {field.name: field.default for field in msgspec.structs.fields(table)}
    changed = [f"{name} = {getattr(table, name)}" for name in _OPTIONS if getattr(table, name) != paper[name]]
    return [f"Options other than the paper's: {', '.join(changed)}."] if changed else []
