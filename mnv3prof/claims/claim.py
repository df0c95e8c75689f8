"""Claims of the article, one file of cases/ per claim or family of claims.

A file defines CLAIMS and judge(evidence), which returns findings. Timings that it needs are returned by
timed(subject), trainings are listed in ABLATIONS.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import zip_longest
from typing import Any, Final, NamedTuple, Protocol

from ..analysis.compare import Change
from ..cost.counts import Dtype
from ..graph.errors import InputError, quote
from ..mobilenetv3.table import Table
from ..record.findings import ClaimVerdict, Evidence, Finding, Series
from ..record.run import Subject
from ..registry import stems
from . import cases

COMPUTED: Final = "computed, exactly"
NOT_MEASURED: Final = "not measured"
NOT_TRAINED: Final = "not trained"
NOT_IN_PAPER: Final = "not in the paper"


class Claim(NamedTuple):
    """A statement. article: what the article says; source: what the paper or another publication says."""

    id: str
    sentence: str
    article: str
    source: str


class TimingRequest(NamedTuple):
    """A part of a network to be timed. variant: name of the network; "" is the given one.

    compiled: priority in compiled PyTorch, whose parts take seconds to compile: 1 is first, 0 is never.
    """

    variant: str
    subject: Subject
    part: str
    dtypes: tuple[Dtype, ...] = ("fp32",)
    compiled: int = 0


class Ablation(NamedTuple):
    """A training. change: to the network; recipe: fields that differ from the article's.

    quantized: also measure the accuracy in 8 bits.
    """

    name: str
    change: Callable[[Table], Table] = lambda table: table
    recipe: Mapping[str, Any] = {}
    quantized: bool = False


class ClaimFamily(Protocol):
    """A file of cases/; it may also have `timed` and `ABLATIONS`."""

    CLAIMS: tuple[Claim, ...]

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """Return the findings in the order in which they are shown."""


def families() -> tuple[ClaimFamily, ...]:
    """Return the files of cases/ in the order of their claims."""
    found: list[Any] = [import_module(f".{stem}", cases.__name__) for stem in stems(cases.__file__)]
    return tuple(sorted(found, key=lambda family: place(family.CLAIMS[0].id)))


def claims() -> tuple[Claim, ...]:
    """Return all claims in order."""
    every = [claim for family in families() for claim in family.CLAIMS]
    return tuple(sorted(every, key=lambda claim: place(claim.id)))


def chosen(names: tuple[str, ...]) -> tuple[ClaimFamily, ...]:
    """Return the families of the claims `names`, by default all. Raises InputError for an unknown name."""
    known = [claim.id for claim in claims()]
    for name in names:
        if name not in known:
            raise InputError(f"claims: {quote(name)} is not a claim; expected {', '.join(known)}")
    wanted = set(names or known)
    return tuple(family for family in families() if wanted & {claim.id for claim in family.CLAIMS})


def judge(evidence: Evidence, names: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """Return the findings on the claims `names`, by default on all."""
    findings = [finding for family in chosen(names) for finding in family.judge(evidence)]
    wanted = [finding for finding in findings if not names or finding.claim in names]
    return tuple(sorted(wanted, key=lambda finding: place(finding.claim)))


def timing_requests(subject: Subject, names: tuple[str, ...] = ()) -> tuple[TimingRequest, ...]:
    """Return what is to be timed: the first of each family before any second."""
    lists = [getattr(family, "timed", lambda _: ())(subject) for family in chosen(names)]
    return tuple(request for round_ in zip_longest(*lists) for request in round_ if request is not None)


def ablations(names: tuple[str, ...] = ()) -> tuple[Ablation, ...]:
    """Return what is to be trained, each training once; the article's own recipe first."""
    by_name: dict[str, Ablation] = {}
    for family in chosen(names):
        for ablation in getattr(family, "ABLATIONS", ()):
            known = by_name.get(ablation.name, ablation)
            by_name[ablation.name] = ablation._replace(quantized=ablation.quantized or known.quantized)
    return tuple(by_name.values())


def place(claim: str) -> tuple[str, int]:
    """Return the sort key of a claim: K1, K2, ..., K11, T1, ..."""
    return claim[:1], int(claim[1:])


def finding(
    claim: Claim,
    verdict: ClaimVerdict,
    *,
    found: str = "",
    how: str,
    why: str = "",
    working: tuple[str, ...] = (),
    series: tuple[Series, ...] = (),
    sentence: str = "",
    rule: str = "",
) -> Finding:
    """Make a finding on `claim`. sentence: the statement that is judged, by default the claim's."""
    return Finding(
        claim=claim.id,
        sentence=sentence or claim.sentence,
        article=claim.article,
        source=claim.source,
        found=found,
        how=how,
        verdict=verdict,
        why=why,
        rule=rule,
        working=working,
        series=series,
    )


def points_at(x: float, change: Change) -> list[tuple[float, float, float, float]]:
    """Return the point of a curve at `x`; none if the change has no interval."""
    if change.ratio is None or change.low is None or change.high is None:
        return []
    return [(x, change.ratio, change.low, change.high)]


def not_measured(claim: Claim, evidence: Evidence, sentence: str = "", rule: str = "") -> Finding:
    """Make the finding on a claim without comparable timings."""
    failed = any(t.status != "ok" for run in evidence.runs for t in run.timings)
    why = f"time was up; measure {claim.id} alone, or again: conversions are cached" if failed else ""
    return finding(claim, "no evidence", how=NOT_MEASURED, why=why, sentence=sentence, rule=rule)


def not_trained(claim: Claim) -> Finding:
    """Make the finding on a claim without trainings."""
    return finding(claim, "no evidence", how=NOT_TRAINED)
