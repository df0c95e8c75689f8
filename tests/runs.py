"""Bursts, timings and runs with known times, as if they had been measured."""

import json
import random
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from mnv3prof.cost.conventions import COUNTERS, Reading, counted_as
from mnv3prof.device.clock import KEPT
from mnv3prof.device.samples import outliers, quantile, thinned
from mnv3prof.graph.parts import NET, identical_blocks
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record.document import run_document
from mnv3prof.record.run import HERE, Host, PeakRates, Run, Runtime, Subject
from mnv3prof.record.target import Target
from mnv3prof.record.timing import Burst, Launch, Timing
from mnv3prof.source import read_table

HOST = Host(
    cpu="a processor",
    cores=2,
    memory_bytes=8 * 2**30,
    gpu="",
    os="Linux-6.1.0-x86_64",
    python="3.12.0",
    versions={"torch": "2.9.0", "onnxruntime": "1.20.0"},
    runtimes={name: Runtime("1.0", "cpu", "cpu") for name in ("cpu", "onnxruntime", "litert")},
    peak_rates=(PeakRates("cpu", "fp32", 1, 50e9, 20e9),),
)


def around(median: Any, noise: float = 0.01, count: int = 50, seed: Any = 0) -> Any:
    """Random times around `median` s; `noise` is their standard deviation as a share of it."""
    chance = random.Random(seed)
    return tuple(max(1e-9, chance.gauss(median, noise * median)) for _ in range(count))


def spread(median: Any, noise: float = 0.01, count: int = 60) -> Any:
    """Times evenly spread around `median` s; `noise` is their range as a share of it."""
    return tuple(median * (1 + noise * ((n * 37 % count) / (count - 1) - 0.5)) for n in range(count))


def burst(samples: Any, cpu: float = 1.0, number: int = 0) -> Any:
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


def launches(samples: Any, calls: Any = None, cpu: float = 1.0, each: int = 2) -> Any:
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
    backend: str,
    part: str,
    samples: Any = (),
    *,
    device: str = "",
    dtype: Any = "fp32",
    batch: int = 1,
    threads: int = 1,
    calls: Any = None,
    cpu: float = 1.0,
    each: int = 2,
    stopped: Any = "converged",
    **fields: Any,
) -> Any:
    """One part on one target."""
    target = Target(device=device, backend=backend, dtype=dtype, batch=batch, threads=threads)
    taken = launches(samples, calls, cpu, each) if len(samples) else ()
    return Timing(part=part, target=target, launches=taken, stopped=stopped, **fields)


def run_of(subject: Any, timings: Any = (), variants: Any = None, host: Any = HOST, **fields: Any) -> Any:
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


def made(
    table: str = "small",
    size: Any = (32, 32),
    backends: Any = ("cpu", "onnxruntime"),
    slower: Any = None,
    seed: Any = 0,
    host: Any = HOST,
    noise: float = 0.01,
    count: int = 50,
    how: Any = None,
    subject: Any = None,
    **fields: Any,
) -> Any:
    """A run of every part. slower: factors of the time, by part. how: other fields of the timings."""
    subject = subject or Subject(read_table(table), size)
    graph = subject.graph
    same, slower = identical_blocks(graph), slower or {}
    parts = [part for part in (*graph.block_names, NET) if same[part] == part]
    timings = []
    for b, backend in enumerate(backends):
        for n, part in enumerate(parts, 1):
            median = (0.020 if part == NET else n * 1e-4) * (b + 1) * slower.get(part, 1.0)
            times = around(median, noise, count, seed=f"{seed} {backend} {part}")
            timings.append(timing(backend, part, times, **(how or {})))
    when = {"created": "2026-01-01T00:00:00+00:00", "command": "mnv3prof profile"}
    return run_of(subject, timings, host=host, **when, **fields)


def exact(backend: str, part: str, seconds: float, **how: Any) -> Any:
    """A timing of nine calls around `seconds`, which is their median; none is noisy."""
    known = {"first_s": seconds, "load_s": 1e-3, "max_abs_err": 1e-6, "max_rel_err": 1e-6}
    return timing(backend, part, spread(seconds, 0.008, 9), **known, **how)  # type: ignore[arg-type]


def reported(
    net: str = "small",
    backends: Any = ("cpu", "fast"),
    odd: Any = ("fast", "3"),
    readings: bool = True,
    standard: bool = False,
    **changes: Any,
) -> Any:
    """A run for reports. Each block takes 1 ms, except `odd`, 5 ms; the network takes 20 ms, on fast 10 ms."""
    subject = Subject(vary(read_table(net), **changes), (224, 224))
    graph, dense = subject.graph, subject.varied(vary(subject.table, standard_conv=True))
    name = f"{dense.table.name} at 224×224"
    timings = [
        exact(backend, block, 5e-3 if (backend, block) == odd else 1e-3)
        for backend in backends
        for block in graph.block_names
    ]
    timings += [exact(b, NET, 10e-3 if b == "fast" else 20e-3) for b in backends]
    if standard:
        timings += [exact("fast", NET, 40e-3, variant=name), exact("fast", "2", 3e-3, variant=name)]
    runtimes = {name: Runtime("1.0", "cpu", "cpu") for name in ("cpu", "fast", "slow")}
    printed = [Reading(tool, "1", "ok", printed=sum(counted_as(graph, tool))) for tool in list(COUNTERS)[:4]]  # type: ignore[arg-type]
    return run_of(
        subject,
        timings,
        {name: dense} if standard else {},
        replace(HOST, runtimes=runtimes),
        created="2026-01-02T03:04:05+00:00",
        command=f"mnv3prof report {net}",
        readings=tuple(printed) if readings else (),
    )


def kept(run: Any, path: Path) -> Any:
    """The run's file."""
    path.write_bytes(msgspec.json.encode(run_document(run)))
    return path


def changed(path: Path, target: Any, **change: Any) -> Any:
    """The run at `path` with other fields, at `target`."""
    target.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8"
    )
    return target


def as_saved(backend: str = "cpu", part: str = "net", **fields: Any) -> Any:
    """A timing as in a document."""
    return {"part": part, "target": {"backend": backend}, **fields}
