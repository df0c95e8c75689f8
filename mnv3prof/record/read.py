"""Reading a run: whatever is wrong with a document is one sentence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..cost.conventions import Reading, counter
from ..graph.errors import InputError, shown
from ..mobilenetv3.expand import MAX_PIXELS
from ..mobilenetv3.files import MAX_RUN_BYTES, begins_like_a_run, table_from
from .plan import RuntimePlan
from .run import SCHEMA, Host, Operator, Run, Subject, Timing, Weights, part_layers


def is_run(path: Path) -> bool:
    """Whether the file begins like a run's document."""
    try:
        return begins_like_a_run(path)
    except (OSError, ValueError):
        return False


def read_run(path: Path) -> Run:
    """The run in the file at `path`. Raises InputError, which says what is wrong with it."""
    try:
        if path.is_file() and path.stat().st_size > MAX_RUN_BYTES:
            raise InputError(f"{path}: is too large for a run; at most {MAX_RUN_BYTES:,} bytes are read")
        document = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is not valid JSON: {error}") from None
    return run_from(document, str(path))


def run_from(document: Any, where: str) -> Run:
    """The run that `document`, decoded JSON, holds. Raises InputError about `where`."""
    if not isinstance(document, Mapping) or "host" not in document or "timings" not in document:
        raise InputError(f"{where}: is no run; mnv3prof profile -o FILE writes one")
    if document.get("schema") != SCHEMA:
        found = document.get("schema")
        raise InputError(f"{where}: has the schema {found!r}; this version reads {SCHEMA}")
    try:
        fields = _Document.__struct_fields__
        plain = msgspec.convert({key: document[key] for key in fields if key in document}, _Document)
    except (msgspec.ValidationError, OverflowError) as error:
        raise InputError(f"{where}: is a damaged run: {error}") from None
    variants = {
        name: subject_from(value, f"{where}, variant {name}") for name, value in plain.variants.items()
    }
    run = Run(
        created=plain.created, command=plain.command, host=plain.host,
        subject=subject_from(
            {"table": plain.table, "input": plain.input, "weights": plain.weights}, where
        ),
        variants=variants, timings=plain.timings, operators=plain.operators, readings=plain.readings,
        plans=plain.plans, notes=plain.notes,
    )  # fmt: skip
    _check(run, where)
    return run


class _Document(msgspec.Struct, kw_only=True):
    """The document's fields; a table is checked by what reads tables."""

    created: str
    command: str
    host: Host
    table: dict[str, Any]
    input: tuple[int, int]
    weights: Weights | None = None
    variants: dict[str, dict[str, Any]] = {}
    timings: tuple[Timing, ...]
    operators: tuple[Operator, ...] = ()
    readings: tuple[Reading, ...] = ()
    plans: tuple[RuntimePlan, ...] = ()
    notes: tuple[str, ...] = ()


def subject_from(value: Mapping[str, Any], where: str) -> Subject:
    """The network of a document's table and input. Raises InputError about `where`."""
    table, size = value.get("table"), value.get("input")
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: holds no table")
    if not (
        isinstance(size, (list, tuple))
        and len(size) == 2
        and all(type(side) is int and 1 <= side <= MAX_PIXELS for side in size)
    ):
        raise InputError(f"{where}: input {size!r} is no image size; allowed are two sides in pixels")
    network = table_from({"name": "network", **table}, where)
    return Subject(network, (size[0], size[1]), value.get("weights"))


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
