"""Sheets of `diff`: changes in total, by block, and in latency."""

from collections.abc import Sequence
from typing import Final, get_args

from msgspec.structs import asdict

from ..analysis.compare import VERDICTS, Change, Verdict
from ..budgets.diff import Diff, FigureChange, TimeChange
from ..budgets.figures import NAMES
from ..record.target import FIELDS, Target
from ..record.timing import Timing
from ..render.sheet import Column, Sheet
from .comparison import ALIGNED, label
from .times import time_ms
from .timing_notes import NOISY_MARK

TITLES: Final = {
    "macs": "MACs",
    "flops": "FLOPs",
    "params": "Params",
    "weights": "Weights",
    "read": "Read",
    "written": "Written",
    "peak.eager": "Eager peak",
    "peak.unfused": "Unfused peak",
    "peak.fused": "Fused peak",
    "arena": "Arena",
}
_IMPORTANCE: Final = ("macs", "params", "peak.fused", "flops", "weights", "written", "read")


def diff_sheets(diff: Diff) -> tuple[Sheet, ...]:
    """Return, for the network and each variant, totals, changed blocks and latencies."""
    sheets: list[Sheet] = []
    for variant in dict.fromkeys(each.variant for each in diff.figures):
        figures = [each for each in diff.figures if each.variant == variant]
        sheets += [_totals(diff, variant, figures), _blocks(figures)]
        times = [each for each in diff.times if each.variant == variant]
        times.sort(key=lambda each: each.change.verdict == "not comparable")
        if times:
            sheets.append(_times(variant, times))
    return tuple(sheets)


_CHANGES: Final = (
    "variant",
    "what",
    "part",
    "old_part",
    *FIELDS,
    "unit",
    "old",
    "new",
    "old_per_image",
    "new_per_image",
    "ratio",
    "low",
    "high",
    "clock",
    "verdict",
    "reason",
)
"""Columns of the CSV."""


def changes_sheet(diff: Diff) -> Sheet:
    """Return totals, changed metrics of blocks, and all latencies, one per row and unrounded, for CSV."""
    figures = [_of_figure(each) for each in diff.figures if each.differs or not each.block]
    rows = tuple(tuple(map(row.get, _CHANGES)) for row in (*figures, *map(_of_time, diff.times)))
    return Sheet("changes", tuple(Column(key, key, "text") for key in _CHANGES), rows)


def _of_figure(f: FigureChange) -> dict[str, object]:
    return {
        "variant": f.variant,
        "what": f.name,
        "part": f.new_block,
        "old_part": f.old_block,
        "unit": f.unit,
        "old": f.old,
        "new": f.new,
        "ratio": _ratio(f.old, f.new),
        "verdict": "changed" if f.differs else "same",
    }


def _of_time(t: TimeChange) -> dict[str, object]:
    return {
        "variant": t.variant,
        "what": "time",
        "part": t.part,
        "old_part": t.counterpart,
        **_fields(t),
        "unit": "seconds",
        "old": t.old and t.old.seconds,
        "new": t.new and t.new.seconds,
        "old_per_image": t.old and t.old.per_image,
        "new_per_image": t.new and t.new.per_image,
        **asdict(t.change),
    }


def _totals(diff: Diff, variant: str, figures: Sequence[FigureChange]) -> Sheet:
    columns = (
        Column("figure", "Total", "text"),
        Column("old", "Old"),
        Column("new", "New"),
        Column("change", "Change", "figure"),
        Column("ratio", "New/old", "ratio", importance=1),
    )
    rows = tuple(
        (_named(f), f.old, f.new, _signed(f.old, f.new), _ratio(f.old, f.new)) for f in figures if not f.block
    )
    old, new = (label(each.subjects[variant].graph) for each in (diff.old, diff.new))
    title = f"{variant or 'In total'}: {diff.old.source} → {diff.new.source}"
    return Sheet(title, columns, rows, notes=(f"Old: {old}. New: {new}.", *diff.notes))


def _named(figure: FigureChange) -> str:
    title = TITLES[figure.name]
    return f"{title}, bytes" if figure.unit == "bytes" else title


def _blocks(figures: Sequence[FigureChange]) -> Sheet:
    """Return the changed blocks, with the metrics that changed in any of them."""
    blocks: dict[str, dict[str, FigureChange]] = {}
    for each in figures:
        if each.block:
            blocks.setdefault(each.block, {})[each.name] = each
    changed = {block: of for block, of in blocks.items() if any(each.differs for each in of.values())}
    if not changed:
        return Sheet("No block changed", (), ())
    names = [n for n in NAMES if any(of[n].differs for of in changed.values() if n in of)]
    columns = [Column("block", "Block", "text")]
    for name in names:
        low = 3 * (_IMPORTANCE.index(name) if name in _IMPORTANCE else len(_IMPORTANCE))
        columns += [
            Column(f"{name}_old", f"{TITLES[name]} old", importance=low),
            Column(f"{name}_new", f"{TITLES[name]} new", importance=low and low - 1),
            Column(f"{name}_ratio", f"{TITLES[name]} ratio", "ratio", importance=low and low - 2),
        ]
    rows = tuple(
        (block, *(cell for n in names for cell in _cells(of.get(n)))) for block, of in changed.items()
    )
    left = len(blocks) - len(changed)
    notes = (f"{left} other block{' is' if left == 1 else 's are'} unchanged.",) if left else ()
    if any(each.old_block != each.new_block for of in changed.values() for each in of.values()):
        notes = (ALIGNED, *notes)
    return Sheet("Blocks that changed", tuple(columns), rows, notes=notes)


def _cells(figure: FigureChange | None) -> tuple[int | float | None, ...]:
    return (None, None, None) if figure is None else (figure.old, figure.new, _ratio(figure.old, figure.new))


def _times(variant: str, times: Sequence[TimeChange]) -> Sheet:
    several = len({targets_of_change(t) for t in times}) > len({targets_of_change(t)[0] for t in times})
    arrows = any("→" in targets_of_change(t)[1] for t in times)
    images = any(timing.target.batch > 1 for t in times for timing in (t.old, t.new) if timing)
    unit = "ms per call" if images else "ms"
    columns = (
        Column("part", "Part", "text"),
        Column("place", "Backend", "text"),
        Column("how", "Settings", "text", importance=0 if several or arrows else 5),
        Column("old_ms", f"Old, {unit}", "figure", importance=2),
        Column("new_ms", f"New, {unit}", "figure", importance=1),
        Column("ratio", "New/old", "ratio"),
        Column("interval", "95 % interval", "figure", importance=3),
        Column("verdict", "Verdict", "text"),
    )
    rows = tuple(
        (
            _named_part(t),
            *targets_of_change(t),
            _ms(t.old),
            _ms(t.new),
            t.change.ratio,
            _interval(t.change),
            _verdict(t.change),
        )
        for t in times
    )
    verdicts = [t.change.verdict for t in times]
    counts = [f"{verdicts.count(v)} {v}" for v in get_args(Verdict) if v in verdicts]
    notes = (
        f"{', '.join(counts)}. {VERDICTS}",
        f"Median ± half the distance from p10 to p90, in % of the median; {NOISY_MARK} is noisy.",
        *_reasons(times, several),
    )
    slower = frozenset(n for n, verdict in enumerate(verdicts) if verdict == "slower")
    return Sheet(
        f"Latency{f' of {variant}' if variant else ''}", columns, rows, notes=notes, highlighted=slower
    )


def targets_of_change(change: TimeChange) -> tuple[str, str]:
    """Return place and settings of the timings; "old → new" if they differ."""
    known = [timing.target for timing in (change.old, change.new) if timing]
    places = dict.fromkeys(target.place for target in known)
    settings = dict.fromkeys(target.settings for target in known)
    return " → ".join(places), " → ".join(settings)


def _fields(change: TimeChange) -> dict[str, object]:
    """Return the fields of the target; "old → new" if they differ."""
    known = [timing.target for timing in (change.old, change.new) if timing]
    return {field: _one(field, known) for field in FIELDS}


def _one(field: str, targets: Sequence[Target]) -> object:
    values = list(dict.fromkeys(getattr(target, field) for target in targets))
    return values[0] if len(values) == 1 else " → ".join(map(str, values))


def _named_part(change: TimeChange) -> str:
    """Return the part's name, or "old → new" if an aligned block has different names."""
    old = change.counterpart
    return change.part if old in ("", change.part) else f"{old} → {change.part}"


def _ms(timing: Timing | None) -> str | None:
    if timing is None or timing.per_image is None:
        return timing.status if timing and timing.status != "ok" else None
    several = f" ({timing.per_image * 1e3:.3f} per image)" if timing.target.batch > 1 else ""
    return f"{time_ms(timing)}{several}"


def _interval(change: Change) -> str | None:
    return None if change.low is None else f"{change.low:.3f} to {change.high:.3f}"


def _verdict(change: Change) -> str:
    """Write the verdict, with the clock if it is not wall time."""
    return change.verdict if change.clock == "wall" else f"{change.verdict} ({change.clock} time)"


def _reasons(times: Sequence[TimeChange], several: bool) -> list[str]:
    """Return each reason for which times are not comparable or have no interval."""
    reasons: dict[str, list[str]] = {}
    for t in times:
        if t.change.ratio is None:
            place, how = targets_of_change(t)
            where = f"{place} ({how})" if several else place
            why = f"{t.change.verdict[0].upper()}{t.change.verdict[1:]}, {t.change.reason}"
            reasons.setdefault(why, []).append(f"{_named_part(t)} on {where}")
    return [
        f"{reason} ({'all of them' if len(parts) == len(times) else ', '.join(parts)})."
        for reason, parts in reasons.items()
    ]


def _ratio(old: int | None, new: int | None) -> float | None:
    return new / old if old and new is not None else None


def _signed(old: int | None, new: int | None) -> str | None:
    if old is None or new is None:
        return None
    return f"{new - old:+,}" if new != old else "0"
