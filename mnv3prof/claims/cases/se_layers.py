"""K7: squeeze-excite with 1×1 convolutions or with linear layers."""

from typing import Final

from ...analysis.compare import Change
from ...mobilenetv3.table import Table, with_defaults
from ...mobilenetv3.variants import with_option
from ...record.findings import Evidence, Finding
from ...record.run import Subject
from ..claim import NOT_IN_PAPER, Claim, TimingRequest, finding, not_measured
from ..compared import FASTER, is_faster, measured_on, overall_on_mobile, ratio, ratio_of_sums
from .squeeze_excite import modules

K7: Final = Claim(
    "K7",
    "1×1 convolutions in squeeze-excite use optimized libraries better than linear layers on mobile.",
    "better on mobile",
    f"{NOT_IN_PAPER}; torchvision and timm use 1×1 convolutions",
)
CLAIMS: Final = (K7,)

LINEAR: Final = "linear SE"


def _forms(subject: Subject) -> dict[str, Subject]:
    """Return the given network as "", and the one with the other form of squeeze-excite."""
    other = "conv" if _form(subject.table) == "linear" else "linear"
    return {"": subject, LINEAR: subject.varied(with_option(subject.table, "se_form", other))}


def _form(table: Table) -> str:
    """Return the form of squeeze-excite in all rows that have it, "" for both forms."""
    forms = {with_defaults(table, row).se_form for row in table.rows if row.se}
    return str(forms.pop()) if len(forms) == 1 else ""


def timed(subject: Subject) -> tuple[TimingRequest, ...]:
    """Return every SE module in both forms; none if the table mixes them."""
    if not _form(subject.table):
        return ()
    return tuple(
        TimingRequest(variant, net, path)
        for path in modules(subject.graph).values()
        for variant, net in _forms(subject).items()
    )


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Judge K7."""
    paths = list(modules(evidence.graph).values())
    if not paths:
        return (finding(K7, "not testable here", how="computed", why="the table has no squeeze-excite"),)
    form = _form(evidence.subject.table)
    if not form:
        return (finding(K7, "not testable here", how="computed", why="its rows have both forms"),)
    order = ("", LINEAR) if form == "conv" else (LINEAR, "")
    sums: dict[str, Change] = {}
    working = []
    for name in evidence.places():
        pairs = {path: [evidence.measured(variant, path, name) for variant in order] for path in paths}
        both = {path: r for path, pair in pairs.items() if (r := ratio(*pair))}
        whole = ratio_of_sums([pairs[path][0] for path in both], [pairs[path][1] for path in both])
        if whole:
            sums[name] = whole
            working += [
                f"{name}, {path}: time of 1×1 convolutions ÷ linear layers {r}" for path, r in both.items()
            ]
    if not sums:
        return (not_measured(K7, evidence, rule=FASTER),)
    verdict, why = overall_on_mobile({n: is_faster(r) for n, r in sums.items()}, evidence)
    results = ", ".join(f"{r} on {name}" for name, r in sums.items())
    return (
        finding(
            K7,
            verdict,
            how=measured_on(evidence, sums),
            why=why,
            working=tuple(working),
            rule=FASTER,
            found=f"Time of all SE modules, 1×1 convolutions ÷ linear layers: {results}.",
        ),
    )
