"""Timings of the claims; what is compared is measured in one interleaved run."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

from ..bench.profile import Request, profile
from ..bench.progress import OnProgress
from ..cost.counts import Dtype
from ..record.run import Run, Subject
from ..record.target import Target, combinations
from ..workers.backends import backend, compiles
from .claim import TimingRequest

PLACES: Final = ("cpu", "onnxruntime", "cpu-compile")
"""Default places; the one that takes longest to load is last."""


class _RunShare(NamedTuple):
    """Timings of one run. sampled: share of the time budget; ready: share of the remaining load time."""

    dtype: Dtype
    compiled: bool
    sampled: float
    ready: float


_RUN_SHARES: Final = (
    _RunShare("fp32", compiled=False, sampled=0.55, ready=0.45),
    _RunShare("int8", compiled=False, sampled=0.2, ready=0.35),
    _RunShare("fp32", compiled=True, sampled=0.25, ready=1.0),
)
_READY_S: Final = 100.0
"""Limit of conversion and load time, so that a measurement of one minute ends within three."""
_READY_LEAST: Final = 10.0


class MeasureResult(NamedTuple):
    """The runs. interrupted: by the user, who ended the last one or prevented the next one."""

    runs: tuple[Run, ...]
    interrupted: bool = False


class MeasureOptions(NamedTuple):
    """How to measure. places: backends, "ncnn", or of another device "ncnn@pi". folder: of the cache; None
    for a temporary one. command: what asked for it.
    """

    places: tuple[str, ...]
    threads: int = 1
    budget_s: float = 60.0
    folder: Path | None = None
    command: str = ""


def measure(
    subject: Subject,
    requests: Sequence[TimingRequest],
    how: MeasureOptions,
    on_progress: OnProgress = lambda _: None,
) -> MeasureResult:
    """Return a run for each dtype that is wanted and supported, and one of compiled PyTorch.

    An interrupt ends the measurement.
    """
    runs: list[Run] = []
    left = _READY_S
    for share in _RUN_SHARES:
        wanted = _wanted(requests, share)
        takes = [target for target in _targets(how, share) if share.dtype in backend(target.backend).DTYPES]
        if wanted and takes:
            begin = monotonic()
            ready_s, sampled_s = max(_READY_LEAST, share.ready * left), share.sampled * how.budget_s
            request = _request(subject, wanted, takes, how, sampled_s, ready_s)
            try:
                runs.append(profile(request, on_progress=on_progress))
            except KeyboardInterrupt:
                return MeasureResult(tuple(runs), interrupted=True)
            if runs[-1].was_interrupted:
                return MeasureResult(tuple(runs), interrupted=True)
            left -= monotonic() - begin - sampled_s
    return MeasureResult(tuple(runs))


def targets(requests: Sequence[TimingRequest], how: MeasureOptions) -> list[Target]:
    """Return the targets of `requests`, available or not."""
    wanted = [share for share in _RUN_SHARES if _wanted(requests, share)]
    return [target for share in wanted for target in _targets(how, share)]


def _wanted(requests: Sequence[TimingRequest], share: _RunShare) -> list[TimingRequest]:
    """Return the requests of a run, compiled ones by priority."""
    wanted = [request for request in requests if share.dtype in request.dtypes]
    if share.compiled:
        return sorted(
            (request for request in wanted if request.compiled), key=lambda request: request.compiled
        )
    return wanted


def _targets(how: MeasureOptions, share: _RunShare) -> list[Target]:
    """Return the targets of a run; those that compile have their own."""
    every = combinations(how.places, (share.dtype,), (1,), (how.threads,))
    return [target for target in every if share.compiled == compiles(target.backend)]


def _request(
    subject: Subject,
    requests: Sequence[TimingRequest],
    targets: Sequence[Target],
    how: MeasureOptions,
    sampled_s: float,
    ready_s: float,
) -> Request:
    subjects: dict[str, Subject] = {"": subject}
    parts: dict[str, dict[str, None]] = {"": {}}
    for request in requests:
        subjects.setdefault(request.variant, request.subject)
        parts.setdefault(request.variant, {})[request.part] = None
    return Request(
        subjects,
        {variant: tuple(names) for variant, names in parts.items()},
        tuple(targets),
        budget_s=sampled_s,
        folder=how.folder,
        ready_s=ready_s,
        peaks=False,
        command=how.command,
    )
