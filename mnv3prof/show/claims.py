"""The sheets of `claims`: each claim with what was found of it, the working, and the curves."""

from collections.abc import Iterable, Sequence
from typing import Final

from ..record.findings import Finding, Series, Trial
from ..render.sheet import Column, Sheet, words

_COLUMNS: Final = (
    Column("claim", "Claim", "text"),
    Column("sentence", "In a sentence", "prose"),
    Column("article", "The article says", "prose", importance=3),
    Column("found", "We found", "prose"),
    Column("verdict", "Verdict", "prose"),
    Column("how", "How", "prose", importance=2),
    Column("source", "In the paper", "prose", importance=4),
)

DIGITS: Final = (
    "Digits are ten easy classes of small grey images: they can show that training works, that a change "
    "breaks it, and what 8 bits cost; they cannot show gains of a percent on ImageNet.",
    "Published on ImageNet, top-1 (Searching for MobileNetV3, arXiv 1905.02244 v5, Tables 3 to 5): Large "
    "75.2 %, with ReLU everywhere 74.5 %, in 8 bits 73.8 %; Small 67.5 %, in 8 bits 64.9 %.",
    "Trained by the article's recipe without AutoAugment, which doubles the time, and with batch norm's "
    "momentum at 0.1, since an epoch of digits has only 23 steps.",
)


def claims_sheets(findings: Sequence[Finding], what: str, trials: Sequence[Trial] = ()) -> tuple[Sheet, ...]:
    """Every finding, the curves that some rest on, and the trainings. what: of which network."""
    trained = (trials_sheet(trials),) if trials else ()
    return (findings_sheet(findings, what), *curve_sheets(findings), *trained)


def findings_sheet(findings: Sequence[Finding], what: str) -> Sheet:
    """A row for each finding."""
    rows = tuple(
        (f.claim, f.sentence, f.article, f.found or None, f.outcome, f.how, f.source or None)
        for f in findings
    )
    return Sheet(f"The article's claims, tried: {what}", _COLUMNS, rows, notes=_notes(findings))


def _notes(findings: Sequence[Finding]) -> tuple[str, ...]:
    notes = ["Figures in brackets are 95 % intervals, on which verdicts on times and accuracies rest."]
    missing = [f for f in findings if f.verdict == "no evidence yet"]
    if missing:
        names = ", ".join(dict.fromkeys(f.claim for f in missing))
        notes.append(
            f"No evidence yet for some of {names}: --measure times (3 minutes), --train trains (25 minutes)."
        )
    return tuple(notes)


def curve_sheets(findings: Iterable[Finding]) -> tuple[Sheet, ...]:
    """For each finding with curves: a row for each x, a column with a bar for each curve."""
    return tuple(_curves(f.claim, f.series) for f in findings if f.series)


def _curves(claim: str, series: Sequence[Series]) -> Sheet:
    xs = sorted({point[0] for one in series for point in one.points})
    by_name = {one.name: {point[0]: point[1:] for point in one.points} for one in series}
    most = {name: max((p[0] for p in points.values()), default=0.0) for name, points in by_name.items()}
    columns = [Column("x", series[0].x.capitalize())]
    for name in by_name:
        columns += [Column(f"{name}_share", name, "bar"), Column(name, "95 % interval", "figure")]
    rows = []
    for x in xs:
        cells: list[object] = [int(x)]
        for name, points in by_name.items():
            if x not in points:
                cells += [None, None]
                continue
            value, low, high = points[x]
            cells += [value / most[name] if most[name] else 0.0, f"{value:.2f} ({low:.2f} to {high:.2f})"]
        rows.append(tuple(cells))
    note = "The longest bar is the column's largest figure, no bar is 0."
    title = f"{claim}: {series[0].y}, by {series[0].x}"
    return Sheet(title, tuple(columns), tuple(rows), notes=(note,), stacked=True)


def working_sheets(findings: Iterable[Finding]) -> tuple[Sheet, ...]:
    """How each finding was come by, line by line."""
    return tuple(_working(f) for f in findings)


def _working(f: Finding) -> Sheet:
    rows = [
        (line,) for line in (*f.working, f"{f.found}" if f.found else "", f"verdict: {f.outcome}") if line
    ]
    notes = (
        f"How: {f.how}.",
        *([f"The article says: {f.article}."]),
        *([f"Source: {f.source}."] if f.source else []),
        *([f"Rule: {f.rule}."] if f.rule else []),
    )
    return Sheet(
        f"{f.claim}: {f.sentence}", (Column("working", "Working", "prose"),), tuple(rows), notes=notes
    )


def trials_sheet(trials: Sequence[Trial]) -> Sheet:
    """Every training with its accuracies, and what they can show."""
    columns = (
        Column("arm", "Training", "text"), Column("seed", "Seed"), Column("epochs", "Epochs"),
        Column("accuracy", "Held-out accuracy", "percent"), Column("int8", "In 8 bits", "percent"),
        Column("seconds", "Seconds", "number", importance=1),
        Column("reason", "Reason", "text", importance=2),
    )  # fmt: skip
    rows = tuple((t.arm, t.seed, t.epochs, t.accuracy, t.int8, t.seconds, t.reason or None) for t in trials)
    first = trials[0]
    title = f"Trained: {first.network} on {first.data}, {first.held} images held out"
    return Sheet(title, columns, rows, notes=(*_missing(trials), *DIGITS))


def _missing(trials: Sequence[Trial]) -> tuple[str, ...]:
    """The trainings that the others lack to be complete."""
    there = {(t.seed, t.arm) for t in trials}
    arms, seeds = dict.fromkeys(t.arm for t in trials), sorted({t.seed for t in trials})
    absent = [f"{arm} with seed {seed}" for seed in seeds for arm in arms if (seed, arm) not in there]
    return (f"Not trained yet: {words(absent)}; --train goes on with what is missing.",) if absent else ()
