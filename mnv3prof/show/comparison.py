"""Sheets of `compare`: networks side by side, in total and by block."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Final

from ..cost.comparison import NetworkCosts
from ..cost.counts import Totals
from ..graph.align import joined
from ..graph.graph import Graph
from ..render.sheet import AtLeast, Column, Kind, Sheet, format_value
from .costs import MAC, products, unpriced_notes

MOST_NETWORKS: Final = len(ascii_uppercase)

ALIGNED: Final = (
    "Blocks of different names (12 → 7) are compared if they have the same structure or, failing that, the "
    "same output size. – = no counterpart."
)


def totals_sheet(networks: Sequence[NetworkCosts]) -> Sheet:
    """Return the totals of each network, with ratios to the first."""
    letters = ascii_uppercase[: len(networks)]
    measures: dict[str, list[int | None]] = {
        "MACs": [products(n.totals)[0] for n in networks],
        "FLOPs": [products(n.totals)[1] for n in networks],
        "parameters": [n.totals.params for n in networks],
        "weights, bytes": [n.totals.weight_bytes for n in networks],
        "read, bytes": [n.totals.read_bytes for n in networks],
        "written, bytes": [n.totals.write_bytes for n in networks],
        "PyTorch eager peak, bytes": [n.peaks.eager.bytes if n.peaks.eager else None for n in networks],
        "fused peak, bytes": [n.peaks.fused.bytes for n in networks],
        "planned arena, bytes": [n.arena.bytes for n in networks],
    }
    columns = (
        Column("measure", "Total", "text"),
        *(Column(letter, letter, "figure") for letter in letters),
        *(Column(f"{letter}/A", f"{letter}/A", "ratio") for letter in letters[1:]),
    )
    rows = tuple((*_formatted(name, values), *_ratios(values)) for name, values in measures.items())
    legend = [f"{letter} = {label(n.graph)}" for letter, n in zip(letters, networks, strict=True)]
    each = "; MACs and FLOPs per image" if networks[0].batch > 1 else ""
    unpriced = dict.fromkeys(note for n in networks for note in unpriced_notes(n.graph, n.totals))
    return Sheet(
        "; ".join(legend),
        columns,
        rows,
        notes=(f"Bytes at {networks[0].dtype}, batch {networks[0].batch}{each}.", *unpriced),
    )


def _formatted(name: str, values: Sequence[int | None]) -> tuple[str | None, ...]:
    """Return the name without its unit, and the formatted values."""
    name, _, unit = name.partition(", ")
    kind: Kind = "bytes" if unit == "bytes" else "count"
    return (name, *(None if value is None else format_value(value, kind) for value in values))


def blocks_sheet(networks: Sequence[NetworkCosts], saved: Mapping[str, float]) -> Sheet:
    """Return MACs and parameters of each block, with ratios to the first network's.

    saved: saving of the separable pair by block, if separable and standard convolutions are compared.
    """
    letters = ascii_uppercase[: len(networks)]
    columns = [Column("block", "Block", "text")]
    for key, title, low in (("macs", "MACs", 0), ("params", "Params", 3)):
        columns += [Column(f"{key}_{x}", f"{title} {x}", importance=low) for x in letters]
        columns += [
            Column(f"{key}_{x}/A", f"{title} {x}/A", "ratio", importance=low and low - 1) for x in letters[1:]
        ]
        if saved and key == "macs":
            columns.append(Column("pair", "1/(1/N + 1/k²)", "ratio"))
    names = joined([network.graph for network in networks])
    rows = [
        _row(
            _named(row),
            [n.blocks.get(b or "") for n, b in zip(networks, row, strict=True)],
            [saved.get(row[0] or "")] if saved else [],
        )
        for row in names
    ]
    total_row = _row("total", [n.totals for n in networks], [None] if saved else [])
    notes = [f"{MAC}."]
    if any(len(set(row)) > 1 for row in names):
        notes.append(ALIGNED)
    if saved:
        notes.append(
            "1/(1/N + 1/k²): saving of the depthwise + project pair alone, with N output channels and a k×k "
            "kernel. The ratio of a block includes its expand convolution and squeeze-excite."
        )
    return Sheet("Block by block", tuple(columns), tuple(rows), (total_row,), tuple(notes))


def _row(block: str, groups: Sequence[Totals | None], pair: Sequence[float | None]) -> tuple[object, ...]:
    macs = [products(group)[0] if group else None for group in groups]
    params = [group.params if group else None for group in groups]
    return (block, *macs, *_ratios(macs), *pair, *params, *_ratios(params))


def _named(row: Sequence[str | None]) -> str:
    """Return the name of blocks that are compared; "12 → 7 → –" if the networks' names differ."""
    names = ["–" if name is None else name for name in row]
    return names[0] if len(set(names)) == 1 else " → ".join(names)


def _ratios(values: Sequence[int | None]) -> list[float | None]:
    known = [None if isinstance(value, AtLeast) else value for value in values]
    base = known[0]
    return [value / base if base and value is not None else None for value in known[1:]]


def label(graph: Graph) -> str:
    """Return the network's name and input size."""
    return f"{graph.name} at {graph.size}"
