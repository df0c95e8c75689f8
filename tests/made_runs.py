"""Runs with known times, as if they had been measured."""

import json
import random

import msgspec
from timings import run_of, timing

from mnv3prof.record.document import run_document
from mnv3prof.record.run import NET, Host, Runtime, Subject, identical_blocks
from mnv3prof.source import read_table

HOST = Host(
    cpu="Made CPU",
    cores=2,
    memory_bytes=1,
    gpu="",
    os="Linux-6.1.0-x86_64",
    python="3.12.0",
    versions={"torch": "2.9.0", "onnxruntime": "1.20.0"},
    runtimes={name: Runtime("1.0", "cpu", "cpu") for name in ("cpu", "onnxruntime", "litert")},
)


def samples(median, noise=0.01, count=50, seed=0):
    """`count` times around `median` s; `noise` is their standard deviation as a share of it."""
    chance = random.Random(seed)
    return tuple(max(1e-9, chance.gauss(median, noise * median)) for _ in range(count))


def made(
    table="small",
    size=(32, 32),
    backends=("cpu", "onnxruntime"),
    slower=None,
    seed=0,
    host=HOST,
    noise=0.01,
    count=50,
    how=None,
    subject=None,
    **fields,
):
    """A run of every part. slower: factors of the time, by part. how: other fields of the timings."""
    subject = subject or Subject(read_table(table), size)
    graph = subject.graph
    same, slower = identical_blocks(graph), slower or {}
    parts = [part for part in (*graph.block_names, NET) if same[part] == part]
    timings = []
    for b, backend in enumerate(backends):
        for n, part in enumerate(parts, 1):
            median = (0.020 if part == NET else n * 1e-4) * (b + 1) * slower.get(part, 1.0)
            times = samples(median, noise, count, seed=f"{seed} {backend} {part}")
            timings.append(timing(backend, part, times, **(how or {})))
    when = {"created": "2026-01-01T00:00:00+00:00", "command": "mnv3prof profile"}
    return run_of(subject, timings, host=host, **when, **fields)


def kept(run, path):
    """The run's file."""
    path.write_bytes(msgspec.json.encode(run_document(run)))
    return path


def changed(path, target, **change):
    """The run at `path` with other fields, at `target`."""
    target.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8"
    )
    return target
