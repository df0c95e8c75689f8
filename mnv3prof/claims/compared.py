"""Times held against each other by their samples, and what follows over several backends."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ..analysis.change import SIGNIFICANT, mann_whitney
from ..record.findings import Evidence, Verdict
from ..record.timing import Timing

LEAST: Final = 0.02
"""The smallest difference that counts, whatever its p: to so much is a median measured (bench.schedule)."""
ALIKE: Final = 0.05
"""Times whose ratio is within this of 1, its whole interval, are said to be alike."""

_MOBILE: Final = ("aarch64", "arm64", "armv7", "armv8")


class Ratio(NamedTuple):
    """How often one time holds another. low, high: from the medians' 95 % intervals, the widest.

    p: Mann-Whitney's, two-sided, over the samples; 0 where sums of several are compared.
    """

    value: float
    low: float
    high: float
    p: float = 0.0

    @property
    def faster(self) -> bool:
        """Whether the first is faster beyond noise."""
        return self.high < 1 and self.p < SIGNIFICANT and self.value < 1 - LEAST

    @property
    def slower(self) -> bool:
        """Whether the first is slower beyond noise."""
        return self.low > 1 and self.p < SIGNIFICANT and self.value > 1 + LEAST

    def __str__(self) -> str:
        return f"×{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def ratio(first: Timing | None, second: Timing | None) -> Ratio | None:
    """The first's time by the second's; None where one of them has no samples that count."""
    pair = [t.summary if t and t.status == "ok" else None for t in (first, second)]
    a, b = pair
    if a is None or b is None or first is None or second is None or not b.low:
        return None
    p = mann_whitney(first.samples, second.samples)
    return Ratio(a.median / b.median, a.low / b.high, a.high / b.low, p)


def ratio_of_sums(firsts: Sequence[Timing | None], seconds: Sequence[Timing | None]) -> Ratio | None:
    """The same of several times in a row."""
    sums = [_sum(timings) for timings in (firsts, seconds)]
    a, b = sums
    return None if a is None or b is None else Ratio(a[0] / b[0], a[1] / b[2], a[2] / b[1])


def _sum(timings: Sequence[Timing | None]) -> tuple[float, float, float] | None:
    found = [t.summary for t in timings if t and t.status == "ok" and t.summary]
    if not found or len(found) < len(timings):
        return None
    return sum(s.median for s in found), sum(s.low for s in found), sum(s.high for s in found)


def is_faster(found: Ratio | None, by: float = 0.0) -> bool | None:
    """Whether the first saves the share `by` of the second's time or more; None where noise hides it."""
    if found is None:
        return None
    if found.faster and found.low <= 1 - by:
        return True
    return False if found.low > 1 - max(by, ALIKE) else None


def is_slower(found: Ratio | None) -> bool | None:
    """Whether the first takes longer; None where noise hides it."""
    if found is None:
        return None
    if found.slower:
        return True
    return False if found.high < 1 + ALIKE else None


def overall(outcomes: Mapping[str, bool | None]) -> tuple[Verdict, str]:
    """One verdict over outcomes by where they were found; those that noise hides count for nothing."""
    told = {where: outcome for where, outcome in outcomes.items() if outcome is not None}
    hidden = [where for where in outcomes if where not in told]
    noise = f"; too noisy to tell: {', '.join(hidden)}" if hidden else ""
    if not told:
        return "no evidence yet", f"too noisy to tell: {', '.join(hidden)}" if hidden else "nothing was timed"
    if all(told.values()):
        return "holds", noise[2:]
    if not any(told.values()):
        return "does not hold", noise[2:]
    return "holds only if", f"on {', '.join(w for w, outcome in told.items() if outcome)}{noise}"


def on_a_mobile_chip(verdict: Verdict, why: str, evidence: Evidence) -> tuple[Verdict, str]:
    """The verdict on a claim about mobile chips: where none was measured, what was is said beside."""
    if verdict == "no evidence yet" or _is_mobile(evidence):
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
