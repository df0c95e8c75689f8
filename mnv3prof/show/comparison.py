"""The sheets of `compare`: networks side by side, in total and block by block."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final

from ..arch.layers import Graph
from ..arch.table import Table
from ..cost.comparison import Network, saving
from ..cost.counts import Totals
from .costs import MAC, size_of
from .sheet import Column, Sheet

MOST_NETWORKS: Final = len(ascii_uppercase)


def totals_sheet(networks: Sequence[Network]) -> Sheet:
    """Each total of every network, with ratios to the first."""
    letters = ascii_uppercase[: len(networks)]
    measures: dict[str, list[int | None]] = {
        "MACs": [n.totals.macs for n in networks],
        "FLOPs": [n.totals.flops for n in networks],
        "parameters": [n.totals.params for n in networks],
        "weights, bytes": [n.totals.weight_bytes for n in networks],
        "read, bytes": [n.totals.read_bytes for n in networks],
        "written, bytes": [n.totals.write_bytes for n in networks],
        "eager peak, bytes": [n.peaks.eager.bytes if n.peaks.eager else None for n in networks],
        "folded peak, bytes": [n.peaks.folded.bytes for n in networks],
        "planned arena, bytes": [n.arena.bytes for n in networks],
    }
    columns = (
        Column("measure", "In total", "text"),
        *(Column(letter, letter) for letter in letters),
        *(Column(f"{letter}/A", f"{letter}/A", "ratio") for letter in letters[1:]),
    )
    rows = tuple((name, *values, *_ratios(values)) for name, values in measures.items())
    legend = [f"{letter} = {label(n.graph)}" for letter, n in zip(letters, networks, strict=True)]
    return Sheet("; ".join(legend), columns, rows, notes=("Bytes at fp32, batch 1.",))


def blocks_sheet(networks: Sequence[Network]) -> Sheet:
    """MACs and parameters of each block, with ratios to the first network's."""
    letters = ascii_uppercase[: len(networks)]
    saved = _separable_against_standard(networks)
    columns = [Column("block", "Block", "text")]
    for key, title, low in (("macs", "MACs", 0), ("params", "Params", 3)):
        columns += [Column(f"{key}_{x}", f"{title} {x}", importance=low) for x in letters]
        columns += [
            Column(f"{key}_{x}/A", f"{title} {x}/A", "ratio", importance=low and low - 1) for x in letters[1:]
        ]
        if saved and key == "macs":
            columns.append(Column("pair", "1/(1/N + 1/k²)", "ratio"))
    rows = [
        _row(block, [n.blocks.get(block) for n in networks], saved.get(block))
        for block in _all_blocks(networks)
    ]
    total_row = _row("total", [n.totals for n in networks], None)
    if not saved:
        rows, total_row = [_without(row, networks) for row in rows], _without(total_row, networks)
    notes = [f"{MAC}; blocks are joined by name."]
    if saved:
        notes.append(
            "1/(1/N + 1/k²): what the depthwise + project pair alone saves, N output channels, k×k kernel; "
            "a block's ratio also holds its expand convolution and squeeze-excite."
        )
    return Sheet("Block by block", tuple(columns), tuple(rows), (total_row,), tuple(notes))


def _row(block: str, groups: Sequence[Totals | None], pair: float | None) -> tuple[object, ...]:
    products = [group.macs if group else None for group in groups]
    params = [group.params if group else None for group in groups]
    return (block, *products, *_ratios(products), pair, *params, *_ratios(params))


def _without(row: tuple[object, ...], networks: Sequence[Network]) -> tuple[object, ...]:
    """The row without its cell of the pair's saving."""
    at = 2 * len(networks)
    return (*row[:at], *row[at + 1 :])


def _separable_against_standard(networks: Sequence[Network]) -> dict[str, float]:
    """The pair's saving of each block, where the first is separable and another is its standard form."""
    first, *others = (n.graph.table for n in networks)
    standard = [_pairs(other) for other in others if other.conv == "standard"]
    if first.conv != "separable" or _pairs(first) not in standard:
        return {}
    return {str(number): saving(row) for number, row in enumerate(first.rows, 1)}


def _pairs(table: Table) -> list[tuple[int, int, int]]:
    """What the cost of each row's depthwise + project pair depends on, beside its size."""
    return [(row.expand, row.out, row.kernel) for row in table.rows]


def _all_blocks(networks: Sequence[Network]) -> list[str]:
    longest = max(networks, key=lambda n: len(n.blocks))
    return list(longest.blocks)


def _ratios(values: Sequence[int | None]) -> list[float | None]:
    base = values[0]
    return [value / base if base and value is not None else None for value in values[1:]]


def label(graph: Graph) -> str:
    """The network's name and input."""
    return f"{graph.table.name} at {size_of(graph)}"
