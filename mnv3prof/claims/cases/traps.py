"""T1 to T3: what the article's listings would build if they were taken at their word."""

from itertools import pairwise
from math import prod
from typing import Final, NamedTuple

from msgspec.structs import replace

from ...cost.counts import count, subtotals, total
from ...graph.graph import Graph
from ...mobilenetv3.table import Row, Table, in_widths, make_divisible, row_names
from ...record.findings import Evidence, Finding
from ...record.run import Subject
from ..claim import Claim, finding

T1: Final = Claim(
    "T1", "The listing's hidden_dim = in_channels · expansion builds the network of the table.",
    "hidden_dim = in_channels · expansion", "the paper's Table 1: that column (exp size) is absolute",
)  # fmt: skip
T2: Final = Claim(
    "T2", "The listing's bottleneck has the activation that the table gives each row.",
    "nl is handed to a bottleneck that has no such parameter", "the paper's Table 1: RE in the first rows",
)  # fmt: skip
T3: Final = Claim(
    "T3", "A convolution's bias in front of batch norm changes nothing.",
    "nn.Conv2d with its default bias", "every release: bias=False where batch norm follows",
)  # fmt: skip
CLAIMS: Final = (T1, T2, T3)

_EXACT: Final = "computed, exactly"


class Literal(NamedTuple):
    """A row as the listing builds it: its hidden width, parameters and MACs."""

    hidden: int
    params: int
    macs: int


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """The three traps."""
    graph = evidence.graph
    return _hidden(evidence.subject), _activation(evidence.subject), bias_finding(graph, biases(graph))


def literal_row(row: Row, width: int, table: Table, sizes: tuple[int, int]) -> Literal:
    """The row with hidden = width · expand, its convolutions and batch norms as in the paper.

    sizes: pixels of the block's input and output. Widths beyond what a table allows are allowed here:
    parameters = w·h + 2h + h·k² + 2h [+ SE: 2·h·q + q + h] + h·o + 2o; MACs = w·h·in + h·k²·out
    [+ 2·h·q] + h·o·out; no expand convolution where h = w.
    """
    hidden = width * row.expand
    widens = hidden != width
    squeeze = make_divisible(hidden / table.se_ratio, table.divisor) if row.se else 0
    area = row.kernel**2
    params = hidden * area + 2 * hidden + hidden * row.out + 2 * row.out
    products = sizes[1] * hidden * (area + row.out)
    if widens:
        params += width * hidden + 2 * hidden
        products += sizes[0] * width * hidden
    if row.se:
        params += 2 * hidden * squeeze + squeeze + hidden
        products += 2 * hidden * squeeze
    return Literal(hidden, params, products)


def literal_rows(subject: Subject) -> tuple[Literal, ...]:
    """Every row of the network's table as the listing builds it, by separable convolutions."""
    table = subject.table
    pixels = [prod(block.layers[-1].out_shape[1:]) for block in subject.graph.blocks[: len(table.rows) + 1]]
    return tuple(
        literal_row(row, width, table, sizes)
        for row, width, sizes in zip(table.rows, in_widths(table), pairwise(pixels), strict=True)
    )


def _hidden(subject: Subject) -> Finding:
    table, rows = subject.table, literal_rows(subject)
    costs = count(subject.graph)
    ours = total(costs)
    groups = {group.name: group for group in subtotals(subject.graph, costs)}
    blocks = [groups[name] for name in row_names(table)]
    params = ours.params - sum(b.params for b in blocks) + sum(r.params for r in rows)
    products = ours.macs - sum(b.macs for b in blocks) + sum(r.macs for r in rows)
    working = (
        "hidden = in · expand; parameters = in·h + 2h + h·k² + 2h + [2·h·q + q + h] + h·out + 2·out",
        *(
            f"row {n}: {width} · {row.expand} = {r.hidden:,} channels for {row.expand}: "
            f"{r.params:,} parameters for {block.params:,}, {r.macs:,} MACs for {block.macs:,}"
            for n, (r, row, width, block) in enumerate(
                zip(rows, table.rows, in_widths(table), blocks, strict=True), 1
            )
        ),
        f"in total: {params:,} parameters for {ours.params:,}, {products:,} MACs for {ours.macs:,}",
    )  # fmt: skip
    same = all(r.hidden == row.expand for r, row in zip(rows, table.rows, strict=True))
    found = (
        f"The widest row would have {max(r.hidden for r in rows):,} channels, the network {params:,} "
        f"parameters (×{params / ours.params:,.0f}) and {products:,} MACs (×{products / ours.macs:,.0f})."
    )
    return finding(T1, "holds" if same else "does not hold", found=found, how=_EXACT, working=working)


def _activation(subject: Subject) -> Finding:
    table = subject.table
    everywhere = replace(table, rows=tuple(replace(row, activation="HS") for row in table.rows))
    names = zip(row_names(table), table.rows, strict=True)
    changed = [name for name, row in names if row.activation != "HS"]
    ours, theirs = (total(count(one.graph)) for one in (subject, subject.varied(everywhere)))
    elements = sum(
        layer.elements
        for block, layer in subject.graph.placed()
        if layer.role == "activation" and block.name in changed
    )
    found = (
        f"{len(changed)} of {len(table.rows)} rows would get h-swish for another: {elements:,} activations, "
        f"FLOPs {theirs.flops / ours.flops - 1:+.2%}; MACs and parameters are the same."
    )
    working = (
        f"rows {', '.join(changed)}: {elements:,} elements" if changed else "no row changes",
        "h-swish costs 5 FLOPs an element, ReLU 1",
        f"FLOPs: {theirs.flops:,} for {ours.flops:,}, {theirs.flops - ours.flops:+,}",
        f"MACs: {theirs.macs:,} for {ours.macs:,}; parameters: {theirs.params:,} for {ours.params:,}",
    )
    return finding(T2, "does not hold" if changed else "holds", found=found, how=_EXACT, working=working)


class Biases(NamedTuple):
    """The biases that stand in front of a batch norm: how many, and the additions of one image."""

    convolutions: int
    params: int
    flops: int


def biases(graph: Graph) -> Biases:
    """What the listing's convolutions would have before their batch norms."""
    fed = {layer.inputs[0] for layer in graph.layers if layer.op == "batch_norm"}
    convs = [x for x in graph.layers if x.name in fed and x.operation.weighted and not x.biased]
    return Biases(len(convs), sum(x.out_shape[0] for x in convs), sum(x.elements for x in convs))


def bias_finding(graph: Graph, found: Biases) -> Finding:
    """T3: batch norm takes each channel's mean away, and a bias with it: only the cost stays."""
    ours = total(count(graph))
    said = (
        f"{found.convolutions} convolutions would hold {found.params:,} biases "
        f"({found.params / ours.params:+.2%} parameters) and add {found.flops:,} times an image; batch norm "
        f"subtracts them again, and folded they are gone."
    )
    working = (
        "batch norm: (x + b − mean(x + b)) = (x − mean(x)): the output is the same for every b",
        f"parameters: the sum of those convolutions' output channels = {found.params:,}; "
        f"{ours.params:,} + {found.params:,} = {ours.params + found.params:,}",
        f"additions before folding: their output elements = {found.flops:,}; MACs stay {ours.macs:,}",
    )
    return finding(
        T3, "does not hold" if found.params else "holds", found=said, how=_EXACT,
        why="the output is the same, the size is not" if found.params else "", working=working,
    )  # fmt: skip
