"""How busy a machine was while a run was measured, and the CPU times that this hardly changes."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ..device.clock import OTHERS
from ..record.run import Run
from ..record.stats import Summary
from ..record.timing import LEAST_CPU_SHARE, MOST_OTHERS, Timing

Clock = Literal["wall", "CPU"]


class Load(NamedTuple):
    """Other load on a device. share: of a CPU, which the processes timed at one thread got; others: how many
    CPUs other processes used before, during or after sampling, whichever is most; None where not known.
    cpus: of the device.
    """

    share: float | None
    others: float | None
    cpus: int

    @property
    def busy(self) -> bool:
        """True if the timed processes did not get their CPU, or others used many."""
        starved = self.share is not None and self.share < LEAST_CPU_SHARE
        return starved or (self.others is not None and self.others >= MOST_OTHERS * self.cpus)


def load_of(run: Run, device: str) -> Load:
    """Return the load of a device while the run's timings were taken on it."""
    host = run.hosts[device]
    timings = [timing for timing in run.timings if timing.target.device == device]
    seen = [value for load in host.other_loads for value in (load.before, load.after) if value is not None]
    told = [
        (burst.calls * burst.mean_s, burst.state[OTHERS])
        for timing in timings
        for burst in timing.bursts
        if OTHERS in burst.state
    ]
    if told:
        seen.append(host.cores * sum(wall * share for wall, share in told) / sum(wall for wall, _ in told))
    return Load(_share_of_cpu(timings, run), max(seen, default=None), host.cores)


def _share_of_cpu(timings: Sequence[Timing], run: Run) -> float | None:
    bursts = [burst for timing in timings if has_cpu_time(timing, run) for burst in timing.bursts]
    wall = sum(burst.calls * burst.mean_s for burst in bursts)
    lost = sum(b.calls * max(0.0, b.mean_s - b.cpu_s) for b in bursts if b.switches)
    return 1 - lost / wall if wall else None


def has_cpu_time(timing: Timing, run: Run) -> bool:
    """Return True if the CPU time of the process is known, and is the time of the work: at one thread, on
    the CPU.
    """
    runtime = run.hosts[timing.target.device].runtimes.get(timing.target.backend)
    on_cpu = runtime is not None and runtime.chip == "cpu"
    return timing.target.threads == 1 and on_cpu and timing.cpu_summary is not None


def clock_of(timing: Timing, run: Run) -> Clock:
    """Return the clock whose times are those of the work: CPU if the machine was too busy for wall times."""
    return "CPU" if timing.contended and has_cpu_time(timing, run) else "wall"


def summary_by(clock: Clock, timing: Timing) -> Summary | None:
    """Return the statistics of a timing by a clock."""
    return timing.summary if clock == "wall" else timing.cpu_summary
