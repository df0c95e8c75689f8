"""The claims' wishes, timed in one go: what must be compared is interleaved."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from ..bench.backends import backend, compiles
from ..bench.profile import Request, profile
from ..bench.schedule import Progress
from ..cost.counts import Dtype
from ..record.run import Run, Subject
from ..record.target import Target
from .claim import Wish

BACKENDS: Final = ("cpu", "onnxruntime", "cpu-compile")
"""What is measured on unless asked otherwise: what takes longest to get ready stands last."""


class _Stage(NamedTuple):
    """What is measured in one go. sampled: its share of the time budget; ready: of what is left of the
    time for getting ready.
    """

    dtype: Dtype
    compiled: bool
    sampled: float
    ready: float


_STAGES: Final = (
    _Stage("fp32", compiled=False, sampled=0.55, ready=0.45),
    _Stage("int8", compiled=False, sampled=0.2, ready=0.35),
    _Stage("fp32", compiled=True, sampled=0.25, ready=1.0),
)
_READY_S: Final = 100.0
"""How long getting ready may take in all, so that a measurement of a minute ends within three."""
_READY_LEAST: Final = 10.0


class Measuring(NamedTuple):
    """On what and how long to measure. folder: the cache's, None for one that is not kept."""

    backends: tuple[str, ...]
    threads: int = 1
    budget_s: float = 60.0
    folder: Path | None = None


def measure(
    subject: Subject,
    wishes: Sequence[Wish],
    how: Measuring,
    hear: Callable[[Progress], None] = lambda _: None,
) -> tuple[Run, ...]:
    """A run for each type that something is wanted in and a backend takes, and one of compiled PyTorch."""
    found: list[Run] = []
    left = _READY_S
    for stage in _STAGES:
        wanted = _wanted(wishes, stage)
        takes = tuple(name for name in _backends(how, stage) if stage.dtype in backend(name).DTYPES)
        if wanted and takes:
            begin = monotonic()
            ready_s, sampled_s = max(_READY_LEAST, stage.ready * left), stage.sampled * how.budget_s
            found.append(
                profile(_request(subject, wanted, takes, stage.dtype, how, sampled_s, ready_s), hear=hear)
            )
            left -= monotonic() - begin - sampled_s
    return tuple(found)


def targets(wishes: Sequence[Wish], how: Measuring) -> list[Target]:
    """What `wishes` would be timed on, whether it can run here or not."""
    return [
        Target(backend=name, dtype=stage.dtype, threads=how.threads)
        for stage in _STAGES
        if _wanted(wishes, stage)
        for name in _backends(how, stage)
    ]


def _wanted(wishes: Sequence[Wish], stage: _Stage) -> list[Wish]:
    """The wishes for a stage; of what compiles, those that need it most first."""
    wanted = [wish for wish in wishes if stage.dtype in wish.dtypes]
    if stage.compiled:
        return sorted((wish for wish in wanted if wish.compiled), key=lambda wish: wish.compiled)
    return wanted


def _backends(how: Measuring, stage: _Stage) -> list[str]:
    """The backends of a stage; what compiles as it loads has one of its own."""
    return [name for name in how.backends if stage.compiled == compiles(name)]


def _request(
    subject: Subject, wishes: Sequence[Wish], backends: tuple[str, ...], dtype: Dtype, how: Measuring,
    sampled_s: float, ready_s: float,
) -> Request:  # fmt: skip
    subjects: dict[str, Subject] = {"": subject}
    parts: dict[str, dict[str, None]] = {"": {}}
    for wish in wishes:
        subjects.setdefault(wish.variant, wish.subject)
        parts.setdefault(wish.variant, {})[wish.part] = None
    return Request(
        subjects, {variant: tuple(found) for variant, found in parts.items()},
        tuple(Target(backend=name, dtype=dtype, threads=how.threads) for name in backends),
        budget_s=sampled_s, folder=how.folder, ready_s=ready_s, peaks=False,
    )  # fmt: skip
