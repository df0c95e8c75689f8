"""What a depthwise-separable pair saves."""

from collections.abc import Sequence

from .fields import Conv
from .table import Row, Table, row_names, with_defaults


def pair_saving(row: Row) -> float:
    """MACs of a standard k×k convolution ÷ MACs of the separable pair: 1 / (1/N + 1/k²).

    N: output channels (Howard et al., MobileNets, arXiv 1704.04861, section 3.1).
    """
    return 1 / (1 / row.out + 1 / row.kernel**2)


def separable_savings(tables: Sequence[Table | None]) -> dict[str, float]:
    """Return pair_saving by block, if another table is the standard form of the first.

    None stands for a network that is no layer table. {} if the first table is not separable, or if no other
    has standard convolutions and the same rows.
    """
    first, *others = tables
    standard = [_pair_shapes(other) for other in others if other and all_are("standard", other)]
    if first is None or not all_are("separable", first) or _pair_shapes(first) not in standard:
        return {}
    return {name: pair_saving(row) for name, row in zip(row_names(first), first.rows, strict=True)}


def all_are(conv: Conv, table: Table) -> bool:
    """Return True if all rows have convolutions of this kind."""
    return all(with_defaults(table, row).conv == conv for row in table.rows)


def _pair_shapes(table: Table) -> list[tuple[int, int, int]]:
    """Widths and kernel of each row's depthwise + project pair."""
    return [(row.expand, row.out, row.kernel) for row in table.rows]
