"""Sheets of `table` and `flops`: the layer table, and the computed costs."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Final

from ..cost.counts import BatchNorm, By, Cost, Dtype, Totals, group_of, subtotals, total
from ..graph.errors import InputError
from ..graph.graph import Block, Geometry, Graph, Layer, Shape
from ..graph.parts import CLASSIFIER, part_layers, ranges
from ..mobilenetv3.fields import ACTIVATIONS
from ..mobilenetv3.stages import ConvStage, RowStages, row_stages
from ..mobilenetv3.table import Table, row_names, squeeze_width
from ..mobilenetv3.writing import ROW_OPTIONS, options
from ..record.run import Subject
from ..render.sheet import AtLeast, Column, Sheet
from .order import UNSORTED, Order, live_bytes

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

_SHOWN: Final = (
    "name",
    "rows",
    "channels",
    "stem",
    "stem_kernel",
    "stem_stride",
    "classes",
    "stem_activation",
    "head_activation",
)
"""Fields that the table itself shows."""

MAC: Final = "1 MAC = one multiply-accumulate of a convolution, linear layer or matrix product"
NORMS: Final[dict[BatchNorm, str]] = {
    "folded": "batch norm folded into its convolution, activations applied as it stores",
    "separate": "batch norm and activations run by themselves",
}


def at_least(group: Totals, field: str) -> str:
    """Return the prefix of macs or flops that are a lower bound, or ""."""
    return "at least " if (group.uncounted if field == "macs" else group.unpriced) else ""


def products(group: Totals) -> tuple[int | None, int | None]:
    """Return MACs and FLOPs of a group; lower bounds, or None for 0, if an operation is not counted."""
    pairs = ((group.macs, group.uncounted), (group.flops, group.unpriced))
    macs, flops = ((AtLeast(value) if value else None) if missing else value for value, missing in pairs)
    return macs, flops


def titled(graph: Graph, what: str) -> str:
    """Return the title of a sheet: network, input size and content."""
    return f"{graph.name} at {graph.size}: {what}"


def table_sheet(subject: Subject) -> Sheet:
    """Return the layer table with derived shapes and expansion ratios."""
    table, graph = subject.table, subject.graph
    ends = [block.layers[-1].out_shape for block in graph.blocks]
    inner = {row.name: row for row in row_stages(table)}
    rows: list[tuple[object, ...]] = []
    for block, before, after in zip(graph.blocks, (graph.inputs[0].shape, *ends[:-1]), ends, strict=True):
        if block.name in inner:
            rows.append(_block_row(table, inner[block.name], before[1:], after[1:]))
        else:
            rows += _outer_rows(block, before)
    codes = dict.fromkeys(code for row in rows if (code := str(row[8] or "")))
    legend = ", ".join(f"{code} = {ACTIVATIONS[code]}" for code in codes if code in ACTIVATIONS)
    notes = (
        f"Widths in channels, sizes height × width in pixels; SE is the squeezed width. {legend}.",
        *_tail_note(table),
        *_options(table),
    )
    return Sheet(titled(graph, "layer table"), _TABLE_COLUMNS, tuple(rows), notes=notes)


def _tail_note(table: Table) -> list[str]:
    """Say where the pool is."""
    if not table.classes:
        return []
    begins = table.head == ()
    return ["The classifier begins with average pooling." if begins else "The head ends in average pooling."]


def _block_row(
    table: Table, stages: RowStages, before: tuple[int, ...], after: tuple[int, ...]
) -> tuple[object, ...]:
    row, width = table.rows[stages.number - 1], stages.in_width
    convs = [stage for stage in stages.stages if isinstance(stage, ConvStage)]
    # A fused row without expansion is its projection alone.
    spatial = max(convs, key=lambda stage: stage.role in ("depthwise", "fused", "standard"))
    activated = any(
        stage.activation for stage in stages.stages if stage.role not in ("project", "standard", "se")
    )
    return (
        stages.name,
        width,
        row.expand,
        row.out,
        (spatial.kernel, spatial.kernel),
        _stride(spatial.stride),
        spatial.dilation,
        squeeze_width(table, row, width) if row.se else None,
        row.activation if activated else "",
        row.expand / width,
        before,
        after,
        "yes" if stages.adds else "",
    )


def _stride(stride: tuple[int, ...]) -> object:
    """Return one number for both axes, else height×width."""
    return stride[0] if len(set(stride)) == 1 else _sides(stride)


def _outer_rows(block: Block, before: Shape) -> Iterator[tuple[object, ...]]:
    """Yield a row for each convolution or linear layer of the stem, head or classifier."""
    starts = [n for n, layer in enumerate(block.layers) if layer.operation.weighted]
    inside = block.name == CLASSIFIER
    names = (
        [*_numbered("hidden", len(starts) - 1), CLASSIFIER] if inside else _numbered(block.name, len(starts))
    )
    for name, start, end in zip(names, starts, [*starts[1:], len(block.layers)], strict=True):
        layers = block.layers[start:end]
        yield _outer_row(name, layers, None if inside else before)
        before = layers[-1].out_shape


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name} {number}" for number in range(1, count + 1)]


def _outer_row(name: str, layers: Sequence[Layer], before: Shape | None) -> tuple[object, ...]:
    """Return the row of a product and what follows it. before: None behind the pool, where sizes are 1×1."""
    product = layers[0]
    activation = next((op.code for layer in layers if (op := layer.operation).kind == "activation"), "")
    window = product.geometry if before else None
    pixels = [layer.out_shape[1:] for layer in layers if len(layer.out_shape) == 3]
    return (
        name,
        product.widths[0],
        None,
        product.widths[1],
        window.kernel if window else None,
        _stride(window.stride) if window else None,
        window.dilation[0] if window else None,
        None,
        activation,
        None,
        before[1:] if before else None,
        pixels[-1] if before else None,
        "",
    )


def cost_sheet(
    graph: Graph,
    costs: Sequence[Cost],
    by: By = "block",
    dtype: Dtype = "fp32",
    norm: BatchNorm = "folded",
    parts: Sequence[str] = (),
    order: Order = UNSORTED,
) -> Sheet:
    """Return the costs of each block, operation or layer, its share of the MACs, and the totals.

    parts: each has a row instead of each block; other rows are those of the parts' layers.
    """
    whole = total(costs)
    live = _live_bytes_by(graph, by, dtype, whole.batch, parts) if order.by == "memory" else {}
    groups, left = order.of(
        _groups(graph, costs, by, parts), lambda group: _metric(group, order.by, live), _NOUNS[by]
    )
    heads, leads = _LEADS[by](graph, groups)
    extra = [Column("live_bytes", "Live", "bytes")] if live else []
    rows = tuple(
        (*lead, *([live[group.name]] if live else []), *_figures(group, whole))
        for lead, group in zip(leads, groups, strict=True)
    )
    sums = [("whole network" if parts else "total", whole, graph.layers)]
    if len(parts) > 1:
        union = _union(graph, parts)
        names = {layer.name for layer in union}
        sums.insert(0, ("these parts", total(cost for cost in costs if cost.layer in names), union))
    totals = tuple(
        (
            name,
            *(group.layers if column.key == "layers" else "" for column in heads[1:]),
            *([live_bytes(graph, layers, dtype, whole.batch)] if live else []),
            *_figures(group, whole),
        )
        for name, group, layers in sums
    )
    images = f"batch {whole.batch}, MACs and FLOPs per image" if whole.batch > 1 else "batch 1"
    note = (
        f"{MAC}; FLOPs = 2 × MACs + every other operation; bytes at {dtype}, {images}, "
        f"each tensor moved once, {NORMS[norm]}."
    )
    live_note = [_LIVE] if live else []
    notes = (*left, note, *live_note, *unpriced_notes(graph, whole), *outside_notes(graph))
    return Sheet(titled(graph, f"cost by {by}"), (*heads, *extra, *_COST_COLUMNS), rows, totals, notes)


def _union(graph: Graph, parts: Sequence[str]) -> tuple[Layer, ...]:
    """Return the layers of the parts, each once, in execution order."""
    names = {layer.name for part in parts for layer in part_layers(graph, part)}
    return tuple(layer for layer in graph.layers if layer.name in names)


_NOUNS: Final[dict[By, str]] = {"block": "parts", "op": "operations", "layer": "layers"}
_LIVE: Final = (
    "Live: most bytes of live tensors, batch norm and activations fused; that of the network is the peak."
)


def _groups(graph: Graph, costs: Sequence[Cost], by: By, parts: Sequence[str]) -> Sequence[Totals]:
    if not parts:
        return subtotals(graph, costs, by)
    if by == "block":
        names = {part: {layer.name for layer in part_layers(graph, part)} for part in parts}
        return [total((cost for cost in costs if cost.layer in names[part]), part) for part in parts]
    chosen = {layer.name for layer in _union(graph, parts)}
    groups: dict[str, list[Cost]] = {}
    for (block, layer), cost in zip(graph.placed(), costs, strict=True):
        if layer.name in chosen:
            groups.setdefault(group_of(block, layer, by), []).append(cost)
    return [total(group, name) for name, group in groups.items()]


def _live_bytes_by(graph: Graph, by: By, dtype: Dtype, batch: int, parts: Sequence[str]) -> dict[str, int]:
    """Return the most live bytes of each row. Raises InputError for operations, which have none."""
    if by == "op":
        raise InputError("memory: an operation has no live bytes; expected blocks or layers")
    if by == "layer":
        return {layer.name: live_bytes(graph, [layer], dtype, batch) for layer in graph.layers}
    return {
        part: live_bytes(graph, part_layers(graph, part), dtype, batch) for part in parts or graph.block_names
    }


def _metric(group: Totals, metric: str, live: Mapping[str, int]) -> int:
    if metric == "memory":
        return live[group.name]
    return group.params if metric == "params" else group.macs


def unpriced_notes(graph: Graph, whole: Totals) -> tuple[str, ...]:
    """Name the operations that are not counted."""
    notes = []
    only_flops = [name for name in whole.unpriced if name not in whole.uncounted]
    for missing, what in (
        (whole.uncounted, "Not counted: {}. MACs and FLOPs are lower bounds."),
        (only_flops, "Without a price for all but their MACs: {}. FLOPs are lower bounds."),
    ):
        layers: dict[str, list[str]] = {}
        for layer in graph.layers:
            if layer.name in missing:
                layers.setdefault(layer.op, []).append(layer.name)
        ops = [_named_once(op, names) for op, names in layers.items()]
        notes += [what.format("; ".join(ops))] if ops else []
    return tuple(notes)


def _named_once(op: str, names: Sequence[str]) -> str:
    """Return an operation with its layers, without them if its only one is called so."""
    return op if [*names] == [op] else f"{op} ({', '.join([*names[:3], '...'][: len(names)])})"


def outside_notes(graph: Graph) -> tuple[str, ...]:
    """Name what is in no total: operations on weights alone, and parameters that nothing reads."""
    notes = []
    names = [layer.name for layer in graph.constants if layer.macs]
    if macs := sum(layer.macs for layer in graph.constants):
        notes.append(
            f"Not in the total: {macs:,} MACs on weights alone, which PyTorch repeats in every call and a "
            f"deployed runtime does once ({several(names)})."
        )
    if graph.unused:
        params = sum(prod(tensor.shape) for tensor in graph.unused)
        notes.append(
            f"Not in the total: {params:,} parameters that no operation reads "
            f"({several([tensor.name for tensor in graph.unused])})."
        )
    return tuple(notes)


def several(names: Sequence[str]) -> str:
    """Name at most three, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _figures(group: Totals, whole: Totals) -> tuple[object, ...]:
    share = group.macs / whole.macs if whole.macs else 0.0
    return (
        None if whole.uncounted else share,
        *products(group),
        group.params,
        group.weight_bytes,
        group.read_bytes,
        group.write_bytes,
        group.intensity,
    )


Lead = tuple[tuple[Column, ...], list[tuple[object, ...]]]
"""The first columns, and their values by row."""


def _by_block(graph: Graph, groups: Sequence[Totals]) -> Lead:
    layers = {group.name: part_layers(graph, group.name) for group in groups}
    columns = (
        Column("block", "Block", "text"),
        Column("operator", "Operator", "text", importance=3),
        Column("out_shape", "Output", "shape", importance=2),
    )
    return columns, [(g.name, _summary(graph, g.name), layers[g.name][-1].out_shape) for g in groups]


def _summary(graph: Graph, part: str) -> str | None:
    block = graph.block(part)
    return block_summary(block) if block else None


def _by_op(_: Graph, groups: Sequence[Totals]) -> Lead:
    columns = Column("op", "Operation", "text"), Column("layers", "Layers")
    return columns, [(g.name, g.layers) for g in groups]


def _by_layer(graph: Graph, groups: Sequence[Totals]) -> Lead:
    columns = (
        Column("name", "Layer", "text"),
        Column("block", "Block", "text", importance=7),
        Column("op", "Operation", "text", importance=2),
        Column("in_shape", "Input", "shape", importance=6),
        Column("out_shape", "Output", "shape", importance=3),
    )
    placed = {x.name: (x.name, b.name, x.op, graph.in_shape(x), x.out_shape) for b, x in graph.placed()}
    return columns, [placed[group.name] for group in groups]


_LEADS: Final = {"block": _by_block, "op": _by_op, "layer": _by_layer}


def block_summary(block: Block) -> str:
    """Summarize a block: "24→72→40, 5×5 /2, SE, RE" is depthwise, "24→72→40, fused 5×5, RE" fused."""
    main = [x for x in block.layers if x.operation.weighted and not x.role.startswith("se_")]
    if not main:
        return ", ".join(dict.fromkeys(layer.operation.title for layer in block.layers))
    widths = [main[0].widths[0], *(x.widths[1] for x in main if "depthwise" not in (x.op, x.role))]
    kind = "".join(map(_kind, main))
    words = ["→".join(map(str, widths)), *_moves([x.geometry for x in main if x.geometry], kind)]
    roles = {layer.role for layer in block.layers}
    activation = next((x.operation for x in block.layers if x.role == "activation"), None)
    return ", ".join(
        [
            *words,
            *(["SE"] if "se_scale" in roles else []),
            *([activation.code] if activation else []),
            *(["pool"] if "pool" in roles else []),
        ]
    )


def _kind(layer: Layer) -> str:
    """Return the adjective of a row's k×k convolution, "" for a depthwise one."""
    if layer.role in ("fused", "standard"):
        return f"{layer.role} "
    dense = layer.role == "depthwise" and layer.geometry and layer.geometry.groups < layer.widths[0]
    return "dense " if dense else ""


def _moves(geometries: Sequence[Geometry], kind: str = "") -> list[str]:
    """Return the largest kernel with its kind and the stride, and the dilation, of a block's convolutions."""
    if not geometries:
        return []
    kernel = max((g.kernel for g in geometries), key=prod)
    stride = max((g.stride for g in geometries), key=prod)
    dilation = max((g.dilation for g in geometries), key=prod)
    steps = f" /{_sides(stride)}" if max(stride) > 1 else ""
    dilated = [f"dilated {_sides(dilation)}"] if max(dilation) > 1 else []
    return [kind + "×".join(map(str, kernel)) + steps, *dilated]


def _sides(values: tuple[int, ...]) -> str:
    """Write a size per axis; equal sizes as one number."""
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))


def _options(table: Table) -> list[str]:
    """Name the options that differ from the paper's, of the table and of rows."""
    shown = {*_SHOWN, *(name for name in ("head", "last") if isinstance(getattr(table, name), int))}
    names = (name for name in table.__struct_fields__ if name not in shown)
    changed = [f"{name} = {text}" for name, text in options(table, names)]
    rows: dict[str, list[str]] = {}
    for name, row in zip(row_names(table), table.rows, strict=True):
        for option, text in options(row, ROW_OPTIONS):
            rows.setdefault(f"{option} = {text}", []).append(name)
    own = [
        f"{option} in block{'s' * (len(names) > 1)} {', '.join(ranges(names))}"
        for option, names in rows.items()
    ]
    return [f"Options other than the paper's: {'; '.join((*changed, *own))}."] if changed or own else []
