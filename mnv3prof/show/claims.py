"""Sheets of `claims`: verdicts, formulas, curves and trainings."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from ..record.findings import Finding, Series, Trial
from ..render.sheet import Column, Sheet, join_words

_COLUMNS: Final = (
    Column("sentence", "Statement", "prose"),
    Column("claim", "Claim", "text"),
    Column("verdict", "Verdict", "prose"),
    Column("found", "Result", "prose"),
    Column("how", "Method", "prose", importance=2),
    Column("article", "In the article", "prose", importance=3),
    Column("source", "In other publications", "prose", importance=4),
)

ARTICLE: Final = "The article is a practitioner's article on MobileNetV3-Large in PyTorch."
DIGITS: Final = (
    "Digits are ten easy classes of small gray images. They show whether a training works and what 8 bits "
    "cost, but not gains of one percent on ImageNet.",
    "Published on ImageNet, top-1 (Searching for MobileNetV3, arXiv 1905.02244 v5, Tables 3 to 5): Large "
    "75.2 %, with ReLU everywhere 74.5 %, in 8 bits 73.8 %; Small 67.5 %, in 8 bits 64.9 %.",
    "Trained with the article's recipe without AutoAugment, which doubles the time, and with a batch norm "
    "momentum of 0.1, since an epoch of digits has only 23 steps.",
)


def claims_sheets(findings: Sequence[Finding], what: str, trials: Sequence[Trial] = ()) -> tuple[Sheet, ...]:
    """Return the findings with a row per claim, their curves, and the trainings. what: the network."""
    groups = [list(group) for _, group in groupby(findings, key=lambda f: f.claim)]
    trained = (trials_sheet(trials),) if trials else ()
    return (_sheet(groups, what), *curve_sheets(findings), *trained)


def findings_sheet(findings: Sequence[Finding], what: str) -> Sheet:
    """Return a row per finding, for CSV."""
    return _sheet([[f] for f in findings], what)


def _sheet(groups: Sequence[Sequence[Finding]], what: str) -> Sheet:
    notes = [ARTICLE, "Values in brackets are 95 % intervals."]
    if missing := [group[0].claim for group in groups for f in group if f.verdict == "no evidence"]:
        names = ", ".join(dict.fromkeys(missing))
        notes.append(f"No evidence for parts of {names}: measuring takes 3 minutes, training 25 minutes.")
    return Sheet(f"Claims of the article: {what}", _COLUMNS, tuple(map(_row, groups)), notes=tuple(notes))


def _row(group: Sequence[Finding]) -> tuple[object, ...]:
    """Join the findings on one claim; of several, each is labeled by its method."""
    first, *others = group
    labels = [f"{_method(f)}: " if others else "" for f in group]
    statements = [f"{_method(f).capitalize()}: {f.sentence}" for f in others if f.sentence != first.sentence]
    results = [f"{label.capitalize()}{f.found}" for label, f in zip(labels, group, strict=True) if f.found]
    return (
        " ".join([first.sentence, *statements]),
        first.claim,
        "; ".join(f"{label}{f.outcome}" for label, f in zip(labels, group, strict=True)),
        " ".join(results) or None,
        "; ".join(dict.fromkeys(f.how for f in group)),
        first.article,
        first.source or None,
    )


def _method(f: Finding) -> str:
    return next(method for method in ("computed", "measured", "trained") if method in f.how)


def curve_sheets(findings: Iterable[Finding]) -> tuple[Sheet, ...]:
    """Return a sheet per finding with curves: a row per x, a column with a bar per curve."""
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
    note = "The longest bar is the largest value of its column; no bar is 0."
    title = f"{series[0].y}, by {series[0].x} ({claim})"
    return Sheet(title, tuple(columns), tuple(rows), notes=(note,), stacked=True)


def working_sheets(findings: Iterable[Finding]) -> tuple[Sheet, ...]:
    """Return a sheet per finding with its formulas and numbers, line by line."""
    return tuple(_working(f) for f in findings)


def _working(f: Finding) -> Sheet:
    rows = [(line,) for line in (*f.working, f.found, f"verdict: {f.outcome}") if line]
    notes = (
        f"Method: {f.how}.",
        f"In the article: {f.article}.",
        *([f"In other publications: {f.source}."] if f.source else []),
        *([f"Rule: {f.rule}."] if f.rule else []),
    )
    return Sheet(
        f"{f.sentence} ({f.claim})", (Column("working", "Derivation", "prose"),), tuple(rows), notes=notes
    )


def trials_sheet(trials: Sequence[Trial]) -> Sheet:
    """Return a row per training; notes say what its accuracy can show."""
    columns = (
        Column("ablation", "Training", "text"),
        Column("seed", "Seed"),
        Column("epochs", "Epochs"),
        Column("accuracy", "Held-out accuracy", "percent"),
        Column("int8", "8-bit accuracy", "percent"),
        Column("seconds", "Seconds", "number", importance=1),
        Column("reason", "Reason", "text", importance=2),
    )
    rows = tuple(
        (t.ablation, t.seed, t.epochs, t.accuracy, t.int8, t.seconds, t.reason or None) for t in trials
    )
    first = trials[0]
    title = f"Trainings: {first.network} on {first.data}, {first.held} held-out images"
    return Sheet(title, columns, rows, notes=(*_missing(trials), *DIGITS))


def _missing(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Name the trainings that are missing for some seeds only."""
    done = {(t.seed, t.ablation) for t in trials}
    ablations, seeds = dict.fromkeys(t.ablation for t in trials), sorted({t.seed for t in trials})
    missing = [
        f"{ablation} with seed {seed}"
        for seed in seeds
        for ablation in ablations
        if (seed, ablation) not in done
    ]
    return (f"Not trained: {join_words(missing)}. Train again to add them.",) if missing else ()
