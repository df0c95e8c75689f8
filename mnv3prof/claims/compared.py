"""Outcomes of comparisons on several backends, and one verdict over them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..analysis.compare import MARGIN, Change, compare, compare_sums
from ..record.findings import Evidence, Measured, Verdict

FASTER: Final = (
    f"holds if all of the 95 % interval is shorter by more than {MARGIN:.0%}; does not hold if none of it "
    "is; else hidden by noise"
)
"""The rule of is_faster."""
SLOWER: Final = FASTER.replace("shorter", "longer")
"""The rule of is_slower."""

_MOBILE: Final = ("aarch64", "arm64", "armv7", "armv8")


def ratio(first: Measured | None, second: Measured | None) -> Change | None:
    """Compare the first's time with the second's; None if one of them was not measured."""
    if first is None or second is None:
        return None
    found = compare(second.timing, first.timing, second.run, first.run)
    return None if found.verdict == "not comparable" else found


def ratio_of_sums(firsts: Sequence[Measured | None], seconds: Sequence[Measured | None]) -> Change | None:
    """Compare sums of times likewise."""
    news, olds = ([each.timing for each in side if each] for side in (firsts, seconds))
    if not news or len(news) < len(firsts) or len(olds) < len(seconds):
        return None
    found = compare_sums(olds, news)
    return None if found.verdict == "not comparable" else found


def at_least(change: Change, limit: float) -> bool | None:
    """Tell whether the ratio is `limit` or more: the whole interval is, or none of it; None in between."""
    if change.low is None or change.high is None:
        return None
    return True if change.low >= limit else False if change.high < limit else None


def saves(change: Change, share: float) -> bool | None:
    """Tell whether the share of the time or more is saved: all of the interval does, or none of it."""
    if change.low is None or change.high is None:
        return None
    return True if change.high <= 1 - share else False if change.low > 1 - share else None


def is_faster(change: Change) -> bool | None:
    """Tell whether the time fell beyond the margin, as `saves` does."""
    return saves(change, 1 - 1 / (1 + MARGIN))


def is_slower(change: Change) -> bool | None:
    """Tell whether the time rose beyond the margin, as `at_least` does."""
    return at_least(change, 1 + MARGIN)


def overall(outcomes: Mapping[str, bool | None]) -> tuple[Verdict, str]:
    """One verdict over outcomes by where they were found; those that noise hides count for nothing."""
    told = {where: outcome for where, outcome in outcomes.items() if outcome is not None}
    hidden = ", ".join(where for where in outcomes if where not in told)
    noise = f"; hidden by noise on {hidden}" if hidden else ""
    if not outcomes:
        return "no evidence yet", "nothing was timed"
    if not told:
        return "hidden by noise", f"on {hidden}"
    if all(told.values()):
        return "holds", noise[2:]
    if not any(told.values()):
        return "does not hold", noise[2:]
    return "holds only if", f"on {', '.join(w for w, outcome in told.items() if outcome)}{noise}"


def on_a_mobile_chip(verdict: Verdict, why: str, evidence: Evidence) -> tuple[Verdict, str]:
    """The verdict on a claim about mobile chips: where none was measured, what was is said beside."""
    if verdict in ("no evidence yet", "hidden by noise") or _is_mobile(evidence):
        return verdict, why
    here = f"{verdict.removesuffix(' if')} {why}".strip() if verdict == "holds only if" else verdict
    other = f" ({why})" if why and verdict != "holds only if" else ""
    return "not testable here", f"no mobile chip; on {processor(evidence)} it {here}{other}"


def _is_mobile(evidence: Evidence) -> bool:
    return any(
        name in run.hosts[target.device].os.lower()
        for run in evidence.runs
        for target in run.targets
        for name in _MOBILE
    )


def processor(evidence: Evidence) -> str:
    """The processors that times were taken on."""
    return ", ".join(dict.fromkeys(run.processors for run in evidence.runs))


def measured_on(evidence: Evidence, backends: Iterable[str]) -> str:
    """How a finding was come by: the backends, processor, threads and batch."""
    names = list(dict.fromkeys(backends))
    found = [evidence.target(name, dtype) for name in names for dtype in ("fp32", "int8")]
    threads = sorted({target.threads for target in found if target})
    batches = sorted({target.batch for target in found if target} - {1})
    words = "1 thread" if threads == [1] else f"{', '.join(map(str, threads))} threads"
    images = f", batch {', '.join(map(str, batches))}" if batches else ""
    return f"measured on {', '.join(names)}; {processor(evidence)}, {words}{images}"
