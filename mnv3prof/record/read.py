"""Reading the documents that hold runs: whatever is wrong with one is one sentence."""

from typing import Final, Literal, TypeVar

import msgspec

from ..cost.conventions import Reading, counter
from ..graph.errors import InputError, shown
from ..mobilenetv3.expand import image_size
from ..mobilenetv3.files import parse_table
from .plan import RuntimePlan
from .run import SCHEMA, Host, Operator, Run, Subject, Timing, Weights, part_layers

MAX_RUN_BYTES: Final = 200_000_000
"""A run holds every sample."""

Kind = Literal["run", "findings", "table"]
_Kind = TypeVar("_Kind")


class _Head(msgspec.Struct):
    """The keys by which a document shows what it is. What they hold is not decoded."""

    schema: int | str | None = None
    host: msgspec.Raw = msgspec.Raw()
    timings: msgspec.Raw = msgspec.Raw()
    findings: msgspec.Raw = msgspec.Raw()


class Network(msgspec.Struct, kw_only=True):
    """A document's network. The table is decoded by what reads tables."""

    table: msgspec.Raw
    input: tuple[int, int]
    weights: Weights | None = None

    def subject(self, where: str) -> Subject:
        """The network. Raises InputError about `where`."""
        try:
            size = image_size(self.input)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        return Subject(parse_table(bytes(self.table), ".json", where, "network"), size, self.weights)


class RunDocument(Network, kw_only=True):
    """A run's document, as far as it is read: costs and memory follow from the network."""

    created: str
    command: str
    host: Host
    variants: dict[str, Network] = {}
    timings: tuple[Timing, ...]
    operators: tuple[Operator, ...] = ()
    readings: tuple[Reading, ...] = ()
    plans: tuple[RuntimePlan, ...] = ()
    notes: tuple[str, ...] = ()

    def run(self, where: str) -> Run:
        """The run. Raises InputError about `where`."""
        run = Run(
            created=self.created, command=self.command, host=self.host, subject=self.subject(where),
            variants={name: each.subject(f"{where}, variant {name}") for name, each in self.variants.items()},
            timings=self.timings, operators=self.operators, readings=self.readings, plans=self.plans,
            notes=self.notes,
        )  # fmt: skip
        _check(run, where)
        return run


def kind_of(data: bytes, where: str) -> Kind:
    """What a JSON document holds: what is neither a run nor findings can only be a table.

    Raises InputError about `where` for what is not valid JSON.
    """
    head = _head(data, where)
    if head.findings:
        return "findings"
    return "run" if head.host or head.timings else "table"


def run_from(data: bytes, where: str) -> Run:
    """The run in a JSON document. Raises InputError about `where`."""
    if kind_of(data, where) != "run":
        raise InputError(f"{where}: is no run; mnv3prof profile -o FILE writes one")
    return decode(data, RunDocument, where).run(where)


def decode(data: bytes, kind: type[_Kind], where: str) -> _Kind:
    """A document of this version's schema as a `kind`. Raises InputError about `where`."""
    schema = _head(data, where).schema
    if schema != SCHEMA:
        raise InputError(f"{where}: has the schema {shown(schema)}; this version reads {SCHEMA}")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError) as error:
        raise InputError(f"{where}: is damaged: {error}") from None


def _head(data: bytes, where: str) -> _Head:
    try:
        return msgspec.json.decode(data, type=_Head)
    except msgspec.ValidationError:
        return _Head()  # a list or a number: no document of ours
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: is not valid JSON: {error}") from None
    except RecursionError:
        raise InputError(f"{where}: is nested too deeply") from None


def _check(run: Run, where: str) -> None:
    """Raises InputError for a timing that fits none of the networks, or whose figures cannot be."""
    graphs = {name: subject.graph for name, subject in run.subjects.items()}

    def has(variant: str, part: str) -> bool:
        return variant in graphs and bool(part_layers(graphs[variant], part))

    for number, timing in enumerate(run.timings, 1):
        if not has(timing.variant, timing.part):
            raise InputError(f"{where}: timing {number} is of {timing.part!r}, which its network has not")
        if timing.visits and (0 in timing.visits or sum(timing.visits) != len(timing.samples_s)):
            raise InputError(
                f"{where}: timing {number} has {len(timing.samples_s)} samples and visits of "
                f"{sum(timing.visits)}; a visit has at least one, and together they have them all"
            )
    for number, operator in enumerate(run.operators, 1):
        if not has(operator.variant, operator.part):
            raise InputError(f"{where}: operator {number} is of {operator.part!r}, which its network has not")
    for number, reading in enumerate(run.readings, 1):
        try:
            counter(reading.tool)
        except InputError as error:
            raise InputError(f"{where}: reading {number}: {error}") from None
        if reading.printed is not None and not 0 <= reading.printed <= 2**63:
            raise InputError(
                f"{where}: reading {number} prints {shown(reading.printed)}, which no counter does"
            )
