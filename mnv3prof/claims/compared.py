"""Comparisons on several backends, and the verdict over them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..analysis.compare import MARGIN, Change, compare, compare_sums
from ..record.findings import ClaimVerdict, Evidence, Measured

FASTER: Final = (
    f"holds if all of the 95 % interval is faster by more than {MARGIN:.0%}; does not hold if none of it "
    "is; else hidden by noise"
)
"""Rule of is_faster."""
SLOWER: Final = FASTER.replace("faster", "slower")
"""Rule of is_slower."""

_MOBILE: Final = ("aarch64", "arm64", "armv7", "armv8")


def ratio(first: Measured | None, second: Measured | None) -> Change | None:
    """Return the ratio of the first time to the second; None if they are not comparable."""
    if first is None or second is None:
        return None
    change = compare(second.timing, first.timing, second.run, first.run)
    return None if change.verdict == "not comparable" else change


def ratios(evidence: Evidence, part: str, first: str, second: str) -> dict[str, Change]:
    """Return, per place, the ratio of a part's time in one variant to that in another."""
    pairs = {name: [evidence.measured(v, part, name) for v in (first, second)] for name in evidence.places()}
    return {name: change for name, pair in pairs.items() if (change := ratio(*pair))}


def ratio_of_sums(firsts: Sequence[Measured | None], seconds: Sequence[Measured | None]) -> Change | None:
    """Return the ratio of two sums of times; None if they are not comparable."""
    news, olds = ([each.timing for each in side if each] for side in (firsts, seconds))
    if not news or len(news) < len(firsts) or len(olds) < len(seconds):
        return None
    change = compare_sums(olds, news)
    return None if change.verdict == "not comparable" else change


def at_least(change: Change, limit: float) -> bool | None:
    """Return True if the whole interval is at least `limit`, False if none of it is, else None."""
    if change.low is None or change.high is None:
        return None
    return True if change.low >= limit else False if change.high < limit else None


def saves(change: Change, share: float) -> bool | None:
    """Return True if the whole interval saves at least `share`, False if none of it does, else None."""
    if change.low is None or change.high is None:
        return None
    return True if change.high <= 1 - share else False if change.low > 1 - share else None


def is_faster(change: Change) -> bool | None:
    """Return True if the time fell by more than MARGIN, as `saves` does."""
    return saves(change, 1 - 1 / (1 + MARGIN))


def is_slower(change: Change) -> bool | None:
    """Return True if the time rose by more than MARGIN, as `at_least` does."""
    return at_least(change, 1 + MARGIN)


def overall(outcomes: Mapping[str, bool | None]) -> tuple[ClaimVerdict, str]:
    """Return one verdict over outcomes by place; None, which is hidden by noise, does not count."""
    clear = {where: outcome for where, outcome in outcomes.items() if outcome is not None}
    hidden = ", ".join(where for where in outcomes if where not in clear)
    noise = f"hidden by noise on {hidden}" if hidden else ""
    if not outcomes:
        return "no evidence", "nothing was timed"
    if not clear:
        return "hidden by noise", f"on {hidden}"
    if all(clear.values()):
        return "holds", noise
    if not any(clear.values()):
        return "does not hold", noise
    where = f"measured on {', '.join(w for w, outcome in clear.items() if outcome)}"
    return "holds if", f"{where}; {noise}" if noise else where


def overall_on_mobile(outcomes: Mapping[str, bool | None], evidence: Evidence) -> tuple[ClaimVerdict, str]:
    """Return one verdict on a claim about mobile CPUs: not testable if none was measured.

    outcomes: by place, with or without a dtype after it; those of other CPUs than mobile ones do not count
    beside them.
    """
    mobile = _mobile_places(evidence)
    if judged := {where: outcome for where, outcome in outcomes.items() if where.split()[0] in mobile}:
        return overall(judged)
    verdict, why = overall(outcomes)
    if verdict in ("no evidence", "hidden by noise"):
        return verdict, why
    here = f"{verdict} {why}" if verdict == "holds if" else f"{verdict} ({why})" if why else verdict
    return "not testable here", f"no mobile CPU; on {processor(evidence)} it {here}"


def _mobile_places(evidence: Evidence) -> set[str]:
    return {
        target.place
        for run in evidence.runs
        for target in run.targets
        if any(name in run.hosts[target.device].os.lower() for name in _MOBILE)
    }


def processor(evidence: Evidence) -> str:
    """Return the CPUs of the runs."""
    return ", ".join(dict.fromkeys(run.processors for run in evidence.runs))


def measured_on(evidence: Evidence, places: Iterable[str]) -> str:
    """Describe a measurement: backends with their devices, CPUs, threads and batch."""
    names = list(dict.fromkeys(places))
    targets = [evidence.target(name, dtype) for name in names for dtype in ("fp32", "int8")]
    threads = sorted({target.threads for target in targets if target})
    batches = sorted({target.batch for target in targets if target} - {1})
    words = "1 thread" if threads == [1] else f"{', '.join(map(str, threads))} threads"
    images = f", batch {', '.join(map(str, batches))}" if batches else ""
    return f"measured on {', '.join(names)}; {processor(evidence)}, {words}{images}"
