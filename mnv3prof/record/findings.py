"""Findings on the article's claims, and the evidence that they are judged from."""

from functools import cached_property
from typing import Any, Literal, NamedTuple

import msgspec

from ..cost.counts import Dtype
from ..graph.errors import InputError, quote
from ..graph.graph import Graph
from ..graph.parts import identical_blocks
from ..mobilenetv3.files import require_unique_keys
from .document import run_document, table_head
from .read import (
    MAX_VALUES,
    NetworkDocument,
    RunDocument,
    decode,
    read_head,
    refuse_many_rows,
    require_schema,
)
from .run import SCHEMA, Run, Subject
from .target import Target
from .timing import Timing

ClaimVerdict = Literal[
    "holds", "holds if", "does not hold", "hidden by noise", "not testable here", "no evidence"
]


class Measured(NamedTuple):
    """A timing and its run."""

    timing: Timing
    run: Run


class Series(msgspec.Struct, frozen=True):
    """A curve of a finding: points (x, y, low, high), where low to high is the 95 % interval of y."""

    name: str
    x: str
    y: str
    points: tuple[tuple[float, float, float, float], ...]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict on a claim, or on a statement that follows from it.

    sentence: the statement that is judged. article: what the article says; source: what the paper or
        another publication says. found: the result, as a sentence. how: computed; measured on which
        backends and CPU; or trained on which data with how many seeds. why: the condition or the reason of
        the verdict. rule: when a measured statement gets which verdict. working: formulas with numbers.
    """

    claim: str
    sentence: str
    article: str
    found: str
    how: str
    verdict: ClaimVerdict
    why: str = ""
    source: str = ""
    rule: str = ""
    working: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()

    @property
    def outcome(self) -> str:
        """Verdict with its condition or reason."""
        if self.verdict == "holds if":
            return f"holds if {self.why}"
        return f"{self.verdict}: {self.why}" if self.why else self.verdict


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One training. ablation: name of the change to the article's recipe or network.

    accuracy: on the held-out images, 0 to 1; int8: the same after quantization. held: number of held-out
    images. reason: why an accuracy is missing.
    """

    ablation: str
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
    """Evidence of verdicts: the network, timings and trainings."""

    subject: Subject
    runs: tuple[Run, ...] = ()
    trials: tuple[Trial, ...] = ()

    @property
    def graph(self) -> Graph:
        """Graph of the network."""
        return self.subject.graph

    def target(self, place: str, dtype: Dtype = "fp32") -> Target | None:
        """Return the first measured target of a place and dtype, which fixes batch and threads."""
        return self._targets.get((place, dtype))

    def measured(self, variant: str, part: str, place: str, dtype: Dtype = "fp32") -> Measured | None:
        """Return the timing of a variant's part, or of the block that is identical to it."""
        target = self.target(place, dtype)
        for run, timings in zip(self.runs, self._timings, strict=True):
            if subject := run.subjects.get(variant):
                for name in (part, identical_blocks(subject.graph).get(part, part)):
                    if timing := timings.get((variant, target, name)):
                        return Measured(timing, run)
        return None

    @cached_property
    def _targets(self) -> dict[tuple[str, Dtype], Target]:
        found: dict[tuple[str, Dtype], Target] = {}
        for timing in (timing for run in self.runs for timing in run.timings if timing.bursts):
            found.setdefault((timing.target.place, timing.target.dtype), timing.target)
        return found

    @cached_property
    def _timings(self) -> list[dict[tuple[str, Target | None, str], Timing]]:
        """Timings of each run by variant, target and part."""
        return [{(t.variant, t.target, t.part): t for t in run.timings} for run in self.runs]

    def places(self, dtype: Dtype = "fp32") -> tuple[str, ...]:
        """Return the backends, "ncnn" or of another device "ncnn@pi", with a timing of this dtype."""
        return tuple(place for place, of_dtype in self._targets if of_dtype == dtype)


def findings_document(evidence: Evidence, findings: tuple[Finding, ...], created: str) -> dict[str, Any]:
    """Return a document of the findings and the evidence that they can be judged from again."""
    return {
        "schema": SCHEMA,
        "findings": findings,
        **table_head(evidence.subject),
        "created": created,
        "runs": [run_document(run) for run in evidence.runs],
        "trials": evidence.trials,
    }


class _Document(NetworkDocument, kw_only=True):
    """A document of findings; only the evidence is read, since findings are judged again."""

    runs: tuple[RunDocument, ...] = ()
    trials: tuple[Trial, ...] = ()

    def evidence(self, where: str) -> Evidence:
        refuse_many_rows((network for run in self.runs for network in run.graphs.values()), where)
        runs = tuple(run.run(f"{where}, run {number}") for number, run in enumerate(self.runs, 1))
        return Evidence(subject=self.subject(where), runs=runs, trials=self.trials)


def read_saved(data: bytes, where: str) -> Run | Evidence | Subject | None:
    """Read a JSON document: a run, the evidence of findings, or a network; None for a table.

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
    if head.network:
        text = quote(head.network_name())
        raise InputError(
            f"{where}: holds figures of {text} without its graph; expected a run, or {text} itself"
        )
    if head.table and head.input:
        if head.schema:
            require_schema(head, where)
        document = decode(data, NetworkDocument, where)
        require_unique_keys(data, where)
        return document.subject(where)
    if head.schema and not head.table:
        raise InputError(f"{where}: holds no network; expected a table, a run, findings or a report")
    return None
