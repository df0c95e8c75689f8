"""Sheets of `diff` and `check` for a comment on a pull request: the verdict, changes, the rest folded."""

from collections.abc import Sequence
from math import inf
from typing import Final

from msgspec.structs import replace

from ..analysis.compare import Change
from ..budgets.diff import Diff, FigureChange, TimeChange
from ..budgets.figures import Side, timings_by_part
from ..budgets.judge import Judgment
from ..graph.parts import NET
from ..record.timing import Timing
from ..render.numbers import milliseconds
from ..render.sheet import Column, Sheet, format_value
from .changed_blocks import changed_blocks_sheet
from .diff import diff_sheets, targets_of_change
from .gate import amount, are_several, batch_of, gate_sheets
from .headlines import budget_name, check_verdict, diff_verdict, percent, totals_of
from .times import spread_text

_MOST_ROWS: Final = 8
"""Rows of blocks or budgets that are not folded: with them, a comment has at most 25 lines."""
_MOST_BYTES: Final = 64_000
"""Length of a comment. GitHub refuses more than 65,536 characters."""


def diff_comment(diff: Diff, busy: Sequence[Sheet] = ()) -> tuple[Sheet, ...]:
    """Return the verdict with the metrics, the changed blocks, and all else folded. busy: busy_sheets()."""
    variants = len({each.variant for each in diff.figures}) - 1
    also = f", also of {variants} variant{'s' if variants > 1 else ''}" if variants else ""
    summary = f"All totals, blocks, latencies and notes{also}"
    verdict = diff_verdict(diff, _whole_times(diff))
    return _comment(_changes(diff, verdict, busy), diff_sheets(diff), summary)


def verdict_sheet(diff: Diff) -> Sheet:
    """Return the verdict alone."""
    return Sheet(diff_verdict(diff, _whole_times(diff)), (), ())


def check_comment(
    checked: Side, judged: Sequence[Judgment], diff: Diff | None, busy: Sequence[Sheet] = ()
) -> tuple[Sheet, ...]:
    """Return the verdict with the metrics, the changed blocks, and all else folded.

    diff: from the baseline to `checked`; without one, the budgets are shown. busy: busy_sheets().
    """
    verdict = check_verdict(checked, judged)
    budgets = gate_sheets(checked, judged)
    if diff is None:
        return _comment((_budgets(verdict, judged), *_busy(busy)), budgets, "All budgets and notes")
    summary = "All budgets, totals, blocks, latencies and notes"
    return _comment(_changes(diff, verdict, busy), (*budgets, *diff_sheets(diff)), summary)


def _changes(diff: Diff, verdict: str, busy: Sequence[Sheet]) -> tuple[Sheet, ...]:
    fastest = _fastest(_whole_times(diff))
    timed = fastest or _fastest([each for each in diff.times if not each.variant])
    blocks = changed_blocks_sheet(diff, timed, _MOST_ROWS)
    return (_metrics(diff, verdict, fastest), *_busy(busy), blocks)


def _comment(shown: Sequence[Sheet], folded: Sequence[Sheet], summary: str) -> tuple[Sheet, ...]:
    """Return the sheets, and the folded ones without the tables that do not fit into a comment."""
    room = _MOST_BYTES - sum(map(_bytes, shown))
    kept = []
    for sheet in folded:
        note = f"The table of {len(sheet.rows)} rows is too long for a comment; the other formats have it."
        short = replace(sheet, columns=(), rows=(), totals=(), notes=(note, *sheet.notes))
        versions = (sheet, short, replace(short, notes=(note,)))
        kept.append(next((each for each in versions if _bytes(each) <= room), versions[-1]))
        room -= _bytes(kept[-1])
    return (*shown, *(replace(sheet, folded=summary) for sheet in kept))


def _bytes(sheet: Sheet) -> int:
    return len(str(sheet).encode())


def _busy(sheets: Sequence[Sheet]) -> list[Sheet]:
    """Return the sheets as one line."""
    if not sheets:
        return []
    first, *others = sheets
    notes = [*first.notes, *(f"{each.title}: {' '.join(each.notes)}" for each in others)]
    return [Sheet(f"{first.title}:", (), (), notes=tuple(notes), heading=False)]


def _whole_times(diff: Diff) -> list[TimeChange]:
    """Return the changes of the whole network's latency; not comparable if one side has no run."""
    if (diff.old.run is None) == (diff.new.run is None):
        return [each for each in diff.times if not each.variant and each.part == NET]
    side, table = (diff.old, diff.new) if diff.old.run else (diff.new, diff.old)
    change = Change("not comparable", reason=f"{table.source} is a table, which has no times")
    before = side is diff.old
    return [
        TimeChange(
            variant="",
            part=NET,
            counterpart=NET,
            old=timing if before else None,
            new=None if before else timing,
            change=change,
        )
        for timing in (timings_by_part(side.run)[NET] if side.run else ())
    ]


def _fastest(times: Sequence[TimeChange]) -> TimeChange | None:
    """Return the change on the fastest target; on one that is comparable, if there is any."""
    measured = [each for each in times if _per_image(each) < inf]
    return min(measured, key=lambda t: (t.change.verdict == "not comparable", _per_image(t)), default=None)


def _per_image(change: TimeChange) -> float:
    known = (timing.per_image for timing in (change.new, change.old) if timing)
    return next((seconds for seconds in known if seconds is not None), inf)


def _metrics(diff: Diff, verdict: str, fastest: TimeChange | None) -> Sheet:
    """Return MACs, parameters, the arena, and latency on the fastest target or else weights."""
    columns = (
        Column("metric", "Metric", "text"),
        Column("old", "Old", "figure"),
        Column("new", "New", "figure"),
        Column("change", "Change", "figure"),
        Column("verdict", "Verdict", "text"),
    )
    totals = totals_of(diff)
    dtypes = " → ".join(dict.fromkeys(each.dtype for each in (diff.old, diff.new)))
    sizes = " → ".join(dict.fromkeys(f"{each.dtype}, batch {each.batch}" for each in (diff.old, diff.new)))
    rows = (
        _figure_row("MACs", totals["macs"]),
        _figure_row("Parameters", totals["params"]),
        _figure_row(f"Arena, {sizes}", totals["arena"]),
        _latency_row(fastest) if fastest else _figure_row(f"Weights, {dtypes}", totals["weights"]),
    )
    return Sheet(verdict, columns, rows, heading=False)


def _figure_row(title: str, figure: FigureChange) -> tuple[str | None, ...]:
    old, new = figure.old, figure.new
    if old is None or new is None:
        return (title, _amount(old, figure), _amount(new, figure), None, "not comparable")
    if old == new:
        return (title, _amount(old, figure), _amount(new, figure), "0", "same")
    sign, verdict = ("+", "more") if new > old else ("-", "fewer")
    share = percent(old, new)
    shown = share if share.startswith("under") else f"{sign}{share}"
    change = f"{sign}{_amount(abs(new - old), figure)}{share and f' ({shown})'}"
    return (title, _amount(old, figure), _amount(new, figure), change, verdict)


def _amount(value: int | None, figure: FigureChange) -> str:
    return format_value(value, "bytes" if figure.unit == "bytes" else "count")


def _latency_row(time: TimeChange) -> tuple[str | None, ...]:
    several = any(timing.target.batch > 1 for timing in (time.old, time.new) if timing)
    title = f"Latency{' per image' if several else ''}, {', '.join(targets_of_change(time))}"
    change = time.change.described.removesuffix(time.change.verdict).strip()
    return (title, _time(time.old), _time(time.new), change or None, time.change.verdict)


def _time(timing: Timing | None) -> str | None:
    """Return the median per image and its spread, or why there is none."""
    if timing is None or timing.per_image is None:
        return timing.status if timing and timing.status != "ok" else None
    return f"{milliseconds(timing.per_image)} {spread_text(timing)}"


def _budgets(verdict: str, judged: Sequence[Judgment]) -> Sheet:
    """Return the budgets, those with an error first."""
    columns = (
        Column("budget", "Budget", "text"),
        Column("value", "Value", "figure"),
        Column("limit", "Limit", "figure"),
        Column("margin", "Margin", "figure"),
        Column("verdict", "Verdict", "text"),
    )
    several = are_several(judged)
    rows = tuple(
        (
            budget_name(j, several=several),
            amount(j.value, j.unit, batch_of(j)),
            amount(j.limit, j.unit),
            amount(j.margin, j.unit),
            j.status,
        )
        for j in sorted(judged, key=lambda j: ("error", "warn", None).index(j.breach))
    )
    left = len(rows) - _MOST_ROWS
    notes = (f"{left} more in the details.",) if left > 0 else ()
    return Sheet(verdict, columns, rows[:_MOST_ROWS], notes=notes, heading=False)
