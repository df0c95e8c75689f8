"""The largest networks within budgets: of a space, or of tables at several widths and inputs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from heapq import heappop, heappush
from itertools import count as numbers
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from ..cost.counts import Dtype, count, total
from ..cost.memory import arena, peaks
from ..graph.errors import InputError, any_of, one_of
from ..graph.parts import NET
from ..mobilenetv3.published import published
from ..mobilenetv3.table import Table
from ..mobilenetv3.variants import vary
from ..record.rows import HeldOut
from ..record.run import Subject
from ..space.bounds import Limits
from ..space.choose import ArenaLimit, choose
from ..space.costs import COLUMNS, SUMS, Added, ContextTable, with_column
from ..space.counting import Within, count_within
from ..space.fit import Best
from ..space.space import Context, Space
from .figures import LATENCY, NAMES, figures
from .limits import Budget

WIDTHS: Final = (0.35, 0.5, 0.75, 1.0, 1.25)
INPUTS: Final = (96, 128, 160, 192, 224, 256)
"""Those of the published results."""
ARENA: Final = "arena"
NANO: Final = 10**9
"""Nanoseconds of a second."""
BUDGETS: Final = (*COLUMNS, ARENA, f"{LATENCY}BACKEND")
"""What can be limited of a space."""
MOST_TOP: Final = 100
_MOST_FOUND: Final = 4_096
"""Number of networks up to which distinct ones are looked for among equal ones."""


class Found(msgspec.Struct, frozen=True):
    """A network within the budgets.

    source: the words of a command line that name it. figures: by name, as of `check`. estimates: latencies in
    seconds by name, estimated and not measured. top1: published accuracy on ImageNet in percent, or None.

    >>> (found,) = mnv3prof.fit("small", {"macs": "60M"}).networks
    >>> found.source, found.figures["macs"], found.top1
    ('small --input 224', 56510400, 67.5)
    """

    source: str
    subject: Subject
    width: float
    figures: dict[str, int]
    estimates: dict[str, float] = {}
    top1: float | None = None


class Fit(msgspec.Struct, frozen=True):
    """The largest networks within budgets.

    name, size: of the space. maximize: the figure by which the largest is first.
    bound: no network within the budgets has more; None if none is. held_out: errors of estimated latencies,
    by name. complete: the others are the next ones, and there are no more than those. left_out: what could
    not be tried, in sentences.

    >>> mnv3prof.fit("small", {"macs": "60M"}, top=3)
    Fit('small', 3 networks, proven=True)
    """

    name: str
    size: int
    dtype: Dtype
    maximize: str
    budgets: tuple[Budget, ...]
    networks: tuple[Found, ...]
    bound: int | None
    held_out: dict[str, HeldOut] = {}
    complete: bool = True
    left_out: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """How far the first network is below the bound, as a share of it."""
        if not self.bound:
            return 0.0
        most = self.networks[0].figures[self.maximize] if self.networks else 0
        return max(0.0, (self.bound - most) / self.bound)

    @property
    def proven(self) -> bool:
        """True if no network within the budgets has more than the first, or none is within them."""
        return self.gap == 0

    def __repr__(self) -> str:
        return f"Fit({self.name!r}, {len(self.networks)} networks, proven={self.proven})"


class Latency(NamedTuple):
    """Estimates of a space on a target. columns: nanoseconds by context. held_out: their errors."""

    columns: Sequence[Added]
    held_out: HeldOut


def limits_by_name(budgets: Sequence[Budget], names: Sequence[str]) -> dict[str, int]:
    """Return the lowest limit by name, of a latency in nanoseconds.

    names: what can be limited. Raises InputError for another one.
    """
    found: dict[str, int] = {}
    for budget in budgets:
        if budget.limit is None:
            raise InputError(f"budget {budget.name}: {budget.written} is relative; expected a limit")
        if budget.part != NET or budget.metric not in names:
            raise InputError(f"budget {budget.name}: is not known of all networks; expected {any_of(names)}")
        limit = round(budget.limit * (NANO if budget.metric.startswith(LATENCY) else 1))
        found[budget.metric] = min(limit, found.get(budget.metric, limit))
    return found


def fit_space(
    space: Space,
    tables: Sequence[ContextTable],
    budgets: Sequence[Budget],
    *,
    maximize: str = "macs",
    top: int = 1,
    dtype: Dtype = "fp32",
    latencies: Mapping[str, Latency] | None = None,
    note: Callable[[str], object] = lambda _: None,
) -> Fit:
    """Return the largest networks of a space. Raises InputError.

    tables: its costs at `dtype`. latencies: estimates, by the name of the budget.
    """
    one_of(maximize, SUMS, "maximize")
    latencies = latencies or {}
    known = limits_by_name(budgets, (*COLUMNS, ARENA, *latencies))
    for latency in latencies.values():
        tables = [with_column(*pair) for pair in zip(tables, latency.columns, strict=True)]
    limits = _limits(known, maximize, [*latencies])
    within = ArenaLimit(space, known[ARENA], dtype) if ARENA in known else None
    many = top
    while True:
        found = choose(tables, limits, top=many, within=within, note=note)
        networks = _distinct([_found_in(space, one, dtype, [*latencies]) for one in found.networks])
        if len(networks) >= top or len(found.networks) < many or many >= _MOST_FOUND:
            break
        many = min(4 * many, _MOST_FOUND)
    enough = len(networks) >= top or len(found.networks) < many
    return Fit(
        name=space.name,
        size=space.size,
        dtype=dtype,
        maximize=maximize,
        budgets=tuple(budgets),
        networks=networks[:top],
        bound=found.bound,
        held_out={name: latency.held_out for name, latency in latencies.items()},
        complete=found.complete and enough,
    )


def _distinct(networks: Sequence[Found]) -> tuple[Found, ...]:
    """Return the first of equal networks: several choices can make one, e.g. where widths are rounded."""
    known: dict[tuple[Table, tuple[int, int]], Found] = {}
    for found in networks:
        known.setdefault((replace(found.subject.table, name="any"), found.subject.input), found)
    return tuple(known.values())


def _limits(known: Mapping[str, int], maximize: str, latencies: Sequence[str] = ()) -> Limits:
    columns = {name: column for column, name in enumerate((*COLUMNS, *latencies))}
    return Limits({columns[name]: most for name, most in known.items() if name != ARENA}, columns[maximize])


def _found_in(space: Space, one: Best, dtype: Dtype, latencies: Sequence[str]) -> Found:
    number = space.number(one.digits)
    subject = space.network(number)
    estimates = {
        name: nanoseconds / NANO
        for name, nanoseconds in zip(latencies, one.costs[len(COLUMNS) :], strict=True)
    }
    width = space.contexts[one.digits[0]].width
    return Found(f"{space.source}#{number}", subject, width, _figures(subject, dtype), estimates)


def _figures(subject: Subject, dtype: Dtype) -> dict[str, int]:
    known = figures(subject.graph, dtype)
    return {name: each.value for name, each in known.items() if each.value is not None}


def within_by_context(
    space: Space, tables: Sequence[ContextTable], budgets: Sequence[Budget]
) -> Iterator[tuple[Context, Within]]:
    """Yield how many networks of each context fit, and their mean MACs. Raises InputError.

    A limit of the arena is one of the fused peak here, which is at most the arena.
    """
    known = limits_by_name(budgets, (*COLUMNS, ARENA))
    if ARENA in known:
        known["peak.fused"] = min(known[ARENA], known.get("peak.fused", known[ARENA]))
    limits = _limits(known, "macs")
    for context, table in zip(space.contexts, tables, strict=True):
        yield context, count_within(table, limits)


class _Candidate(msgspec.Struct, frozen=True, dict=True):
    """A table at a width and an input. name: of the table. dtype: of its bytes."""

    name: str
    table: Table
    width: float
    side: int
    dtype: Dtype

    @cached_property
    def subject(self) -> Subject:
        return Subject(self.table, (self.side, self.side))

    @cached_property
    def known(self) -> dict[str, int]:
        whole = total(count(self.subject.graph, self.dtype))
        return {name: getattr(whole, field) for name, field in SUMS.items()}

    def value(self, name: str) -> int:
        """Return a figure. Raises InputError for the eager peak of int8."""
        if name not in self.known:
            if name == ARENA:
                self.known[name] = arena(self.subject.graph, self.dtype).bytes
            else:
                peak = getattr(peaks(self.subject.graph, self.dtype), name.removeprefix("peak."))
                if peak is None:
                    raise InputError(f"budget {name}: PyTorch eager does not run int8; expected peak.fused")
                self.known[name] = peak.bytes
        return self.known[name]

    def fits(self, limits: Mapping[str, int]) -> bool:
        return all(self.value(name) <= most for name, most in limits.items())

    def found(self) -> Found:
        words = [self.name, *(["--width", f"{self.width:g}"] if self.width != 1 else [])]
        source = " ".join([*words, "--input", str(self.side)])
        row = published(self.table, (self.side, self.side))
        figures = _figures(self.subject, self.dtype)
        return Found(source, self.subject, self.width, figures, top1=row.top1 if row else None)


def fit_tables(
    tables: Mapping[str, Table],
    budgets: Sequence[Budget],
    *,
    maximize: str = "macs",
    top: int = 1,
    dtype: Dtype = "fp32",
) -> Fit:
    """Return the largest networks of tables by name, at WIDTHS and INPUTS. Raises InputError."""
    one_of(maximize, SUMS, "maximize")
    limits = limits_by_name(budgets, NAMES)
    scaled: list[list[_Candidate]] = []
    left_out: list[str] = []
    for name, table in tables.items():
        widths = _at_widths(table, left_out)
        scaled += [[_Candidate(name, each, width, side, dtype) for side in INPUTS] for width, each in widths]
    order = numbers()
    waiting: _Waiting = []
    for candidates in scaled:
        _push(waiting, _within(candidates, limits), limits, maximize, order)
    networks: list[Found] = []
    while waiting and len(networks) < top:
        _, _, candidates = heappop(waiting)
        networks.append(candidates[-1].found())
        _push(waiting, candidates[:-1], limits, maximize, order)
    bound = networks[0].figures[maximize] if networks else None
    size = sum(map(len, scaled))
    name = next(iter(tables)) if len(tables) == 1 else "the presets"
    found = tuple(networks)
    return Fit(name, size, dtype, maximize, tuple(budgets), found, bound, left_out=tuple(left_out))


def _at_widths(table: Table, left_out: list[str]) -> list[tuple[float, Table]]:
    """Return a table at the widths at which it can be made, once where they make the same.

    left_out: gets what is said of the other widths. Raises InputError if there is no other.
    """
    found: dict[Table, tuple[float, Table]] = {}
    problems = []
    for width in sorted(WIDTHS, key=lambda width: abs(width - 1)):
        try:
            scaled = vary(table, width=width)
        except InputError as error:
            problems.append(str(error))
        else:
            found.setdefault(replace(scaled, name="any"), (width, scaled))
    if not found:
        raise InputError(problems[0])
    left_out += problems
    return [*found.values()]


_Waiting = list[tuple[tuple[int, int], int, list[_Candidate]]]


def _within(candidates: list[_Candidate], limits: Mapping[str, int]) -> list[_Candidate]:
    """Return the inputs at which all but the arena fit: every other figure grows with the input."""
    others = {name: most for name, most in limits.items() if name != ARENA}
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if candidates[middle].fits(others) else (low, middle)
    return candidates[:low]


def _push(
    waiting: _Waiting,
    candidates: list[_Candidate],
    limits: Mapping[str, int],
    maximize: str,
    order: Iterator[int],
) -> None:
    """Put a table's largest input that fits, with the smaller ones, where the largest is taken next."""
    while candidates and not candidates[-1].fits(limits):
        candidates = candidates[:-1]
    if candidates:
        key = -candidates[-1].value(maximize), -candidates[-1].side
        heappush(waiting, (key, next(order), candidates))
