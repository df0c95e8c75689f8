"""Reading of the JSON documents of runs."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from ..cost.conventions import Reading, counter
from ..graph.errors import InputError, about, quote
from ..graph.graph import Graph
from ..graph.parts import BACKBONE, NET, backbone_blocks, distinct_name, is_group
from ..mobilenetv3.expand import image_size
from ..mobilenetv3.files import parse_table
from .accuracy import Accuracy
from .plan import RuntimePlan
from .run import HERE, SCHEMA, Captured, Host, Run, Subject, Weights, captured_subject
from .target import Target
from .timing import Operator, Timing

MAX_RUN_BYTES: Final = 50_000_000
"""Limit of a run's document, or of all documents of a page together."""
MAX_VALUES: Final = 1_500_000
"""Limit of the commas in them: 20 times an hour on all backends, read in about a second."""
MAX_ROWS: Final = 6_000
"""Limit of the rows of all their tables, which are expanded to layers."""

_DEVICE: Final = re.compile(r"[A-Za-z0-9._-]{0,64}")

_Document = TypeVar("_Document")
_Timed = TypeVar("_Timed", Timing, Operator)


class Head(msgspec.Struct):
    """The keys that tell the kind of a document. Their values are not decoded."""

    schema: msgspec.Raw = msgspec.Raw()
    table: msgspec.Raw = msgspec.Raw()
    network: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    hosts: msgspec.Raw = msgspec.Raw()
    host: msgspec.Raw = msgspec.Raw()
    timings: msgspec.Raw = msgspec.Raw()
    findings: msgspec.Raw = msgspec.Raw()

    def network_name(self) -> str:
        """Return the name of a captured network."""
        return bytes(self.network).decode("utf-8", "replace").strip('"')


class NetworkDocument(msgspec.Struct, kw_only=True):
    """A document's network: a table, which is decoded by parse_table, and its input, or a captured one."""

    table: msgspec.Raw = msgspec.Raw()
    input: tuple[int, int] | None = None
    weights: Weights | None = None
    captured: Captured | None = None

    def subject(self, where: str) -> Subject:
        """Return the network. Raises InputError about `where`."""
        if self.captured:
            graph, other = self.captured.graph, self.renamed()
            if other:
                blocks = tuple(replace(each, name=other.get(each.name, each.name)) for each in graph.blocks)
                with about(where):
                    graph = replace(graph, blocks=blocks)
            return captured_subject(replace(self.captured, graph=graph, saved=True, programs=""), where)
        if not self.table or self.input is None:
            raise InputError(f"{where}: has no network; expected table and input, or captured")
        size = image_size(self.input, f"{where}: input")
        return Subject(parse_table(bytes(self.table), ".json", where, "network"), size, self.weights)

    def renamed(self) -> dict[str, str]:
        """Return the names of blocks that mean something else as parts, with those that they have here."""
        names = self.captured.graph.block_names if self.captured else ()
        return {name: distinct_name(name) for name in names if is_group(name)}


def refuse_many_rows(networks: Iterable[NetworkDocument], where: str) -> None:
    """Raise InputError for tables with too many rows, without decoding them."""
    rows = sum(table.count(b"[") + table.count(b"{") for table in (bytes(n.table) for n in networks))
    if rows > MAX_ROWS:
        raise InputError(f"{where}: its networks have about {rows:,} rows; expected at most {MAX_ROWS:,}")


class RunDocument(msgspec.Struct, kw_only=True):
    """The keys of a run's document that are read; costs and memory are computed."""

    created: str
    command: str
    commit: str = ""
    hosts: dict[str, Host]
    graphs: dict[str, NetworkDocument]
    timings: tuple[Timing, ...]
    operators: tuple[Operator, ...] = ()
    readings: tuple[Reading, ...] = ()
    plans: tuple[RuntimePlan, ...] = ()
    accuracies: tuple[Accuracy, ...] = ()
    notes: tuple[str, ...] = ()

    def run(self, where: str) -> Run:
        """Return the run. Raises InputError about `where`."""
        if HERE not in self.hosts or "" not in self.graphs:
            key, what = ("hosts", "machine") if HERE not in self.hosts else ("graphs", "main network")
            raise InputError(f'{where}: {key} has no entry ""; expected one, which is the run\'s {what}')
        for device in self.hosts:
            if not _DEVICE.fullmatch(device):
                raise InputError(
                    f"{where}: the device {quote(device)} is not allowed; expected letters, digits and . _ -"
                )
        refuse_many_rows(self.graphs.values(), where)
        renamed = {name: each.renamed() for name, each in self.graphs.items()}
        run = Run(
            created=self.created,
            command=self.command,
            commit=self.commit,
            hosts=self.hosts,
            subjects={name: each.subject(_named(where, name)) for name, each in self.graphs.items()},
            timings=tuple(_placed(each, renamed) for each in self.timings),
            operators=tuple(_placed(each, renamed) for each in self.operators),
            readings=self.readings,
            plans=self.plans,
            accuracies=self.accuracies,
            notes=self.notes,
        )
        _check(run, where)
        return run


def _placed(timed: _Timed, renamed: Mapping[str, Mapping[str, str]]) -> _Timed:
    """Return what was timed with the name that its block has here; NET was the whole network always."""
    other = renamed.get(timed.variant, {}).get(timed.part)
    return replace(timed, part=other) if other and timed.part != NET else timed


def _named(where: str, variant: str) -> str:
    return f"{where}, network {quote(variant)}" if variant else where


def read_head(data: bytes, where: str) -> Head:
    """Return the head of a JSON document. Raises InputError about `where`."""
    try:
        return msgspec.json.decode(data, type=Head)
    except msgspec.ValidationError:
        return Head()  # a list or a number
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: is not valid JSON: {error}") from None
    except RecursionError:
        raise InputError(f"{where}: is nested too deeply") from None


def require_schema(head: Head, where: str) -> None:
    """Raise InputError about `where` if a document has another schema."""
    schema = bytes(head.schema)
    if schema != str(SCHEMA).encode():
        other = quote(schema.decode("utf-8", "replace")).strip("'") or "null"
        raise InputError(f"{where}: has the schema {other}; this version reads {SCHEMA}")


def decode(data: bytes, kind: type[_Document], where: str) -> _Document:
    """Decode a JSON document as a `kind`. Raises InputError about `where`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError) as error:
        raise InputError(f"{where}: is damaged: {error}") from None


def _check(run: Run, where: str) -> None:
    """Raise InputError for entries that contradict each other or the networks."""
    parts = {name: _parts(subject.graph) for name, subject in run.subjects.items()}
    seen: set[tuple[str, str, Target]] = set()
    for number, timing in enumerate(run.timings, 1):
        known = len(seen)
        seen.add((timing.variant, timing.part, timing.target))
        if len(seen) == known:
            raise InputError(f"{where}: timing {number} has the part and target of an earlier one")
        _require_place(run, parts, timing, f"{where}: timing {number}")
    for number, operator in enumerate(run.operators, 1):
        _require_place(run, parts, operator, f"{where}: operator {number}")
    _check_accuracies(run, where)
    for number, reading in enumerate(run.readings, 1):
        try:
            counter(reading.tool)
        except InputError as error:
            raise InputError(f"{where}: reading {number}: {error}") from None
        if reading.printed is not None and not 0 <= reading.printed <= 2**63:
            raise InputError(
                f"{where}: reading {number} is {quote(reading.printed)}; expected an integer from 0 to 2^63"
            )


def _check_accuracies(run: Run, where: str) -> None:
    known: set[tuple[str, Target]] = set()
    for number, accuracy in enumerate(run.accuracies, 1):
        this = f"{where}: accuracy {number}"
        if (accuracy.variant, accuracy.target) in known:
            raise InputError(f"{this} has the network and target of an earlier one")
        known.add((accuracy.variant, accuracy.target))
        _require_known(run, accuracy, this)


def _parts(graph: Graph) -> set[str]:
    """Return all parts that have layers: the network, its blocks, its modules."""
    paths = {layer.path for layer in graph.layers if layer.path}
    ends = ((path, end) for path in paths for end in range(len(path) + 1) if path[end : end + 1] in ("", "."))
    groups = (NET, *([BACKBONE] if backbone_blocks(graph) else []))
    return {*groups, *graph.block_names, *(distinct_name(path[:end]) for path, end in ends)}


def _require_place(run: Run, parts: Mapping[str, set[str]], timed: Timing | Operator, where: str) -> None:
    _require_known(run, timed, where)
    if timed.part not in parts[timed.variant]:
        raise InputError(f"{where} has the part {quote(timed.part)}, which is not in its network")


def _require_known(run: Run, measured: Timing | Operator | Accuracy, where: str) -> None:
    if measured.variant not in run.subjects:
        raise InputError(f"{where} has the network {quote(measured.variant)}, which is not in the run")
    if measured.target.device not in run.hosts:
        raise InputError(f"{where} has the device {quote(measured.target.device)}, which is not in hosts")
