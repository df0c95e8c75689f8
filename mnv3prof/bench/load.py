"""What other processes do on this machine."""

from time import perf_counter, process_time, sleep
from typing import Final

_SECONDS: Final = 0.3


def other_load() -> float:
    """Return how many CPUs other processes, and other virtual machines on the host, keep busy.

    That is the CPU time that is not this process's over a third of a second, by its length.
    """
    start, busy, own = perf_counter(), _busy_s(), process_time()
    sleep(_SECONDS)
    others = _busy_s() - busy - (process_time() - own)
    return round(max(0.0, others) / (perf_counter() - start), 2)


def _busy_s() -> float:
    """Return the CPU time of everything since the start of the machine."""
    import psutil

    times = psutil.cpu_times()._asdict()
    return float(
        sum(times[name] for name in ("user", "nice", "system", "irq", "softirq", "steal") if name in times)
    )
