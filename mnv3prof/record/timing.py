"""Timing of one part on one target: bursts of calls and their statistics."""

from functools import cached_property
from itertools import chain
from typing import Annotated, Final, Literal

import msgspec

from ..device.clock import CANARY, KEPT, OTHERS, PRODUCT, WAITS
from ..device.samples import median
from .stats import LEAST_BURSTS, Summary, summarize
from .target import Target

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
"""Range of a valid time."""

LEAST_CPU_SHARE: Final = 0.95
"""A burst at one thread is contended where the system took the CPU from it, and its process had less than
this share of the wall time; one at several threads ..."""
MOST_SWITCHES: Final = 100
"""... where the system took a CPU from it more often than this, per thread and second. Any is ..."""
MOST_OTHERS: Final = 0.10
"""... where other processes, which share caches and memory, used at least this share of the CPUs ..."""
MOST_CANARY: Final = 1.4
"""... and where the canary beside it took more than this multiple of the part's fastest one: the CPU itself
was slower. On a server where other virtual machines ran on the same cores, at times, it took 1.9 times as
long beside bursts of up to twice the time; bursts without them agreed to 1 %."""

MOST_PRODUCT: Final = 1.10
"""Likewise of the fixed product of another device: it is throttled, or was moved to a slower core."""
_CANARIES: Final = ((CANARY, MOST_CANARY), (PRODUCT, MOST_PRODUCT))

MEDIAN: Final = "50"
"""Name of the median among percentiles."""

_Measured = Annotated[float, msgspec.Meta(ge=1e-9, le=1e9)]
_Error = Annotated[float, msgspec.Meta(ge=0)]

Status = Literal["ok", "not available", "unsupported", "crashed", "timeout", "mismatch"]
Joined = Literal["name", "shape", "order", ""]
Stopped = Literal["converged", "budget", "checked", "imported", "interrupted", ""]

CHECKED: Final = "an emulated device's times mean nothing: only its output was checked"
"""Reason of a timing that was stopped as "checked"."""
NO_SAMPLES: Final = "no samples: its noise is not known"
"""Why a time that another tool reported without samples is not compared."""


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive calls of one part, between calls of others. Seconds are of one call.

    wall_s: wall times, ascending. Up to KEPT calls are kept each; of more, KEPT at evenly spread ranks, the
    median in the middle (samples.thinned). mean_s, max_s: of all `calls`. outliers: how many calls
    samples.outliers counts. cpu_s, cpu_median_s: mean and median CPU time of the runtime's process; None
    where it was not taken. switches: involuntary context switches of the process; None where
    the system does not count them. state: what the device reported of itself, by name with the unit.
    """

    calls: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    wall_s: Annotated[tuple[_Measured, ...], msgspec.Meta(min_length=1, max_length=KEPT)]
    mean_s: Seconds
    max_s: Seconds
    outliers: Count = 0
    cpu_s: Seconds | None = None
    cpu_median_s: Seconds | None = None
    switches: Count | None = None
    state: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Raise ValueError for impossible times."""
        if len(self.wall_s) > self.calls or list(self.wall_s) != sorted(self.wall_s):
            raise ValueError("a burst's wall_s must be ascending, and no more than its calls")
        if max((1 - 1e-9) * self.mean_s, self.wall_s[-1]) > self.max_s:
            raise ValueError("a burst's max_s must be no less than its wall_s and mean_s")
        if self.outliers > self.calls:
            raise ValueError("a burst's outliers must be no more than its calls")

    @property
    def median(self) -> float:
        """The median of the calls' wall times."""
        return median(self.wall_s)

    def is_contended(self, threads: int) -> bool:
        """Return True if other processes slowed it. Calls that wait, e.g. for a GPU, need no CPU time."""
        if self.state.get(OTHERS, 0.0) >= MOST_OTHERS:
            return True
        if not self.switches or self.cpu_s is None:
            return False
        if threads == 1:
            waits = self.state.get(WAITS, 0.0) >= self.calls
            return not waits and self.cpu_s < LEAST_CPU_SHARE * self.mean_s
        return self.switches > max(1, MOST_SWITCHES * threads * self.calls * self.mean_s)


class Launch(msgspec.Struct, frozen=True):
    """One process of the runtime, with its bursts in order."""

    bursts: tuple[Burst, ...] = ()

    def __repr__(self) -> str:
        return f"Launch({len(self.bursts)} bursts)"


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of one run that another tool reported without samples; None where it did not.

    tool: its name. calls: how many it timed. mean_s, min_s, max_s, sd_s: of one call. percentiles: seconds of
    a call, by percentile, e.g. {"50": 0.001}.
    """

    tool: str
    calls: Count | None = None
    mean_s: _Measured | None = None
    min_s: Seconds | None = None
    max_s: Seconds | None = None
    sd_s: Seconds | None = None
    percentiles: dict[str, Seconds] = {}

    def __post_init__(self) -> None:
        """Raise ValueError for impossible times."""
        low, high = self.min_s, self.max_s
        if (self.percentiles.get(MEDIAN) or self.mean_s) is None:
            raise ValueError("a reported time must have a mean or a median")
        known = [time for time in (low, self.percentiles.get(MEDIAN), high) if time is not None]
        if known != sorted(known):
            raise ValueError("a reported minimum, median and maximum must be ascending")

    @property
    def is_median(self) -> bool:
        """True if the tool reported a median."""
        return bool(self.percentiles.get(MEDIAN))

    @property
    def seconds(self) -> float:
        """The median of a call, or the mean if the tool reported no median."""
        return self.percentiles.get(MEDIAN) or self.mean_s or 0.0


class Timing(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One part on one target. Median, quantiles and noise are derived, not stored.

    variant: "" for the run's main network, else a name in its graphs. part: a block's name, "net", or the
    path of a module. status, reason: why there are no bursts, or why they are not used ("mismatch": the
    output is outside its tolerance). launches: one for each process that timed the part. convert_s: time
    of the conversion; file_bytes: its size; load_s, first_s: times of loading and of the first call, in the
    last launch. max_abs_err, max_rel_err: largest error of the output compared with PyTorch eager, and
    relative to its largest magnitude; rms_rel_err: RMS of the error ÷ RMS of the output. stopped: why
    sampling ended, "" if it has not. lost: the worker on another device ended, or did not answer in time, so
    that a resumed run measures the part again. reported: what another tool reported without samples, one for
    each of its runs.

    >>> (timing,) = mnv3prof.read_run("run.json").timings
    >>> timing.status, timing.target.backend, timing.summary.low <= timing.seconds
    ('ok', 'null', True)
    """

    variant: str = ""
    part: str
    target: Target
    status: Status = "ok"
    reason: str = ""
    launches: tuple[Launch, ...] = ()
    convert_s: Seconds | None = None
    load_s: Seconds | None = None
    first_s: Seconds | None = None
    file_bytes: Count | None = None
    max_abs_err: _Error | None = None
    max_rel_err: _Error | None = None
    rms_rel_err: _Error | None = None
    stopped: Stopped = ""
    lost: bool = False
    reported: tuple[Reported, ...] = ()

    def __repr__(self) -> str:
        time = self.status if self.seconds is None else f"{self.seconds * 1e3:.4g} ms"
        return f"Timing({self.part!r}, {self.target.place}, {self.target.settings}: {time})"

    @cached_property
    def bursts(self) -> tuple[Burst, ...]:
        """The bursts of all launches."""
        return tuple(chain.from_iterable(launch.bursts for launch in self.launches))

    @property
    def without_samples(self) -> bool:
        """True if its only times are those that another tool reported."""
        return bool(self.reported) and not self.bursts

    @property
    def calls(self) -> int:
        """How many calls were timed."""
        if self.without_samples:
            return sum(each.calls or 0 for each in self.reported)
        return sum(burst.calls for burst in self.bursts)

    @property
    def outliers(self) -> int:
        """How many calls of the kept bursts are outliers."""
        return sum(burst.outliers for burst in self.kept)

    @cached_property
    def _by_launch(self) -> tuple[tuple[Burst, ...], ...]:
        """The kept bursts of each launch that has any."""
        every = [launch.bursts for launch in self.launches]
        clear = [tuple(b for b in bursts if not self._is_contended(b)) for bursts in every]
        enough = sum(map(len, clear)) >= LEAST_BURSTS
        return tuple(filter(None, clear if enough else every))

    @cached_property
    def kept(self) -> tuple[Burst, ...]:
        """The bursts without contended ones, or all of them if fewer than LEAST_BURSTS would remain."""
        return tuple(chain.from_iterable(self._by_launch))

    @property
    def contended(self) -> bool:
        """True if contended bursts had to be kept: the machine was too busy to measure wall times."""
        return any(map(self._is_contended, self.kept))

    def is_slowed(self, burst: Burst) -> bool:
        """Return True if the CPU itself was slower beside this burst than beside another one."""
        return any(
            burst.state.get(name, 0.0) > most * self._fastest.get(name, 0.0) for name, most in _CANARIES
        )

    @cached_property
    def _fastest(self) -> dict[str, float]:
        """The least time of each canary."""
        return {
            name: min((burst.state[name] for burst in self.bursts if name in burst.state), default=0.0)
            for name, _ in _CANARIES
        }

    def _is_contended(self, burst: Burst) -> bool:
        return burst.is_contended(self.target.threads) or self.is_slowed(burst)

    @property
    def noisy(self) -> bool:
        """True if the median is uncertain: by its spread, its interval, or contended bursts."""
        return self.contended or (self.summary is not None and self.summary.noisy)

    @property
    def excluded(self) -> int:
        """How many bursts were excluded."""
        return len(self.bursts) - len(self.kept)

    @property
    def samples(self) -> tuple[float, ...]:
        """The wall times that the kept bursts hold."""
        return tuple(chain.from_iterable(burst.wall_s for burst in self.kept))

    @cached_property
    def summary(self) -> Summary | None:
        """Statistics of the kept bursts; None where there are none."""
        launches = [[burst.wall_s for burst in bursts] for bursts in self._by_launch]
        return summarize(launches) if launches else None

    @cached_property
    def cpu_summary(self) -> Summary | None:
        """Statistics of the bursts' median CPU times, of all bursts; None where one was not taken."""
        launches = [
            [(burst.cpu_median_s,) for burst in each.bursts if burst.cpu_median_s]
            for each in self.launches
            if each.bursts
        ]
        return summarize(launches) if sum(map(len, launches)) == len(self.bursts) > 0 else None

    @property
    def cpu_median(self) -> float | None:
        """Median of the bursts' median CPU times; None if one was not taken."""
        times = [burst.cpu_median_s for burst in self.bursts if burst.cpu_median_s]
        return median(times) if len(times) == len(self.bursts) > 0 else None

    def medians(self, *, cpu: bool = False) -> list[list[float]]:
        """Return the time per image of each burst, by launch: the median wall time of kept bursts, or the
        median CPU time of all bursts.
        """
        batch = self.target.batch
        if cpu:
            return [
                [(burst.cpu_median_s or 0.0) / batch for burst in launch.bursts]
                for launch in self.launches
                if launch.bursts
            ]
        return [[burst.median / batch for burst in bursts] for bursts in self._by_launch]

    @property
    def uncut_median(self) -> float | None:
        """Median time of a call over all bursts, including excluded ones."""
        return median([s for burst in self.bursts for s in burst.wall_s]) if self.bursts else None

    @property
    def seconds(self) -> float | None:
        """Median time of a call, if the output was right.

        Without samples it is the median of the reported medians or means.
        """
        if self.status != "ok":
            return None
        if self.without_samples:
            return median([each.seconds for each in self.reported])
        return self.summary.median if self.summary else None

    @property
    def per_image(self) -> float | None:
        """Median time of a call ÷ its images, if the output was right."""
        return None if self.seconds is None else self.seconds / self.target.batch

    @property
    def cpu_per_wall(self) -> float | None:
        """CPU time ÷ wall time over all calls; None if no time was measured."""
        wall = sum(burst.calls * burst.mean_s for burst in self.bursts)
        used = [burst.calls * burst.cpu_s for burst in self.bursts if burst.cpu_s is not None]
        return sum(used) / wall if wall and len(used) == len(self.bursts) else None

    @property
    def final(self) -> bool:
        """True if measuring it again would add nothing."""
        return (
            self.status != "not available"
            and not self.lost
            and (self.status != "ok" or self.stopped in ("converged", "budget", "checked", "imported"))
        )


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's time, and the layer that it runs: "" and joined "" where none could be found.

    variant, part, target: those of the timing that it is part of.
    """

    variant: str = ""
    part: str
    target: Target
    name: str
    kind: str
    seconds: Seconds
    layer: str = ""
    joined: Joined = ""
