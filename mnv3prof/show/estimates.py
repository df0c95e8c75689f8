"""Sheets of estimated latencies, and of the errors that such estimates have."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ..graph.graph import Graph
from ..graph.parts import NET
from ..record.rows import Estimate, HeldOut, RowTable, percent
from ..record.target import Target, labels, shared_settings
from ..render.sheet import Column, Sheet
from .costs import titled

LINEAR_ONLY: Final = (
    "Blocks that were not measured are predicted by a linear model alone, since scikit-learn is missing: "
    "pip install mnv3prof[estimate]."
)
BY_CPU_TIME: Final = (
    "Other processes disturbed the wall times; these are the CPU times of each part's quickest burst."
)
SELECTED: Final = (
    "Held out: predicted by a model that was fitted without it. Such errors are those of random networks of "
    "the space; of networks that were selected for a low estimate they are larger."
)

_ERRORS: Final = {
    "median": "Median error",
    "p90": "9 of 10 within",
    "within_5": "Within ±5 %",
    "within_10": "Within ±10 %",
    "p95": "95 % within",
}


class Errors(NamedTuple):
    """The errors of a target's estimates, or the reason why it has none."""

    target: Target
    blocks: HeldOut | None = None
    networks: HeldOut | None = None
    clock: str = "wall"
    with_trees: bool = True
    reason: str = ""


def estimate_sheet(graph: Graph, estimates: Sequence[Estimate]) -> Sheet:
    """Return the estimate of each block and of the network, with the error of the latter."""
    names = labels([each.target for each in estimates], with_backend=True)
    columns = [Column("block", "Block", "text")]
    for each in estimates:
        name = names[each.target]
        columns += [
            Column(f"{name}_ms", f"{name}, ms", "figure"),
            Column(f"{name}_alone_ms", "alone, ms", "figure", 1),
            Column(f"{name}_from", "alone is", "text", 2),
        ]
    rows = []
    for blocks in zip(*(each.blocks for each in estimates), strict=True):
        row: list[object] = [blocks[0].block]
        for block in blocks:
            source = "measured" if block.measured else "predicted"
            row += [_ms(block.seconds), _ms(block.alone_s), source]
        rows.append(tuple(row))
    whole: list[object] = [NET]
    for each in estimates:
        whole += [f"{_ms(each.seconds)} ±{percent(each.networks_held_out.p90)}", None, None]
    notes = tuple(
        f"{names[each.target]}: {_ms(each.seconds)} ms, {each.networks_held_out.sentence('networks')}."
        for each in estimates
    )
    settings = shared_settings([each.target for each in estimates])
    return Sheet(
        titled(graph, f"estimated latency, not measured, {settings}".rstrip(", ")),
        tuple(columns),
        tuple(rows),
        (tuple(whole),),
        (*notes, *_remarks(estimates), SELECTED),
        stacked=True,
    )


def estimate_data(estimates: Sequence[Estimate]) -> Sheet:
    """Return a row for each block and network, with the errors of such estimates."""
    columns = (
        Column("target", "Target", "text"),
        Column("part", "Part", "text"),
        Column("estimated_s", "Estimated, s", "number"),
        Column("alone_s", "Alone, s", "number"),
        Column("alone_is", "Alone is", "text"),
        Column("held_out", "Held out", "count"),
        *(Column(name, title, "percent") for name, title in _ERRORS.items()),
    )
    rows = []
    for each in estimates:
        name = f"{each.target.place}, {each.target.settings}"
        for block in each.blocks:
            source = "measured" if block.measured else "predicted"
            known = (block.seconds, block.alone_s, source)
            rows.append((name, block.block, *known, *_errors(each.blocks_held_out)))
        rows.append((name, NET, each.seconds, None, "", *_errors(each.networks_held_out)))
    return Sheet("Estimated latency", columns, tuple(rows))


def _errors(found: HeldOut) -> tuple[object, ...]:
    return (found.count, *(getattr(found, name) for name in _ERRORS))


def errors_sheet(table: RowTable, found: Sequence[Errors]) -> Sheet:
    """Return the errors of estimates from a table, for blocks and networks of each target."""
    names = labels([each.target for each in found], with_backend=True)
    columns = (
        Column("target", "Target", "text"),
        Column("held_out", "Held out", "text"),
        Column("count", "Number"),
        *(Column(name, title, "percent", n) for n, (name, title) in enumerate(_ERRORS.items())),
    )
    rows = [
        (names[each.target], what, *_errors(e))
        for each in found
        for what, e in (("blocks", each.blocks), ("networks", each.networks))
        if e is not None
    ]
    reasons = [f"{names[each.target]}: no estimates: {each.reason}." for each in found if each.reason]
    notes = (*reasons, *_failures(table, names), *_remarks([e for e in found if e.networks]), SELECTED)
    return Sheet(f"{table.space}: errors of estimated latencies", columns, tuple(rows), notes=notes)


def _failures(table: RowTable, names: Mapping[Target, str]) -> Iterator[str]:
    """Yield why parts have no time, with the number of parts."""
    found = Counter(
        (timing.target, f"{timing.status}: {timing.reason}" if timing.reason else timing.status)
        for timing in table.timings
        if timing.seconds is None and timing.target in names and timing.status != "ok"
    )
    for (target, reason), count in found.items():
        yield f"{names[target]}: {count} part{'s have' if count > 1 else ' has'} no time ({reason})."


def _remarks(found: Sequence[Estimate | Errors]) -> Iterator[str]:
    if not all(each.with_trees for each in found):
        yield LINEAR_ONLY
    if any(each.clock == "CPU" for each in found):
        yield BY_CPU_TIME


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}"
