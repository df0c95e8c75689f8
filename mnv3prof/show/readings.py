"""Sheets of other FLOP counters: their results, reconciled with ours."""

from collections.abc import Sequence

from ..cost.conventions import COUNTERS, TERMS, Reconciliation, counted_as, counter, terms
from ..cost.counts import By, group_of
from ..graph.graph import Graph
from ..render.sheet import AtLeast, Column, Sheet, join_words
from .costs import titled


def reconciliation_sheet(graph: Graph, reconciliation: Reconciliation) -> Sheet:
    """Return a row per class of operation, a column per counter, and the sums."""
    columns = (
        Column("term", "Class of operation", "text"),
        Column("quantity", "In this network"),
        *(Column(tool.reading.tool, tool.reading.tool) for tool in reconciliation.tools),
    )
    rows = tuple(
        (
            TERMS[term],
            quantity,
            *(COUNTERS[tool.reading.tool].coefficients.get(term) for tool in reconciliation.tools),
        )
        for term, quantity in reconciliation.quantities.items()
    )
    totals = (
        ("counter result", None, *(tool.reading.printed for tool in reconciliation.tools)),
        ("reconciled", None, *(tool.explained for tool in reconciliation.tools)),
        ("remainder", None, *(tool.remainder for tool in reconciliation.tools)),
    )
    highlighted = frozenset() if reconciliation.holds else frozenset({len(rows) + 2})
    title = titled(graph, "what each FLOP counter counts")
    notes = _notes(reconciliation, _unknown(graph))
    return Sheet(title, columns, rows, totals, tuple(notes), highlighted, stacked=True)


def _unknown(graph: Graph) -> str:
    """Name the operations, and where they are, for which no counter's convention is known."""
    where: dict[str, dict[str, None]] = {}
    for block, layer in graph.placed():
        if terms(graph, layer) is None:
            where.setdefault(layer.op, {})[block.name] = None
    return "; ".join(f"{op} in {join_words(_first(list(blocks)))}" for op, blocks in where.items())


def _first(names: list[str]) -> list[str]:
    """Return at most three names, and how many more there are."""
    return names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more blocks"]


def convention_sheet(graph: Graph, tool: str, by: By) -> Sheet:
    """Return what `tool` counts for each block, operation or layer."""
    printed_as = counter(tool).printed_as
    groups: dict[str, list[int | None]] = {}
    unknown = []
    for (block, layer), figure in zip(graph.placed(), counted_as(graph, tool), strict=True):
        groups.setdefault(group_of(block, layer, by), []).append(figure)
        if figure is None:
            unknown.append(layer.op)
    whole = sum(figure or 0 for figures in groups.values() for figure in figures)
    columns = (
        Column(by, by.capitalize(), "text"),
        Column("share", "Share", "share", importance=1),
        Column("figure", printed_as),
    )
    rows = tuple((name, *_share(figures, whole, unknown)) for name, figures in groups.items())
    totals = (("total", *_share([whole, *[None for _ in unknown]], whole, unknown)),)
    notes = [_closed_form(tool)]
    if unknown:
        notes.append(f"It is unknown how {tool} counts {join_words(list(dict.fromkeys(unknown)))}.")
    return Sheet(titled(graph, f"as {tool} counts"), columns, rows, totals, tuple(notes))


def _share(
    figures: Sequence[int | None], whole: int, unknown: Sequence[str]
) -> tuple[float | None, int | None]:
    """Return share and count of a group; a lower bound, or None, if some counts are unknown."""
    known = [figure for figure in figures if figure is not None]
    value = sum(known) if len(known) == len(figures) else AtLeast(sum(known)) if known else None
    return None if unknown else sum(known) / whole if whole else 0.0, value


def _closed_form(tool: str) -> str:
    known = counter(tool)
    parts = [
        f"{coefficient} × {TERMS[term]}" if coefficient > 1 else TERMS[term]
        for term, coefficient in known.coefficients.items()
    ]
    return f"{tool} {known.version} counts as {known.printed_as}: {'; '.join(parts)}."


def _release(version: str) -> str:
    """Return a version as PyPI has it, without the build of a local one."""
    return version.partition("+")[0].replace("-", ".post")


def _notes(reconciliation: Reconciliation, unknown: str) -> list[str]:
    """unknown: names the operations that no convention is known for."""
    ran = [f"{x.reading.tool} {x.reading.version}" for x in reconciliation.tools if x.reading.status == "ok"]
    notes = [
        "Multiplicity with which each tool counts the class; – = not counted. "
        f"Tools: {join_words(ran or ['none'])}."
    ]
    unlike = [x for x in reconciliation.tools if x.remainder]
    if unlike and unknown:
        tools = join_words([x.reading.tool for x in unlike])
        notes.append(f"Not reconciled: {tools}. No convention is known for {unknown}.")
    for x in unlike:
        tool, version = x.reading.tool, COUNTERS[x.reading.tool].version
        if not unknown or _release(x.reading.version or "") != version:
            notes.append(
                f"{tool} is not reconciled (remainder {x.remainder:,}): the coefficients are of {version}."
            )
    reasons = dict.fromkeys(
        f"{x.reading.tool} {x.reading.status}: {x.reading.reason}."
        for x in reconciliation.tools
        if x.reading.status != "ok"
    )
    return [*notes, *reasons]
