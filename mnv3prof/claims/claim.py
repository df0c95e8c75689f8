"""What a claim's file holds, and which there are.

One file of cases/ a claim or family of claims. It says its CLAIMS, and
judge(evidence) gives the findings. Where something must be timed, timed(subject) says what; where
something must be trained, its ARMS do.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import zip_longest
from typing import Any, Final, NamedTuple, Protocol

from ..analysis.compare import Change
from ..cost.counts import Dtype
from ..graph.errors import InputError, shown
from ..mobilenetv3.table import Table
from ..record.findings import Evidence, Finding, Series, Verdict
from ..record.run import Subject
from ..registry import stems
from . import cases

NOT_MEASURED: Final = "it is timed with --measure"
NOT_TRAINED: Final = "it is trained with --train"
NOT_IN_PAPER: Final = "the paper says nothing of it"


class Claim(NamedTuple):
    """A statement. article: what the article says; source: where the paper or another one says it."""

    id: str
    sentence: str
    article: str
    source: str


class Wish(NamedTuple):
    """A part of a network that a claim wants timed. variant: the network's name; "" is the one asked for.

    compiled: whether it is wanted in compiled PyTorch too, where each takes seconds to get ready: 0 for
        no, 1 for what comes first, 2 for what comes next, ...
    """

    variant: str
    subject: Subject
    part: str
    dtypes: tuple[Dtype, ...] = ("fp32",)
    compiled: int = 0


class Arm(NamedTuple):
    """A training that a claim wants. change: of the network; recipe: fields that differ from the article's.

    quantised: whether its accuracy in 8 bits is wanted too.
    """

    name: str
    change: Callable[[Table], Table] = lambda table: table
    recipe: Mapping[str, Any] = {}
    quantised: bool = False


class Tried(Protocol):
    """What a claim's file holds; `timed` and `ARMS` only where there is something to measure or train."""

    CLAIMS: tuple[Claim, ...]

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """The findings, in the order in which they are shown."""


def families() -> tuple[Tried, ...]:
    """Every claim's file, in the order of their claims."""
    found: list[Any] = [import_module(f".{stem}", cases.__name__) for stem in stems(cases.__file__)]
    return tuple(sorted(found, key=lambda family: place(family.CLAIMS[0].id)))


def claims() -> tuple[Claim, ...]:
    """Every claim there is, in order."""
    found = [claim for family in families() for claim in family.CLAIMS]
    return tuple(sorted(found, key=lambda claim: place(claim.id)))


def chosen(names: tuple[str, ...]) -> tuple[Tried, ...]:
    """The families of the claims called `names`; all without any. Raises InputError for an unknown one."""
    known = [claim.id for claim in claims()]
    for name in names:
        if name not in known:
            raise InputError(f"claims: {shown(name)} is no claim; allowed are {', '.join(known)}")
    wanted = set(names or known)
    return tuple(family for family in families() if wanted & {claim.id for claim in family.CLAIMS})


def judge(evidence: Evidence, names: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """What the evidence says of the claims called `names`, or of all."""
    found = [finding for family in chosen(names) for finding in family.judge(evidence)]
    wanted = [finding for finding in found if not names or finding.claim in names]
    return tuple(sorted(wanted, key=lambda finding: place(finding.claim)))


def wishes(subject: Subject, names: tuple[str, ...] = ()) -> tuple[Wish, ...]:
    """What the claims want timed, each family's first wish before any second one."""
    lists = [getattr(family, "timed", lambda _: ())(subject) for family in chosen(names)]
    return tuple(wish for round_ in zip_longest(*lists) for wish in round_ if wish is not None)


def arms(names: tuple[str, ...] = ()) -> tuple[Arm, ...]:
    """What the claims want trained, each training once; the article's own first."""
    found: dict[str, Arm] = {}
    for family in chosen(names):
        for arm in getattr(family, "ARMS", ()):
            known = found.get(arm.name, arm)
            found[arm.name] = arm._replace(quantised=arm.quantised or known.quantised)
    return tuple(found.values())


def place(claim: str) -> tuple[str, int]:
    """Where a claim stands among the others: K1, K2, ..., K11, then the traps."""
    return claim[:1], int(claim[1:])


def finding(
    claim: Claim, verdict: Verdict, *, found: str = "", how: str, why: str = "",
    working: tuple[str, ...] = (), series: tuple[Series, ...] = (), sentence: str = "", rule: str = "",
) -> Finding:  # fmt: skip
    """The finding on `claim`. sentence: what is judged, where that is not the article's statement itself."""
    return Finding(
        claim=claim.id, sentence=sentence or claim.sentence, article=claim.article, source=claim.source,
        found=found, how=how, verdict=verdict, why=why, rule=rule, working=working, series=series,
    )  # fmt: skip


def points_at(x: float, change: Change) -> list[tuple[float, float, float, float]]:
    """The point of a curve; none if the ratio is unclear."""
    if change.ratio is None or change.low is None or change.high is None:
        return []
    return [(x, change.ratio, change.low, change.high)]


def not_measured(claim: Claim, evidence: Evidence, sentence: str = "", rule: str = "") -> Finding:
    """The finding on a claim for which nothing that can be compared was timed."""
    reasons = dict.fromkeys(t.reason for run in evidence.runs for t in run.timings if t.status != "ok")
    late = f"time was up; {NOT_MEASURED} {claim.id} alone, or again: what was made ready is kept"
    why = late if reasons else NOT_MEASURED
    return finding(claim, "no evidence yet", how="not measured", why=why, sentence=sentence, rule=rule)


def not_trained(claim: Claim) -> Finding:
    """The finding on a claim for which nothing was trained."""
    return finding(claim, "no evidence yet", how="not trained", why=NOT_TRAINED)
