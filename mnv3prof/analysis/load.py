"""Other load on a machine while a run was measured, and which clock gives the times of the work."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from ..device.clock import OTHERS
from ..record.run import Run
from ..record.stats import Summary
from ..record.timing import LEAST_CPU_SHARE, MOST_OTHERS, Timing

MOST_CPUS: Final = 1.15
"""CPU time per wall time at one thread; more is that of other threads of the runtime."""

Clock = Literal["wall", "CPU"]


class Load(NamedTuple):
    """Other load on a device while it was measured.

    share: of a CPU, that the processes timed at one thread got; other_cpus: CPUs that other processes used,
    at least, of those that this left; None where not known. contended: True if a timing had to keep
    contended bursts; slowed: also such beside which the CPU itself was slower. cpus: of the device.
    """

    share: float | None
    other_cpus: float | None
    contended: bool
    slowed: bool
    cpus: int

    @property
    def starved(self) -> bool:
        """True if the timed processes did not get their CPU."""
        return self.share is not None and self.share < LEAST_CPU_SHARE

    @property
    def shared(self) -> bool:
        """True if other processes used many CPUs."""
        return self.other_cpus is not None and self.other_cpus >= MOST_OTHERS * self.cpus

    @property
    def busy(self) -> bool:
        """True if other load may have changed the times."""
        return self.starved or self.shared or self.contended


def load_of(run: Run, device: str) -> Load:
    """Return the load of a device while the run's timings were taken on it.

    Load before and after sampling counts as far as it is in both: a command may just have ended.
    """
    host = run.hosts[device]
    timings = [timing for timing in run.timings if timing.target.device == device]
    seen = [load.before if load.after is None else min(load.before, load.after) for load in host.other_loads]
    shares = [
        (burst.calls * burst.mean_s, burst.state[OTHERS])
        for timing in timings
        for burst in timing.bursts
        if OTHERS in burst.state
    ]
    if shares:
        seen.append(host.cores * sum(w * share for w, share in shares) / sum(w for w, _ in shares))
    contended = [timing for timing in timings if timing.contended]
    slowed = any(timing.is_slowed(burst) for timing in contended for burst in timing.kept)
    share = _share_of_cpu(timings, run)
    others = min(max(seen), host.cores - (share or 0.0)) if seen else None
    return Load(share, others, bool(contended), slowed, host.cores)


def _share_of_cpu(timings: Sequence[Timing], run: Run) -> float | None:
    bursts = [burst for timing in timings if has_cpu_time(timing, run) for burst in timing.bursts]
    wall = sum(burst.calls * burst.mean_s for burst in bursts)
    lost = sum(b.calls * max(0.0, b.mean_s - (b.cpu_s or 0.0)) for b in bursts if b.switches)
    return 1 - lost / wall if wall else None


def has_cpu_time(timing: Timing, run: Run) -> bool:
    """Return True if the CPU time of the process is known, and is the time of the work: at one thread, on
    the CPU.
    """
    runtime = run.hosts[timing.target.device].runtimes.get(timing.target.backend)
    on_one_cpu = (timing.cpu_per_wall or 0.0) <= MOST_CPUS
    on_cpu = runtime is not None and runtime.chip == "cpu"
    known = bool(timing.bursts) and all(burst.cpu_median_s for burst in timing.bursts)
    return timing.target.threads == 1 and on_cpu and on_one_cpu and known


def clock_of(timing: Timing, run: Run) -> Clock:
    """Return the clock whose times are those of the work: CPU if the machine was too busy for wall times."""
    return "CPU" if timing.contended and has_cpu_time(timing, run) else "wall"


def summary_by(clock: Clock, timing: Timing) -> Summary | None:
    """Return the statistics of a timing by a clock."""
    return timing.summary if clock == "wall" else timing.cpu_summary
