"""What the commands that measure share: their options, progress, and a run kept as it comes in."""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import typer

from ..cost.counts import DTYPE_BYTES, Dtype
from ..graph.errors import InputError, lookup, shown
from ..mobilenetv3.table import row_names
from ..record.run import NET, Run, Subject
from ..record.target import MOST, Target
from .interrupts import stopping
from .network import Checkpoint
from .options import NoCacheOption, OnOption, backend_names, listed
from .output import Output, form_of, write
from .progress import progress
from .runs import encoded
from .streams import say

if TYPE_CHECKING:
    from ..bench.profile import Request

_MOST_SECONDS: Final = 86_400.0
_MOST_TARGETS: Final = 64
_BUDGET_S: Final = 60.0


def _measuring(name: str, text: str, **how: Any) -> Any:
    return typer.Option(name, help=text, rich_help_panel="Measuring", **how)


ThreadsOption = Annotated[int, _measuring("--threads", "Threads of each runtime.")]
_LIST: Final = "LIST"
TimeBudgetOption = Annotated[
    float | None,
    _measuring(
        "--time-budget",
        "Seconds of sampling over all parts and targets; by default 60, in report 20, or 120 with --full.",
    ),
]


class Measuring(msgspec.Struct, frozen=True):
    """What to time, on what, and how."""

    on: OnOption = None
    parts: Annotated[
        Literal["net", "blocks", "all"],
        _measuring("--parts", "The whole network, its blocks one by one, or both."),
    ] = "all"
    rows: Annotated[str | None, _measuring("--rows", "Only these rows of the table, as 3,7-9.")] = None
    dtype: Annotated[
        str,
        _measuring(
            "--dtype",
            f"Types of weights and activations, e.g. fp32,int8 ({', '.join(DTYPE_BYTES)}).",
            metavar=_LIST,
        ),
    ] = "fp32"
    batch: Annotated[str, _measuring("--batch", "Numbers of images per call, e.g. 1,4.", metavar=_LIST)] = "1"
    threads: Annotated[
        str, _measuring("--threads", "Numbers of threads of each runtime, e.g. 1,2.", metavar=_LIST)
    ] = "1"
    time_budget: TimeBudgetOption = None
    timeout: Annotated[
        float, _measuring("--timeout", "Seconds after which a conversion or run is given up.")
    ] = 300.0
    ops: Annotated[
        bool, _measuring("--ops", "Ask the runtimes for their operators too; of the network, if not --rows.")
    ] = False
    no_cache: NoCacheOption = False

    def request(self, subjects: Mapping[str, Subject]) -> "Request":
        """What to measure of `subjects`, by variant. Raises InputError for what is not allowed."""
        from ..bench.cache_folder import usable_folder
        from ..bench.profile import Request

        targets = self.targets()
        budget = budget_of(self.time_budget)
        seconds_in_range(self.timeout, "--timeout")
        return Request(
            subjects, {variant: self.parts_of(subject) for variant, subject in subjects.items()},
            targets, budget, self.timeout, None if self.no_cache else usable_folder(say), self.ops,
        )  # fmt: skip

    def targets(self) -> tuple[Target, ...]:
        """Each backend in each type, batch and number of threads. Raises InputError for others."""
        dtypes = listed(self.dtype, "--dtype", _dtype)
        batches = listed(self.batch, "--batch", _several)
        threads = listed(self.threads, "--threads", _several)
        names = backend_names("cpu" if self.on is None else self.on)
        asked = len(names) * len(dtypes) * len(batches) * len(threads)
        if asked > _MOST_TARGETS:
            raise InputError(
                f"--on, --dtype, --batch and --threads: {asked:,} combinations are too many, since each "
                f"has a process of its own; expected at most {_MOST_TARGETS}"
            )
        return tuple(
            Target(backend=name, dtype=dtype, batch=batch, threads=many)
            for name, dtype, batch, many in product(names, dtypes, batches, threads)
        )

    def parts_of(self, subject: Subject) -> tuple[str, ...]:
        """Names of the parts to time."""
        if self.rows is not None:
            return _rows(self.rows, row_names(subject.table))
        if self.ops and self.parts == "all":
            return (NET,)
        blocks = subject.graph.block_names
        return {"net": (NET,), "blocks": blocks, "all": (*blocks, NET)}[self.parts]


def _dtype(text: str, option: str) -> Dtype:
    return lookup(text, {name: name for name in DTYPE_BYTES}, option)


def _several(text: str, option: str) -> int:
    """The number that `text` is. Raises InputError unless it is one of images or threads."""
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 1 <= int(text) <= MOST):
        raise InputError(
            f"{option}: {_quoted(text)} is not allowed; expected integers from 1 to {MOST:,}, e.g. 1,4"
        )
    return int(text)


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[+-]?[0-9.]{1,20}", text, re.ASCII) else shown(text)


def budget_of(time_budget: float | None) -> float:
    """The value of --time-budget, or what it is by default. Raises InputError for what is no time."""
    budget = _BUDGET_S if time_budget is None else time_budget
    seconds_in_range(budget, "--time-budget")
    return budget


def seconds_in_range(value: float, option: str) -> None:
    """Raises InputError unless `value` is a length of time that one may wish for."""
    if not 0 < value <= _MOST_SECONDS:
        allowed = f"allowed is a number above 0, at most {_MOST_SECONDS:,.0f}"
        raise InputError(f"{option}: {shown(value)} is not allowed; {allowed}")


def _rows(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Those of a table's rows that "3,7-9" means."""
    count = len(names)
    found: dict[str, None] = {}
    for item in text.split(","):
        low, _, high = (piece.strip() for piece in item.partition("-"))
        ends = (low, high or low)
        if not all(e.isascii() and e.isdecimal() and len(e) < 6 and 1 <= int(e) <= count for e in ends):
            raise InputError(f"--rows: {shown(text)} is not allowed; allowed are rows 1 to {count}, as 3,7-9")
        found |= dict.fromkeys(names[int(ends[0]) - 1 : int(ends[1])])
    if not found:
        raise InputError(f"--rows: {shown(text)} names no row; allowed are rows 1 to {count}, as 3,7-9")
    return tuple(found)


def refuse_options(source: str, checkpoint: Checkpoint, asked: bool) -> None:
    """Raises InputError where options ask to measure what `source` holds measured. asked: whether any but
    --weights do.
    """
    if checkpoint.weights is not None:
        raise InputError(f"--weights: {source} is shown with the weights that it was measured with")
    if asked:
        raise InputError(
            f"{source}: is shown as it was measured; expected only output options, e.g. --format, --output"
        )


def measured(request: "Request", output: Output, known: Run | None = None) -> Run:
    """The run, kept in the output's file after each part where that is JSON."""
    from ..bench.obstacles import require_one
    from ..bench.profile import profile

    known_targets = {timing.target for timing in known.timings if timing.status == "ok"} if known else set()
    if known_targets.isdisjoint(request.targets):
        require_one(request.targets, "--on")
    path = output.output if output.output and form_of(output) == "json" else None

    def store(run: Run) -> None:
        if path is not None:
            write(path, encoded(run))

    left = f"{path} is unchanged" if known else "nothing is saved"
    with stopping(lambda: f"nothing was measured yet, {left}"), progress() as hear:
        return profile(request, known=known, hear=hear, store=store)
