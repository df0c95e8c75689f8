"""The sheets of `latency` and `backends`: times with their spread, part by part and runtime by runtime."""

from collections.abc import Mapping, Sequence

from ..arch.layers import Graph
from ..cost.counts import count, subtotals, total
from ..record.run import NET, Timing
from ..record.stats import NOISY_INTERVAL, NOISY_SPREAD, Summary
from .costs import titled
from .sheet import Column, Sheet

NOISY_MARK = "~"


def latency_sheet(graph: Graph, timings: Sequence[Timing], processor: str) -> Sheet:
    """A row for each part, the median with its spread for each backend; then how additive each is."""
    backends = list(dict.fromkeys(timing.backend for timing in timings))
    parts = list(dict.fromkeys(timing.part for timing in timings))
    by_key = {(timing.part, timing.backend): timing for timing in timings}
    products = _products(graph)
    columns = [Column("part", "Part", "text"), Column("macs", "MACs")]
    for name in backends:
        columns.append(Column(f"{name}_ms", f"{name}, ms", "figure"))
        columns.append(Column(f"{name}_gmacs", f"{name}, GMAC/s", "number"))
    rows = [_row(part, [by_key[part, name] for name in backends], products[part]) for part in parts]
    first = next(iter(timings))
    title = titled(graph, f"latency on {processor}, {_threads(first.threads)}, batch {first.batch}")
    notes = [
        f"Median ± half of p90 − p10, in ms; {NOISY_MARK} noisy: the interquartile range is above "
        f"{NOISY_SPREAD:.0%} of the median, or its 95 % confidence interval beyond ±{NOISY_INTERVAL:.0%}.",
        *_reasons(timings),
    ]
    totals = _additivity(parts, backends, by_key) if NET in parts and len(parts) > 1 else ()
    alarms = _alarms(rows, parts, by_key)
    return Sheet(title, tuple(columns), tuple(rows), totals, tuple(notes), alarms, stacked=True)


def samples_sheet(graph: Graph, timings: Sequence[Timing]) -> Sheet:
    """A row for each part and backend with every figure in full, for CSV."""
    products = _products(graph)
    columns = (
        Column("part", "Part", "text"), Column("backend", "Backend", "text"),
        Column("status", "Status", "text"), Column("reason", "Reason", "text"), Column("macs", "MACs"),
        Column("median_s", "Median, s", "number"), Column("p10_s", "p10, s", "number"),
        Column("p90_s", "p90, s", "number"), Column("iqr_s", "IQR, s", "number"), Column("calls", "Calls"),
        Column("noisy", "Noisy", "text"), Column("stopped", "Stopped", "text"),
        Column("load_s", "Load, s", "number"), Column("first_s", "First run, s", "number"),
        Column("max_abs_err", "Max abs error", "number"), Column("max_rel_err", "Max rel error", "number"),
        Column("cpu_per_wall", "CPU/wall", "number"),
    )  # fmt: skip
    rows = []
    for t in timings:
        s = t.summary
        spread = (s.median, s.p10, s.p90, s.iqr) if s else (None,) * 4
        noisy = None if s is None else "yes" if s.noisy else "no"
        rows.append((
            t.part, t.backend, t.status, t.reason, products[t.part], *spread, t.calls, noisy, t.stopped,
            t.load_s, t.first_s, t.max_abs_err, t.max_rel_err, t.cpu_per_wall,
        ))  # fmt: skip
    return Sheet(titled(graph, "latency"), columns, tuple(rows))


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def _products(graph: Graph) -> dict[str, int]:
    costs = count(graph)
    return {NET: total(costs).macs, **{group.name: group.macs for group in subtotals(graph, costs)}}


def _row(part: str, timings: Sequence[Timing], products: int) -> tuple[object, ...]:
    cells: list[object] = [part, products]
    for timing in timings:
        s = timing.summary if timing.status == "ok" else None
        cells += [timing.status, None] if s is None else [_figure(s), products / s.median / 1e9]
    return tuple(cells)


def _figure(s: Summary) -> str:
    spread = (s.p90 - s.p10) / 2 / s.median
    return f"{s.median * 1e3:.3f} ±{spread:4.1%} {NOISY_MARK if s.noisy else ' '}"


def _additivity(
    parts: Sequence[str], backends: Sequence[str], by_key: Mapping[tuple[str, str], Timing]
) -> tuple[tuple[object, ...], ...]:
    """The sum of the parts' medians, and how far it is from the whole network's."""
    sums: list[object] = ["sum of parts", None]
    differences: list[object] = ["sum / net", None]
    for name in backends:
        found = {part: by_key[part, name] for part in parts}
        medians = {p: t.summary.median for p, t in found.items() if t.summary and t.status == "ok"}
        if len(medians) < len(parts):
            sums += [None, None]
            differences += [None, None]
            continue
        added = sum(median for part, median in medians.items() if part != NET)
        sums += [f"{added * 1e3:.3f}{'':9}", None]
        differences += [f"×{added / medians[NET]:.3f}{'':9}", None]
    return tuple(sums), tuple(differences)


def _reasons(timings: Sequence[Timing]) -> list[str]:
    bad: dict[str, list[str]] = {}
    for t in timings:
        if t.status != "ok":
            bad.setdefault(f"{t.backend} {t.status}: {t.reason}", []).append(t.part)
    return [f"{reason} (parts: {', '.join(parts)})." for reason, parts in bad.items()]


def _alarms(
    rows: Sequence[object], parts: Sequence[str], by_key: Mapping[tuple[str, str], Timing]
) -> frozenset[int]:
    wrong = {timing.part for timing in by_key.values() if timing.status == "wrong"}
    return frozenset(n for n in range(len(rows)) if parts[n] in wrong)


def backends_sheet(rows: Sequence[Mapping[str, object]]) -> Sheet:
    """A row for each backend: what it is, where it runs, or why it cannot."""
    columns = (
        Column("name", "Backend", "text"),
        Column("usable", "Usable", "text"),
        Column("version", "Version", "text", importance=2),
        Column("device", "Device", "text", importance=3),
        Column("dtypes", "Types", "text", importance=4),
        Column("what", "What it is", "text", importance=5),
        *([Column("check", "Check", "text")] if any(row["check"] for row in rows) else []),
    )
    cells = []
    for row in rows:
        usable = "yes" if row["usable"] else "no"
        written = {**row, "usable": usable, "dtypes": " ".join(row["dtypes"])}  # type: ignore[arg-type]
        cells.append(tuple(written[column.key] for column in columns))
    notes = [f"{row['name']}: {row['reason']}." for row in rows if not row["usable"]]
    failed = frozenset(n for n, row in enumerate(rows) if str(row["check"]).startswith("FAIL"))
    return Sheet("Runtimes", columns, tuple(cells), notes=tuple(notes), alarms=failed)
