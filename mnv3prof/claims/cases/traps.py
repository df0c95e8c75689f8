"""T1 to T3: the networks that the article's listings build if they are taken literally."""

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Final, NamedTuple

from msgspec.structs import replace

from ...cost.counts import count, subtotals, total
from ...graph.graph import Graph
from ...mobilenetv3.table import Row, Table, in_widths, make_divisible, row_names
from ...record.findings import Evidence, Finding
from ...record.run import Subject
from ..claim import COMPUTED, Claim, finding

T1: Final = Claim(
    "T1",
    "The listing's hidden_dim = in_channels · expansion builds the network of the table.",
    "hidden_dim = in_channels · expansion",
    "the paper's Table 1: that column (exp size) is absolute",
)
T2: Final = Claim(
    "T2",
    "The listing's bottleneck has the activation that the table gives each row.",
    "nl is passed to a bottleneck that has no such parameter",
    "the paper's Table 1: RE in the first rows",
)
T3: Final = Claim(
    "T3",
    "A convolution's bias in front of batch norm changes nothing.",
    "nn.Conv2d with its default bias",
    "every release: bias=False where batch norm follows",
)
CLAIMS: Final = (T1, T2, T3)


class AsListed(NamedTuple):
    """Hidden width, parameters and MACs of a row as the listing builds it."""

    hidden: int
    params: int
    macs: int


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Judge T1 to T3."""
    graph = evidence.graph
    return _hidden(evidence.subject), _activation(evidence.subject), bias_finding(graph, biases(graph))


def row_as_listed(row: Row, width: int, table: Table, sizes: tuple[int, int]) -> AsListed:
    """Compute the row with hidden = width · expand (see row_of_width)."""
    return row_of_width(width * row.expand, row, width, table, sizes)


def row_of_width(hidden: int, row: Row, width: int, table: Table, sizes: tuple[int, int]) -> AsListed:
    """Compute the row with `hidden` channels, its convolutions and batch norms as in the paper.

    sizes: pixels of the block's input and output. Widths may exceed the limits of a table.
    parameters = w·h + 2h + h·k² + 2h [+ SE: 2·h·q + q + h] + h·o + 2o; MACs = w·h·in + h·k²·out
    [+ 2·h·q] + h·o·out; no expand convolution where h = w.
    """
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
    return AsListed(hidden, params, products)


def rows_as_listed(subject: Subject) -> tuple[AsListed, ...]:
    """Compute every row of the network's table as the listing builds it."""
    return _rows(subject, lambda row, width: width * row.expand)


def _rows(subject: Subject, hidden: Callable[[Row, int], int]) -> tuple[AsListed, ...]:
    table = subject.table
    pixels = [prod(block.layers[-1].out_shape[1:]) for block in subject.graph.blocks[: len(table.rows) + 1]]
    return tuple(
        row_of_width(hidden(row, width), row, width, table, sizes)
        for row, width, sizes in zip(table.rows, in_widths(table), pairwise(pixels), strict=True)
    )


def _hidden(subject: Subject) -> Finding:
    table, rows = subject.table, rows_as_listed(subject)
    costs = count(subject.graph)
    ours = total(costs)
    groups = {group.name: group for group in subtotals(subject.graph, costs)}
    blocks = [groups[name] for name in row_names(table)]
    literal = _rows(subject, lambda row, _: row.expand)
    if [(row.params, row.macs) for row in literal] != [(block.params, block.macs) for block in blocks]:
        return finding(T1, "not testable here", how=COMPUTED, why="its rows are not built as the listing's")
    params = ours.params - sum(b.params for b in blocks) + sum(r.params for r in rows)
    products = ours.macs - sum(b.macs for b in blocks) + sum(r.macs for r in rows)
    working = (
        "hidden = in · expand; parameters = in·h + 2h + h·k² + 2h + [2·h·q + q + h] + h·out + 2·out",
        *(
            f"row {n}: {width} · {row.expand} = {r.hidden:,} channels instead of {row.expand}: "
            f"{r.params:,} parameters instead of {block.params:,}, {r.macs:,} MACs instead of {block.macs:,}"
            for n, (r, row, width, block) in enumerate(
                zip(rows, table.rows, in_widths(table), blocks, strict=True), 1
            )
        ),
        f"total: {params:,} parameters, not {ours.params:,}; {products:,} MACs, not {ours.macs:,}",
    )
    same = all(r.hidden == row.expand for r, row in zip(rows, table.rows, strict=True))
    found = (
        f"The widest row has {max(r.hidden for r in rows):,} channels, the network {params:,} "
        f"parameters (×{params / ours.params:,.0f}) and {products:,} MACs (×{products / ours.macs:,.0f})."
    )
    return finding(T1, "holds" if same else "does not hold", found=found, how=COMPUTED, working=working)


def _activation(subject: Subject) -> Finding:
    table = subject.table
    everywhere = replace(table, rows=tuple(replace(row, activation="HS") for row in table.rows))
    other = subject.varied(everywhere).graph
    ours, theirs = (total(count(graph)) for graph in (subject.graph, other))
    pairs = zip(subject.graph.placed(), other.layers, strict=True)
    others = [(block.name, layer.elements) for (block, layer), new in pairs if layer.op != new.op]
    changed = list(dict.fromkeys(name for name, _ in others))
    elements = sum(size for _, size in others)
    found = (
        f"{len(changed)} of {len(table.rows)} rows get h-swish instead of another: {elements:,} activations, "
        f"FLOPs {theirs.flops / ours.flops - 1:+.2%}; MACs and parameters are the same."
    )
    working = (
        f"rows {', '.join(changed)}: {elements:,} elements" if changed else "no row changes",
        "h-swish costs 5 FLOPs an element, ReLU 1, ReLU6 2, swish 5",
        f"FLOPs: {theirs.flops:,} instead of {ours.flops:,}, {theirs.flops - ours.flops:+,}",
        f"MACs: {theirs.macs:,} and {ours.macs:,}; parameters: {theirs.params:,} and {ours.params:,}",
    )
    return finding(T2, "does not hold" if changed else "holds", found=found, how=COMPUTED, working=working)


class Biases(NamedTuple):
    """Biases before batch norms: convolutions, parameters, and additions per image."""

    convolutions: int
    params: int
    flops: int


def biases(graph: Graph) -> Biases:
    """Count the biases that the listing's convolutions have before their batch norms."""
    fed = {layer.inputs[0] for layer in graph.layers if layer.op == "batch_norm"}
    convs = [x for x in graph.layers if x.name in fed and x.operation.weighted and not x.biased]
    return Biases(len(convs), sum(x.out_shape[0] for x in convs), sum(x.elements for x in convs))


def bias_finding(graph: Graph, found: Biases) -> Finding:
    """Judge T3: batch norm subtracts each channel's mean, and with it the bias; the cost remains."""
    ours = total(count(graph))
    result = (
        f"{found.convolutions} convolutions have {found.params:,} biases "
        f"({found.params / ours.params:+.2%} parameters) and {found.flops:,} more additions per image; batch "
        f"norm subtracts them again, and batch-norm folding removes them."
    )
    working = (
        "batch norm: (x + b − mean(x + b)) = (x − mean(x)): the output is the same for every b",
        f"parameters: the sum of those convolutions' output channels = {found.params:,}; "
        f"{ours.params:,} + {found.params:,} = {ours.params + found.params:,}",
        f"additions before folding: their output elements = {found.flops:,}; MACs stay {ours.macs:,}",
    )
    return finding(
        T3,
        "does not hold" if found.params else "holds",
        found=result,
        how=COMPUTED,
        why="the output is the same, the size differs" if found.params else "",
        working=working,
    )
