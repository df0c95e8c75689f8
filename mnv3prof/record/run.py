"""What was measured, on what machine: one document, which can be shown again and gone on with."""

from functools import cached_property
from itertools import accumulate, chain
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from ..cost.conventions import Reading
from ..cost.counts import Dtype
from ..graph.graph import Graph, Layer
from ..mobilenetv3.expand import expand
from ..mobilenetv3.table import Table
from .plan import RuntimePlan
from .stats import Summary, median, summarize, undisturbed

NET: Final = "net"
"""The part that is the whole network."""

SCHEMA: Final = 1
"""Raised when a field changes its name or meaning; new fields do not raise it."""

ASKING_INTERRUPTED: Final = "Interrupted before every runtime was asked for its operators."
"""The note of a run that was ended there."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Several = Annotated[int, msgspec.Meta(ge=1, le=1_024)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Rate = Annotated[float, msgspec.Meta(gt=0, le=1e21)]
"""What a figure of a run can be; a document that holds another is damaged."""

Status = Literal["ok", "absent", "unsupported", "crashed", "timeout", "wrong"]
Joined = Literal["name", "shape", "order", ""]
Stopped = Literal["steady", "budget", "interrupted", ""]


class Condition(NamedTuple):
    """In what type, at what batch and with how many threads a timing was taken."""

    dtype: Dtype
    batch: int
    threads: int

    @property
    def words(self) -> str:
        """As people say it: "int8, batch 1, 4 threads"."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.dtype}, batch {self.batch}, {threads}"


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One part on one backend; seconds. Median, quantiles and noise are derived, never kept.

    variant: "" is the run's table, else a name in its variants. part: a block's name, "net", or the
    path of a module of the network.
    status and reason: why there are no samples, or why they count for nothing ("wrong": the output
    is not PyTorch's). samples_s: some of the `calls` that were timed, evenly kept (stats.thinned);
    visits: how many of them each visit took, in order; () where each stands on its own.
    convert_s: making the runtime's form of the part, file_bytes its size; load_s: loading it;
    first_s: its first run. max_abs_err, max_rel_err: against PyTorch eager's output, relative to its
    largest magnitude; rms_rel_err: root mean square by root mean square. cpu_per_wall: processor time
    by time while sampling. stopped: why sampling ended; "" where it has not.
    """

    variant: str = ""
    backend: str
    part: str
    dtype: Dtype = "fp32"
    batch: Several = 1
    threads: Several = 1
    status: Status = "ok"
    reason: str = ""
    samples_s: tuple[Seconds, ...] = ()
    calls: Count = 0
    visits: tuple[Count, ...] = ()
    convert_s: Seconds | None = None
    load_s: Seconds | None = None
    first_s: Seconds | None = None
    file_bytes: Count | None = None
    max_abs_err: float | None = None
    max_rel_err: float | None = None
    rms_rel_err: float | None = None
    cpu_per_wall: float | None = None
    stopped: Stopped = ""

    @property
    def condition(self) -> Condition:
        """How it was taken."""
        return Condition(self.dtype, self.batch, self.threads)

    @property
    def taken(self) -> tuple[tuple[float, ...], ...]:
        """The samples of each visit."""
        ends = tuple(accumulate(self.visits))
        return tuple(self.samples_s[end - many : end] for many, end in zip(self.visits, ends, strict=True))

    @property
    def counting(self) -> tuple[float, ...]:
        """The samples but for those of disturbed visits, which are set aside."""
        return self._counted()[0] if self.visits else self.samples_s

    @property
    def disturbed(self) -> int:
        """How many visits were set aside."""
        return len(self.visits) - len(self._counted()[1])

    @property
    def summary(self) -> Summary | None:
        """Statistics of the samples that count; None where there are none."""
        if not self.samples_s:
            return None
        return summarize(*self._counted()) if self.visits else summarize(self.samples_s)

    def _counted(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The samples of the undisturbed visits, and those visits' medians."""
        taken = self.taken
        middles = [median(samples) for samples in taken]
        kept = undisturbed(middles)
        return tuple(chain.from_iterable(taken[n] for n in kept)), tuple(middles[n] for n in kept)

    @property
    def seconds(self) -> float | None:
        """The median, where the output was right."""
        found = self.summary if self.status == "ok" else None
        return found.median if found else None

    @property
    def final(self) -> bool:
        """Whether measuring it again would find nothing that is missing."""
        return self.status != "absent" and (self.status != "ok" or self.stopped in ("steady", "budget"))


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's time, and the layer that it runs: "" and joined "" where none could be found.

    variant to threads: those of the timing that it is a piece of.
    """

    variant: str = ""
    backend: str
    part: str
    dtype: Dtype = "fp32"
    batch: Several = 1
    threads: Several = 1
    name: str
    kind: str
    seconds: Seconds
    layer: str = ""
    joined: Joined = ""


class Roof(msgspec.Struct, frozen=True):
    """A device's best measured rates: of a matrix product (MAC/s), of a copy (bytes read and written)."""

    device: str
    dtype: Dtype
    threads: Several
    macs_per_s: Rate
    bytes_per_s: Rate


class Runtime(msgspec.Struct, frozen=True):
    """A backend as it was here. roof: the device of the roof that its rates are held against, or ""."""

    version: str
    device: str
    roof: str


class Host(msgspec.Struct, frozen=True):
    """The machine. versions: of each distribution that took part; runtimes: by backend."""

    cpu: str
    cores: Count
    memory_bytes: Count
    gpu: str
    os: str
    python: str
    versions: dict[str, str]
    runtimes: dict[str, Runtime] = {}
    roofs: tuple[Roof, ...] = ()


class Weights(msgspec.Struct, frozen=True):
    """Trained weights. file: as it was called; sha256: the file's, in hexadecimal.

    data: what they were trained on, accuracy: the share of its held-out part that they get right;
    "" and None where the file does not tell.
    """

    file: str
    sha256: str
    data: str = ""
    accuracy: float | None = None


class Subject(msgspec.Struct, frozen=True, dict=True):
    """A network that was measured. weights: None for random ones from a fixed seed."""

    table: Table
    input: tuple[int, int]
    weights: Weights | None = None

    @cached_property
    def graph(self) -> Graph:
        """Its layers."""
        return expand(self.table, self.input)

    def varied(self, table: Table) -> "Subject":
        """Another table at the same input, with random weights."""
        return Subject(table, self.input)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one run. created: when, in UTC, ISO 8601. command: as it was typed. readings: what
    the field's counters print for the main network; plans: the arenas that runtimes plan for it.
    """

    created: str
    command: str
    host: Host
    subject: Subject
    variants: dict[str, Subject] = {}
    timings: tuple[Timing, ...] = ()
    operators: tuple[Operator, ...] = ()
    readings: tuple[Reading, ...] = ()
    plans: tuple[RuntimePlan, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def measured_as(self) -> tuple[Dtype, int]:
        """Type and batch of its first timing, for which its bytes are told."""
        first = next(iter(self.timings), None)
        return (first.dtype, first.batch) if first else ("fp32", 1)

    def planned(self, dtype: Dtype, batch: int) -> tuple[RuntimePlan, ...]:
        """The plans that were made under this condition."""
        return tuple(plan for plan in self.plans if (plan.dtype, plan.batch) == (dtype, batch))

    @property
    def subjects(self) -> dict[str, Subject]:
        """Every network by the name that timings give it; the main one's is ""."""
        return {"": self.subject, **self.variants}


def twins(graph: Graph) -> dict[str, str]:
    """Each part, with the first that has the very same operations at the same shapes (often itself)."""
    first: dict[str, str] = {}
    return {**{name: first.setdefault(key, name) for name, key in graph.keys.items()}, NET: NET}


def part_layers(graph: Graph, part: str) -> tuple[Layer, ...]:
    """The layers that a part runs: a block's, all of them (NET), or those of the module at a path;
    none where the network has no such part. A functional operation is no module, so no part.
    """
    if part == NET:
        return graph.layers
    block = graph.block(part)
    if block is not None:
        return block.layers
    inside = f"{part}."
    return tuple(layer for layer in graph.layers if layer.path and f"{layer.path}.".startswith(inside))
