"""What was measured: timings, as they are kept."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from .stats import Summary, summarize

NET: Final = "net"
"""The part that is the whole network."""

MOST_SAMPLES: Final = 200

Status = Literal["ok", "absent", "unsupported", "crashed", "timeout", "wrong"]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One part on one backend; seconds. Median, quantiles and noise are derived, never kept.

    part: a block's name, or "net". status and reason: why there are no samples, or why they count
        for nothing ("wrong": the output is not PyTorch's). samples_s: at most MOST_SAMPLES of the
        `calls` that were timed, evenly kept. load_s: preparing the part, conversion included;
        first_s: its first run. max_abs_err, max_rel_err: against PyTorch eager's output, relative
        to its largest magnitude. cpu_per_wall: processor time by time while sampling. stopped: why
        sampling ended.
    """

    backend: str
    part: str
    dtype: str = "fp32"
    batch: int = 1
    threads: int = 1
    status: Status = "ok"
    reason: str = ""
    samples_s: tuple[float, ...] = ()
    calls: int = 0
    load_s: float | None = None
    first_s: float | None = None
    max_abs_err: float | None = None
    max_rel_err: float | None = None
    cpu_per_wall: float | None = None
    stopped: Literal["steady", "budget", ""] = ""

    @property
    def summary(self) -> Summary | None:
        """Statistics of the samples; None where there are none."""
        return summarize(self.samples_s) if self.samples_s else None


def thinned(samples: Sequence[float], most: int = MOST_SAMPLES) -> tuple[float, ...]:
    """At most `most` of the samples, evenly spread over the order in which they were taken."""
    if len(samples) <= most:
        return tuple(samples)
    return tuple(samples[n * len(samples) // most] for n in range(most))
