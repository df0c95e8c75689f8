"""A small block, timed to see whether backends work."""

from pathlib import Path
from typing import Final

from ..bench.machines import Where
from ..bench.progress import within
from ..bench.schedule import BenchPlan, Callbacks, measure
from ..device.protocol import PartKey
from ..mobilenetv3.table import Row, Table
from ..record.run import Subject
from ..record.target import Target
from ..record.timing import Timing
from .progress import progress

_SAMPLED_S: Final = 0.1


def tried(
    targets: tuple[Target, ...], folder: Path, phase: str, machines: Where | None = None
) -> tuple[Timing, ...]:
    """Time a small block on each target, and show progress as that of a phase. folder: of the cache."""
    row = Row(expand=16, out=8, kernel=3, stride=1, se=True, activation="HS")
    subject = Subject(Table(name="check", rows=(row,), stem=8, last=8, classes=8), (32, 32))
    part = PartKey("", subject.graph.block_names[1])
    plan = BenchPlan({"": subject}, (part,), targets, folder, _SAMPLED_S * len(targets))
    with progress() as on_progress:
        return measure(plan, Callbacks(within(phase, on_progress)), machines=machines)


def verdict(timing: Timing) -> str:
    """Return whether the output was right."""
    return f"PASS ({timing.max_rel_err:.0e} off)" if timing.status == "ok" else f"FAIL: {timing.reason}"
