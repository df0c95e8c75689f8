"""Options and functions that the measuring commands share."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from ..analysis.select import select
from ..cost.counts import DTYPE_BYTES, Dtype
from ..graph.errors import InputError, about, any_of, lookup, quote
from ..graph.parts import ALL, BLOCKS, NET, selected_parts
from ..mobilenetv3.table import row_names
from ..record.document import encoded
from ..record.run import Run, Subject
from ..record.target import MOST, Target, combinations
from .interrupts import stopping
from .network import WeightsOptions
from .options import (
    NoCacheOption,
    PartsOption,
    first_given,
    listed,
    measuring_option,
    on_option,
    parts_named,
    places,
    saved_places,
)
from .output import Output, output_format, write
from .progress import progress
from .streams import command_line, say

if TYPE_CHECKING:
    from ..bench.profile import Request

_MOST_SECONDS: Final = 86_400.0
_BUDGET_S: Final = 60.0
_LIST: Final = "LIST"
_OF_TARGETS: Final = ("on", "dtype", "batch", "threads")
_SHOWN: Final = (
    "{option}: {source} is a saved run, which is only shown; expected only options that select, e.g. --on, "
    "and of the output"
)

NOT_MEASURED: Final = (
    "{option}: --latency-table measures nothing; expected only --on, --dtype, --batch and --threads, which "
    "select, and --output and --format"
)


def time_budget_option(default: str) -> Any:
    """Return the option --time-budget. default: what the help shows as its default."""
    return measuring_option(
        "--time-budget",
        metavar="SECONDS",
        help="Total sampling time in seconds for all parts and targets.",
        show_default=default,
    )


TimeBudgetOption = Annotated[float | None, time_budget_option(f"{_BUDGET_S:g}")]
OnOption = Annotated[str | None, on_option("cpu")]
DtypesOption = Annotated[
    str | None,
    measuring_option(
        "--dtype",
        metavar=_LIST,
        help=f"Dtypes of weights and activations, e.g. fp32,int8 ({', '.join(DTYPE_BYTES)}).",
        show_default="fp32",
    ),
]
BatchesOption = Annotated[
    str | None,
    measuring_option(
        "--batch", metavar=_LIST, help="Numbers of images per call, e.g. 1,4.", show_default="1"
    ),
]
ThreadsOption = Annotated[
    str | None,
    measuring_option(
        "--threads", metavar=_LIST, help="Numbers of threads per runtime, e.g. 1,2.", show_default="1"
    ),
]
TimeoutOption = Annotated[
    float,
    measuring_option(
        "--timeout",
        metavar="SECONDS",
        help="Timeout in seconds for each conversion, load and burst of calls.",
    ),
]
TIMEOUT_S: Final = 300.0


class LatencyOptions(msgspec.Struct, frozen=True):
    """Which parts to time on which targets, and for how long."""

    on: OnOption = None
    parts: PartsOption = None
    rows: Annotated[
        str | None,
        measuring_option("--rows", metavar=_LIST, help="Only these rows of the table, e.g. 3,7-9."),
    ] = None
    dtype: DtypesOption = None
    batch: BatchesOption = None
    threads: ThreadsOption = None
    time_budget: TimeBudgetOption = None
    timeout: TimeoutOption = TIMEOUT_S
    ops: Annotated[
        bool,
        measuring_option(
            "--ops", help="Also run each runtime's operator profiler, on the whole network unless --rows."
        ),
    ] = False
    no_cache: NoCacheOption = False

    def request(self, subjects: Mapping[str, Subject]) -> "Request":
        """Return what to measure. subjects: by variant. Raises InputError for invalid options."""
        from ..bench.profile import Request
        from ..workers.cache_folder import usable_folder

        seconds_in_range(self.timeout, "--timeout")
        targets = self.targets()
        budget = budget_of(self.time_budget)
        return Request(
            subjects,
            {variant: self.parts_of(subject) for variant, subject in subjects.items()},
            targets,
            budget,
            self.timeout,
            None if self.no_cache else usable_folder(say),
            self.ops,
            command=command_line(),
        )

    def targets(self) -> tuple[Target, ...]:
        """Return all combinations of backend, dtype, batch and threads. Raises InputError."""
        return targets_of(self.on, self.dtype, self.batch, self.threads, self.timeout)

    def size(self) -> tuple[Dtype, int]:
        """Return the dtype and batch of the first target, which bytes are for. Raises InputError."""
        dtypes, batches, _threads = self.settings()
        return dtypes[0], batches[0]

    def settings(self) -> tuple[tuple[Dtype, ...], tuple[int, ...], tuple[int, ...]]:
        """Return the dtypes, the batches and the numbers of threads. Raises InputError."""
        return settings_of(self.dtype, self.batch, self.threads)

    def parts_of(self, subject: Subject) -> tuple[str, ...]:
        """Return the names of the parts to time. Raises InputError."""
        if self.rows is not None and self.parts is not None:
            raise InputError("--parts and --rows cannot be combined; expected one of them")
        if self.rows is not None:
            return _rows(self.rows, row_names(subject.table))
        if self.parts is not None:
            return parts_named(self.parts, subject.graph)
        return selected_parts(subject.graph, [NET if self.ops else ALL], "--parts")

    def selected(self, run: Run, source: str) -> Run:
        """Return a saved run with the timings that --on, --parts, --rows, --dtype, ... select.

        Raises InputError about `source` if it has none, or if another option is given.
        """
        if given := first_given(self, ignoring=(*_OF_TARGETS, "parts", "rows")):
            raise InputError(_SHOWN.format(option=given, source=source))
        if not first_given(self):
            return run
        parts = None if (self.parts, self.rows) == (None, None) else self.parts_of(run.subject)
        return select(run, source, self._allowed(run.targets), parts, self._named(run.subject))

    def _named(self, subject: Subject) -> tuple[str, ...]:
        """Return the parts that --parts or --rows names, without those of a group of all blocks."""
        if self.rows is not None:
            return self.parts_of(subject)
        items = [item for item in (self.parts or "").split(",") if item.strip() not in (BLOCKS, ALL, "")]
        return parts_named(",".join(items), subject.graph) if items else ()

    def selected_targets(self, known: Sequence[Target], source: str) -> tuple[Target, ...]:
        """Return those of the known targets that --on, --dtype, --batch and --threads select.

        Raises InputError about `source` if there is none, or if another option is given.
        """
        if given := first_given(self, ignoring=_OF_TARGETS):
            raise InputError(NOT_MEASURED.format(option=given))
        allowed = {name: values for name, values in self._allowed(known).items() if values}
        found = [t for t in known if all(getattr(t, name) in each for name, each in allowed.items())]
        if not found:
            has = any_of(dict.fromkeys(f"{t.place} ({t.settings})" for t in known)) if known else "none"
            raise InputError(f"{source}: has no rows of this target; expected {has}")
        return tuple(found)

    def _allowed(self, known: Sequence[Target]) -> dict[str, tuple[Any, ...]]:
        """Return the values that are selected by field of a target; () for all. known: the saved ones."""
        return {
            "place": () if self.on in (None, "all") else saved_places(str(self.on), known),
            "dtype": () if self.dtype is None else listed(self.dtype, "--dtype", _dtype),
            "batch": () if self.batch is None else listed(self.batch, "--batch", _count),
            "threads": () if self.threads is None else listed(self.threads, "--threads", _count),
        }


def targets_of(
    on: str | None, dtype: str | None, batch: str | None, threads: str | None, timeout_s: float
) -> tuple[Target, ...]:
    """Return all combinations of the values of --on, --dtype, --batch and --threads. Raises InputError.

    timeout_s: of a device that is asked for its runtimes.
    """
    settings = settings_of(dtype, batch, threads)
    names = places("cpu" if on is None else on, timeout_s)
    with about("--on, --dtype, --batch and --threads"):
        return combinations(names, *settings)


def settings_of(
    dtype: str | None, batch: str | None, threads: str | None
) -> tuple[tuple[Dtype, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the values of --dtype, --batch and --threads. Raises InputError."""
    return (
        listed(_or(dtype, "fp32"), "--dtype", _dtype),
        listed(_or(batch, "1"), "--batch", _count),
        listed(_or(threads, "1"), "--threads", _count),
    )


def _or(given: str | None, default: str) -> str:
    return default if given is None else given


def _dtype(text: str, option: str) -> Dtype:
    return lookup(text, {name: name for name in DTYPE_BYTES}, option)


def _count(text: str, option: str) -> int:
    """Parse a number of images or threads. Raises InputError."""
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 1 <= int(text) <= MOST):
        raise InputError(
            f"{option}: {_quoted(text)} is not allowed; expected integers from 1 to {MOST:,}, e.g. 1,4"
        )
    return int(text)


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[+-]?[0-9.]{1,20}", text, re.ASCII) else quote(text)


def budget_of(time_budget: float | None) -> float:
    """Return --time-budget or its default, in seconds. Raises InputError if it is out of range."""
    budget = _BUDGET_S if time_budget is None else time_budget
    seconds_in_range(budget, "--time-budget")
    return budget


def seconds_in_range(value: float, option: str) -> None:
    """Raise InputError unless 0 < `value` ≤ _MOST_SECONDS."""
    if not 0 < value <= _MOST_SECONDS:
        expected = f"expected a number above 0, at most {_MOST_SECONDS:,.0f}"
        raise InputError(f"{option}: {quote(value)} is not allowed; {expected}")


def _rows(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the rows that e.g. "3,7-9" selects. Raises InputError."""
    count = len(names)
    expected = f"expected rows 1 to {count}, e.g. 3,7-9"
    selected: dict[str, None] = {}
    for item in text.split(","):
        low, _, high = (end.strip() for end in item.partition("-"))
        ends = (low, high or low)
        if not all(e.isascii() and e.isdecimal() and len(e) < 6 and 1 <= int(e) <= count for e in ends):
            raise InputError(f"--rows: {quote(text)} is not allowed; {expected}")
        selected |= dict.fromkeys(names[int(ends[0]) - 1 : int(ends[1])])
    if not selected:
        raise InputError(f"--rows: {quote(text)} names no row; {expected}")
    return tuple(selected)


def refuse_options(source: str, weights_options: WeightsOptions, given: str) -> None:
    """Raise InputError if options would change the saved run that `source` holds.

    given: an option of measuring or of the network except --weights, "" for none.
    """
    if weights_options.weights is not None:
        raise InputError(f"--weights: {source} is a saved run, whose weights cannot be changed")
    if given:
        raise InputError(_SHOWN.format(option=given, source=source))


def measured(request: "Request", output: Output, known: Run | None = None) -> Run:
    """Measure, and save the run in the output file after each part if its format is JSON."""
    from ..bench.obstacles import require_one
    from ..bench.profile import profile

    known_targets = {timing.target for timing in known.timings if timing.status == "ok"} if known else set()
    if known_targets.isdisjoint(request.targets):
        require_one(request.targets, "--on")
    path = output.output if output.output and output_format(output) == "json" else None

    def store(run: Run) -> None:
        if path is not None:
            write(path, encoded(run))

    left = f"{path} is unchanged" if known else "nothing is saved"
    with stopping(lambda: f"nothing was measured yet, {left}"), progress() as on_progress:
        return profile(request, known=known, on_progress=on_progress, on_update=store)
