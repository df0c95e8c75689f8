"""Measurements of a small network by real worker processes, and conversions that tests share."""

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripted import Scripted
from subjects import subject

from mnv3prof.bench.convert import convert, file_kind
from mnv3prof.bench.schedule import BenchPlan, Callbacks
from mnv3prof.bench.schedule import measure as measure_plan
from mnv3prof.device.protocol import PartKey
from mnv3prof.graph.parts import NET
from mnv3prof.record.target import Target
from mnv3prof.workers.cache import default_folder

SMALL = subject("small", 64)
SLOW = ["litert", "executorch"]
"""Backends whose converters take long, most of it to start."""


def measure(
    net: Any,
    parts: Any,
    backends: Any,
    *,
    on_progress: Callable[..., Any] = lambda _: None,
    on_update: Callable[..., Any] = lambda _: None,
    known: Any = (),
    threads: int = 1,
    dtype: Any = "fp32",
    batch: int = 1,
    worker: Any = None,
    **how: Any,
) -> Any:
    """The timings of parts on backends. worker: makes that of a target; how: other fields of the plan."""
    parts = tuple(PartKey("", part) for part in parts)
    targets = tuple(Target(backend=name, dtype=dtype, batch=batch, threads=threads) for name in backends)
    plan = BenchPlan({"": net}, parts, targets, default_folder(), **how)
    machines = Scripted(worker) if worker else None
    return measure_plan(plan, Callbacks(on_progress, on_update), known, machines)


SHARED = ["small", "--input", "64x96"]
"""The network of `converted` on the command line."""


def converted(name: str) -> None:
    """Convert a network and some of its blocks to what a slow backend reads, once for all tests."""
    kind = file_kind(Target(backend=name))
    if kind and name in SLOW:
        parts = tuple(PartKey("", part) for part in (NET, "1", "5"))
        with Path(f"{default_folder()}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            convert({kind: parts}, {"": subject("small", (64, 96))}, default_folder())
