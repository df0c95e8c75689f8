"""Runs with known values, to check the report's statements."""

import timings as made

from mnv3prof.cost.conventions import COUNTERS, Reading, counted_as
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record.run import NET, Host, PeakRates, Runtime, Subject
from mnv3prof.source import read_table

HOST = Host(
    cpu="a processor",
    cores=2,
    memory_bytes=8 * 2**30,
    gpu="",
    os="an OS",
    python="3.11",
    versions={"torch": "2"},
    runtimes={name: Runtime("1", "cpu", "cpu") for name in ("cpu", "fast", "slow")},
    peak_rates=(PeakRates("cpu", "fp32", 1, 50e9, 20e9),),
)


def samples(median):
    """Nine samples around `median`, so that it is their median and none is noisy."""
    return tuple(median * (1 + 0.001 * n) for n in range(-4, 5))


def timing(backend, part, seconds, **how):
    known = {"first_s": seconds, "load_s": 1e-3, "max_abs_err": 1e-6, "max_rel_err": 1e-6}
    return made.timing(backend, part, samples(seconds), **known, **how)


def made_run(
    net="small", backends=("cpu", "fast"), odd=("fast", "3"), readings=True, standard=False, **changes
):
    """Each block takes 1 ms, except `odd`, 5 ms; the network takes 20 ms, on fast 10 ms."""
    subject = Subject(vary(read_table(net), **changes), (224, 224))
    graph, dense = subject.graph, subject.varied(vary(subject.table, standard_conv=True))
    name = f"{dense.table.name} at 224×224"
    timings = [
        timing(backend, block, 5e-3 if (backend, block) == odd else 1e-3)
        for backend in backends
        for block in graph.block_names
    ]
    timings += [timing(b, NET, 10e-3 if b == "fast" else 20e-3) for b in backends]
    if standard:
        timings += [timing("fast", NET, 40e-3, variant=name), timing("fast", "2", 3e-3, variant=name)]
    printed = [Reading(tool, "1", "ok", printed=sum(counted_as(graph, tool))) for tool in list(COUNTERS)[:4]]
    return made.run_of(
        subject,
        timings,
        {name: dense} if standard else {},
        HOST,
        created="2026-01-02T03:04:05+00:00",
        command=f"mnv3prof report {net}",
        readings=tuple(printed) if readings else (),
    )
