"""What became of the article's claims: the evidence that there is, and the finding that follows from it."""

from functools import cached_property
from typing import Any, Literal, NamedTuple

import msgspec

from ..cost.counts import Dtype
from ..graph.errors import InputError
from ..graph.graph import Graph
from .document import run_document, table_head
from .read import (
    MAX_VALUES,
    Network,
    RunDocument,
    decode,
    read_head,
    refuse_many_rows,
    require_schema,
)
from .run import SCHEMA, Run, Subject, twins
from .target import Target
from .timing import Timing

Verdict = Literal[
    "holds", "holds only if", "does not hold", "hidden by noise", "not testable here", "no evidence yet"
]


class Measured(NamedTuple):
    """A timing, and the run that it is of."""

    timing: Timing
    run: Run


class Series(msgspec.Struct, frozen=True):
    """A curve that a finding rests on: points of (x, y, low, high), the last two y's 95 % interval."""

    name: str
    x: str
    y: str
    points: tuple[tuple[float, float, float, float], ...]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A claim and what became of it.

    sentence: what is judged: the article's statement, or what was measured of it. article: what the
        article says of it; source: where the paper or another one does. found: what was found, in a
        sentence. how: computed, measured on which backends and processor, or trained on which data with
        how many seeds. why: what the verdict depends on, or why there is none. rule: of something
        measured, when it gets which verdict. working: formulas with their numbers in place, line by line.
    """

    claim: str
    sentence: str
    article: str
    found: str
    how: str
    verdict: Verdict
    why: str = ""
    source: str = ""
    rule: str = ""
    working: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()

    @property
    def outcome(self) -> str:
        """The verdict with what it depends on."""
        if self.verdict == "holds only if":
            return f"holds only {self.why}"
        return f"{self.verdict}: {self.why}" if self.why else self.verdict


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One training. arm: what was changed of the article's recipe or network, by name.

    accuracy: on the held-out images, 0 to 1; int8: of the same network in 8 bits. reason: why one of
    them is missing.
    """

    arm: str
    seed: int
    data: str
    network: str
    epochs: int
    accuracy: float | None = None
    int8: float | None = None
    held: int = 0
    seconds: float = 0.0
    reason: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All that verdicts rest on: the network on paper, what was timed, and what was trained."""

    subject: Subject
    runs: tuple[Run, ...] = ()
    trials: tuple[Trial, ...] = ()

    @property
    def graph(self) -> Graph:
        """The network's layers."""
        return self.subject.graph

    def target(self, backend: str, dtype: Dtype = "fp32") -> Target | None:
        """The target that times on this backend and dtype are taken from, so that all are of one batch and
        one number of threads: the first that something was measured on.
        """
        return self._targets.get((backend, dtype))

    def measured(self, variant: str, part: str, backend: str, dtype: Dtype = "fp32") -> Measured | None:
        """What was measured of a variant's part, or of the part that is identical to it."""
        target = self.target(backend, dtype)
        for run, timed in zip(self.runs, self._timed, strict=True):
            if found := timed.get((variant, target)):
                twin = twins(run.subjects[variant].graph).get(part, part)
                if timing := found.get(part) or found.get(twin):
                    return Measured(timing, run)
        return None

    @cached_property
    def _targets(self) -> dict[tuple[str, Dtype], Target]:
        found: dict[tuple[str, Dtype], Target] = {}
        for timing in (timing for run in self.runs for timing in run.timings if timing.bursts):
            found.setdefault((timing.target.backend, timing.target.dtype), timing.target)
        return found

    @cached_property
    def _timed(self) -> list[dict[tuple[str, Target | None], dict[str, Timing]]]:
        """Of each run its timings, by variant and target, by part."""
        found = []
        for run in self.runs:
            timed: dict[tuple[str, Target | None], dict[str, Timing]] = {}
            for timing in run.timings:
                timed.setdefault((timing.variant, timing.target), {})[timing.part] = timing
            found.append(timed)
        return found

    def backends(self, dtype: Dtype = "fp32") -> tuple[str, ...]:
        """Those that something was measured on in this type."""
        timings = (timing for run in self.runs for timing in run.timings)
        return tuple(dict.fromkeys(t.target.backend for t in timings if t.target.dtype == dtype and t.bursts))


def findings_document(evidence: Evidence, findings: tuple[Finding, ...], created: str) -> dict[str, Any]:
    """The findings, and the evidence that they can be judged from again."""
    return {
        "schema": SCHEMA,
        "findings": findings,
        **table_head(evidence.subject),
        "created": created,
        "runs": [run_document(run) for run in evidence.runs],
        "trials": evidence.trials,
    }


class _Document(Network, kw_only=True):
    """A document of findings, as far as it is read: they are judged anew."""

    runs: tuple[RunDocument, ...] = ()
    trials: tuple[Trial, ...] = ()

    def evidence(self, where: str) -> Evidence:
        refuse_many_rows((network for run in self.runs for network in run.graphs.values()), where)
        runs = tuple(run.run(f"{where}, run {number}") for number, run in enumerate(self.runs, 1))
        return Evidence(subject=self.subject(where), runs=runs, trials=self.trials)


def read_saved(data: bytes, where: str) -> Run | Evidence | Subject | None:
    """What a JSON document holds: a run, findings' evidence, or a network at its input; None for a table.

    Raises InputError about `where`.
    """
    values = data.count(b",")
    if values > MAX_VALUES:
        raise InputError(f"{where}: has about {values:,} values; expected at most {MAX_VALUES:,}")
    head = read_head(data, where)
    if head.findings:
        require_schema(head, where)
        return decode(data, _Document, where).evidence(where)
    if head.hosts or head.host or head.timings:
        require_schema(head, where)
        return decode(data, RunDocument, where).run(where)
    if head.table and head.input:
        if head.schema:
            require_schema(head, where)
        return decode(data, Network, where).subject(where)
    if head.schema and not head.table:
        raise InputError(f"{where}: holds no network; expected a table, a run, findings or a report")
    return None
