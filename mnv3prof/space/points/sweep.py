"""Networks of a space with their costs: sampled or all, in chunks that any number of workers may compute."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from ...graph.errors import InputError
from ..costs import COLUMNS, ContextTable
from ..space import Space
from .lookup import Engine, Lookup, lookup_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK: Final = 32_768
"""Networks with one random stream, which context and number of the chunk determine."""
MOST_OF_ALL: Final = 1_000_000_000
MOST_SAMPLED: Final = 100_000_000_000
MOST_SEED: Final = 2**64 - 1
_LIMB: Final = 10**9

_Job = TypeVar("_Job")
_Found = TypeVar("_Found")


class Range(NamedTuple):
    """A condition on a column: the least and the most that is accepted, None for any."""

    column: int
    least: int | None = None
    most: int | None = None


class Job(NamedTuple):
    """Consecutive chunks of a context. first, stop: of its networks or samples. before: how many networks the
    contexts before have. seed: None for all networks, in order.
    """

    context: int
    lookup: Lookup
    first: int
    stop: int
    before: int
    seed: int | None
    where: tuple[Range, ...] = ()


class Batch(NamedTuple):
    """Networks that satisfy the conditions. places: their numbers in the sweep. digits: of each step of the
    context's lookup.
    """

    columns: "NDArray[Any]"
    places: "NDArray[Any]"
    digits: "tuple[NDArray[Any], ...]"


class Points(NamedTuple):
    """Networks of a job that satisfy the conditions. columns: (COLUMNS, networks). numbers: as text."""

    seen: int
    columns: "NDArray[Any]"
    numbers: "NDArray[Any]"


class Tally:
    """How many networks were computed and kept, and the least and most of each column."""

    def __init__(self) -> None:
        self.seen = self.kept = 0
        self.low: NDArray[Any] | None = None
        self.high: NDArray[Any] | None = None

    def add(self, points: Points) -> None:
        """Add the networks of a job."""
        import numpy as np

        self.seen += points.seen
        self.kept += points.columns.shape[1]
        if points.columns.size:
            low, high = points.columns.min(axis=1), points.columns.max(axis=1)
            self.low = low if self.low is None else np.minimum(self.low, low)
            self.high = high if self.high is None else np.maximum(self.high, high)


def jobs_of(
    space: Space,
    tables: Sequence[ContextTable],
    count: int | None,
    *,
    seed: int = 0,
    where: Sequence[Range] = (),
    chunks: int = 4,
) -> Iterator[Job]:
    """Yield the jobs that cover `count` samples, or all networks.

    chunks: of a job. Samples are drawn independently and evenly; a count from the size of the space on
    means all networks.
    """
    is_all = count is None or count >= space.size
    before = 0
    for context, many in enumerate(_counts(space, None if is_all else count, seed)):
        lookup = lookup_of(tables[context]) if many else None
        for first in range(0, many, chunks * CHUNK):
            assert lookup is not None
            stop = min(first + chunks * CHUNK, many)
            yield Job(context, lookup, first, stop, before, None if is_all else seed, tuple(where))
        before += many


def total_of(space: Space, count: int | None) -> int:
    """Return the number of networks of a sweep. Raises InputError if all are asked for and too many."""
    if count is not None and count < space.size:
        return count
    if space.size > MOST_OF_ALL:
        raise InputError(
            f"{space.name}: has {_rounded(space.size)} networks, which are too many; expected a number "
            "of samples"
        )
    return space.size


def _rounded(size: int) -> str:
    return f"{size:,}" if size < 10**12 else f"{size:.2e}"


def _counts(space: Space, count: int | None, seed: int) -> list[int]:
    """Return the number of networks of each context."""
    import numpy as np

    contexts = len(space.contexts)
    if count is None:
        return [space.size // contexts] * contexts
    chance = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    return [int(n) for n in chance.multinomial(count, [1 / contexts] * contexts)]


def batches(job: Job, columns: Sequence[int] = range(len(COLUMNS))) -> Iterator[Batch]:
    """Yield chunks of a job with these columns, of the networks that satisfy the conditions."""
    import numpy as np

    engine = Engine(job.lookup, min(CHUNK, job.stop - job.first))
    asked = sorted({*columns, *(each.column for each in job.where)})
    for start in range(job.first, job.stop, CHUNK):
        count = min(CHUNK, job.stop - start)
        digits = _digits(job, start, count)
        costs = engine.costs(digits, asked)
        places = np.arange(job.before + start, job.before + start + count)
        if job.where:
            fits = np.flatnonzero(satisfying(costs, asked, job.where))
            costs, places, digits = costs[:, fits], places[fits], [each[fits] for each in digits]
        yield Batch(costs[[asked.index(c) for c in columns]], places, tuple(digits))


def _digits(job: Job, start: int, count: int) -> "list[NDArray[Any]]":
    """Draw the digits of a chunk, or return those of consecutive networks."""
    import numpy as np

    radices = job.lookup.radices
    if job.seed is None:
        return list(np.unravel_index(np.arange(start, start + count), radices))
    stream = np.random.SeedSequence(job.seed, spawn_key=(job.context, start // CHUNK))
    chance = np.random.Generator(np.random.PCG64(stream))
    return [chance.integers(0, radix, count) for radix in radices]


def satisfying(costs: "NDArray[Any]", columns: Sequence[int], where: Iterable[Range]) -> "NDArray[Any]":
    """Return which networks satisfy all conditions. costs: of these columns."""
    import numpy as np

    found = np.ones(costs.shape[1], bool)
    for each in where:
        values = costs[columns.index(each.column)]
        if each.least is not None:
            found &= values >= each.least
        if each.most is not None:
            found &= values <= each.most
    return found


def points(job: Job) -> Points:
    """Return the networks of a job that satisfy its conditions, with all columns."""
    import numpy as np

    found = list(batches(job))
    columns = np.concatenate([each.columns for each in found], axis=1)
    numbers = np.concatenate([numbers_of(job, each.digits) for each in found])
    return Points(job.stop - job.first, columns, numbers)


def numbers_of(job: Job, digits: "Sequence[NDArray[Any]]") -> "NDArray[Any]":
    """Return the numbers of networks as text, since they exceed 64 bits: sums in limbs of nine digits."""
    import numpy as np

    radices = job.lookup.radices
    weights = [prod(radices[place + 1 :]) for place in range(len(radices))]
    offset = job.context * prod(radices)
    limbs = -(-len(str(offset + prod(radices))) // 9)
    text = np.empty((len(digits[0]), 9 * limbs), np.uint8)
    carry = np.zeros(len(digits[0]), np.int64)
    for place in range(limbs):
        sums = carry + (offset // _LIMB**place % _LIMB)
        for digit, weight in zip(digits, weights, strict=True):
            sums = sums + digit * (weight // _LIMB**place % _LIMB)
        carry, limb = np.divmod(sums, _LIMB)
        for power in range(9):
            text[:, 9 * (limbs - place) - 1 - power] = limb // 10**power % 10
    text += ord("0")
    found = np.strings.lstrip(text.view(f"S{9 * limbs}").ravel(), b"0")
    return np.where(found == b"", b"0", found)


def in_order(
    work: Callable[[_Job], _Found], jobs: Iterable[_Job], executor: Executor | None, window: int = 1
) -> Generator[_Found]:
    """Yield what `work` makes of each job, in their order, with `window` of them submitted at a time.

    executor: None for this thread.
    """
    if executor is None:
        yield from map(work, jobs)
        return
    waiting = iter(jobs)
    pending = deque(executor.submit(work, job) for job in islice(waiting, window))
    try:
        while pending:
            yield pending.popleft().result()
            pending.extend(executor.submit(work, job) for job in islice(waiting, 1))
    finally:
        for future in pending:
            future.cancel()
