"""Timings with known calls, and runs of them."""

from itertools import accumulate, pairwise

from mnv3prof.device.clock import KEPT
from mnv3prof.device.samples import outliers, quantile, thinned
from mnv3prof.record.run import HERE, Host, Run
from mnv3prof.record.target import Target
from mnv3prof.record.timing import Burst, Launch, Timing

HOST = Host(cpu="a processor", cores=2, memory_bytes=1, gpu="", os="", python="", versions={})


def burst(samples, cpu=1.0, number=0):
    """A burst of calls that took `samples`. cpu: CPU time / wall time, small under other load."""
    mean = sum(samples) / len(samples)
    return Burst(
        calls=len(samples),
        wall_s=thinned(samples, KEPT, number * 0.618034 % 1),
        mean_s=mean,
        max_s=max(samples),
        outliers=outliers(samples),
        cpu_s=cpu * mean,
        cpu_median_s=cpu * quantile(sorted(samples), 0.5),
        switches=0 if cpu >= 0.95 else 9,
    )


def launches(samples, calls=None, cpu=1.0, each=2):
    """Six bursts, or one a sample where there are fewer, in launches of two; calls: how many in each instead;
    each: how many bursts a launch has.
    """
    many = min(6, len(samples))
    sizes = calls or [len(samples) // many + (n < len(samples) % many) for n in range(many)]
    ends = [0, *accumulate(sizes)]
    assert ends[-1] == len(samples)
    bursts = [burst(samples[low:high], cpu, n) for n, (low, high) in enumerate(pairwise(ends))]
    return tuple(Launch(tuple(bursts[n : n + each])) for n in range(0, len(bursts), each))


def timing(
    backend,
    part,
    samples=(),
    *,
    device="",
    dtype="fp32",
    batch=1,
    threads=1,
    calls=None,
    cpu=1.0,
    each=2,
    stopped="converged",
    **fields,
):
    """One part on one target."""
    target = Target(device=device, backend=backend, dtype=dtype, batch=batch, threads=threads)
    taken = launches(samples, calls, cpu, each) if len(samples) else ()
    return Timing(part=part, target=target, launches=taken, stopped=stopped, **fields)


def run_of(subject, timings=(), variants=None, host=HOST, **fields):
    """A run on one machine."""
    return Run(
        **{
            "created": "",
            "command": "",
            "hosts": {HERE: host},
            "subjects": {"": subject, **(variants or {})},
            "timings": tuple(timings),
            **fields,
        }
    )


def as_saved(backend="cpu", part="net", **fields):
    """A timing as in a document."""
    return {"part": part, "target": {"backend": backend}, **fields}
