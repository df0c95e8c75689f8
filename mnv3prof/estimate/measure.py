"""Measure blocks and networks of a space, a batch at a time."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from msgspec.structs import replace

from ..bench.host import commit
from ..bench.profile import Request, profile
from ..bench.progress import OnProgress, Progress
from ..graph.parts import NET
from ..record.rows import FORM, RowTable
from ..record.run import Run, Subject
from ..record.target import Target
from ..record.timing import Timing
from ..space.space import Space
from .blocks import Place, alone
from .choose import choose_blocks

_BATCH: Final = 48
"""Parts that a process of a runtime has loaded at once. What is measured of one batch is kept."""
PART_S: Final = 0.5
"""Default of the sampling time of a part on a target."""


class RowsRequest(NamedTuple):
    """What to measure of a space. blocks, networks, seed: as of choose_blocks().

    budget_s: of sampling all parts on all targets, None for PART_S each. The others are those of
    bench.profile.Request.
    """

    space: Space
    targets: tuple[Target, ...]
    blocks: int
    networks: int
    seed: int = 0
    budget_s: float | None = None
    timeout_s: float = 300.0
    folder: Path | None = None
    command: str = ""


def measure_rows(
    request: RowsRequest,
    known: RowTable | None = None,
    on_progress: OnProgress = lambda _: None,
    on_update: Callable[[RowTable], None] = lambda _: None,
) -> tuple[RowTable, bool]:
    """Measure what is chosen and not in `known`. on_update is called with the table after each batch.

    Blocks and networks are in random order, so that drift affects both. Return the table, and whether an
    interrupt ended the sampling.
    """
    space = request.space
    on_progress(Progress(f"choosing blocks of {space.name}"))
    chosen = choose_blocks(space, request.blocks, request.networks, request.seed)
    numbers = {"count": len(chosen.blocks), "nets": len(chosen.networks), "seed": request.seed}
    table = replace(known or _begun(request), **numbers)
    missing = _missing(request, table, chosen.every)
    batches = [missing[n : n + _BATCH] for n in range(0, len(missing), _BATCH)]
    for number, batch in enumerate(batches):
        share = len(batch) / len(missing)
        heard = _in_batch(number, len(batches), on_progress)
        run = profile(_request(request, batch, share, len(missing)), on_progress=heard)
        table = _with_timings(table, run)
        on_update(table)
        if run.was_interrupted:
            return table, True
    return table, False


def _begun(request: RowsRequest) -> RowTable:
    return RowTable(
        rows_form=FORM,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=request.command,
        commit=commit(),
        space=request.space.name,
        digest=request.space.digest,
        count=request.blocks,
        nets=request.networks,
        seed=request.seed,
        hosts={},
    )


def _missing(request: RowsRequest, table: RowTable, places: Sequence[Place]) -> list[Place]:
    """Return the places that are not measured to the end on every target, in random order."""
    final = {(t.variant, t.part, t.target) for t in table.timings if t.final}
    missing = [
        place
        for place in places
        if not all((str(place.number), place.block, target) in final for target in request.targets)
    ]
    random.Random(request.seed).shuffle(missing)
    return missing


def _request(request: RowsRequest, batch: Sequence[Place], share: float, parts: int) -> Request:
    subjects: dict[str, Subject] = {}
    wanted = {}
    for place in batch:
        subject, part = request.space.network(place.number), place.block
        if part != NET:
            subject, part = alone(subject, part)
        subjects[_variant(place)], wanted[_variant(place)] = subject, (part,)
    budget_s = request.budget_s or PART_S * parts * len(request.targets)
    return Request(
        subjects,
        wanted,
        request.targets,
        budget_s * share,
        request.timeout_s,
        request.folder,
        peaks=False,
        command=request.command,
    )


def _variant(place: Place) -> str:
    return f"{place.number}/{place.block}"


def _with_timings(table: RowTable, run: Run) -> RowTable:
    """Return the table with the timings of a batch, under the numbers and blocks of its places."""
    known = {(t.variant, t.part, t.target): t for t in table.timings}
    for timing in run.timings:
        number, _, block = timing.variant.partition("/")
        own: Timing = replace(timing, variant=number, part=block)
        known[number, block, timing.target] = own
    return replace(table, hosts={**table.hosts, **run.hosts}, timings=tuple(known.values()))


def _in_batch(number: int, count: int, on_progress: OnProgress) -> OnProgress:
    """Return a function that reports the steps of a batch with its number."""

    def report(progress: Progress) -> None:
        batch = f"batch {number + 1} of {count}"
        share = None if progress.share is None else (number + progress.share) / count
        on_progress(progress._replace(phase=f"{batch}, {progress.title}", what=progress.what, share=share))

    return report
