"""The sentences under a table of times: peaks, identical parts, devices, steadiness, what failed and why."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..analysis.grid import Grid, roof_of
from ..record.run import Roof, Run, Weights
from ..record.stats import LEAST_BURSTS, NOISY_INTERVAL, NOISY_SPREAD, drifts
from ..record.target import Target, threads_of
from ..record.timing import Timing
from ..render.sheet import words

NOISY_MARK: Final = "~"
_THREADS_OFF: Final = 0.15
_NAMED: Final = 4
"""So many parts are named; of more their number is given."""


def timing_notes(grid: Grid, timings: Sequence[Timing], run: Run) -> tuple[str, ...]:
    """Everything that must be known to read the times of one network."""
    return (
        f"Median in ms ± half of p90 − p10 as a share of it; {NOISY_MARK} noisy: that share is above "
        f"{NOISY_SPREAD:.0%}, the median's 95 % confidence interval beyond ±{NOISY_INTERVAL:.0%}, or there "
        f"are fewer than {LEAST_BURSTS} bursts.",
        *_roof_notes(timings, run),
        *_twin_notes(grid),
        *_chip_notes(grid.targets, run),
        *_steadiness_notes(timings, grid.labels),
        *failures(timings, grid.labels),
        *weights_notes(run.subject.weights),
    )


def weights_notes(weights: Weights | None) -> tuple[str, ...]:
    """Whose weights ran, in a sentence, where they are not random."""
    if weights is None:
        return ()
    data = f", trained on {weights.data}" if weights.data else ""
    right = "" if weights.accuracy is None else f", {weights.accuracy:.1%} of its held-out images right"
    return (f"Weights: {weights.file} (SHA-256 {weights.sha256[:12]}){data}{right}.",)


def drifted(timing: Timing) -> bool:
    """Tell whether the time changed while it was sampled."""
    return drifts([burst.median for burst in timing.bursts])


def _roof_notes(timings: Sequence[Timing], run: Run) -> list[str]:
    found = {(t.target.device, roof): None for t in timings if (roof := roof_of(t, run))}
    return [_roof_note(roof, device) for device, roof in found]


def _roof_note(roof: Roof, device: str) -> str:
    product = "fp32" if roof.dtype == "int8" else roof.dtype
    ridge = roof.macs_per_s / roof.bytes_per_s
    where = f"{roof.name}@{device}" if device else roof.name
    used = " for int8" if roof.dtype == "int8" else ""
    return (
        f"Peak of {where} at {threads_of(roof.threads)}{used}: {roof.macs_per_s / 1e9:,.1f} GMAC/s "
        f"in the best {product} matrix product, {roof.bytes_per_s / 1e9:,.1f} GB/s in the best copy; "
        f"a part under {ridge:.2f} MAC per byte moved is bound by memory."
    )


def _twin_notes(grid: Grid) -> list[str]:
    copies = [part for part in grid.parts if grid.same[part] != part]
    return [f"a = b: part a is identical to b and was measured as it ({words(copies)})."] if copies else []


def _chip_notes(targets: Iterable[Target], run: Run) -> list[str]:
    found = {t.place: run.hosts[t.device].runtimes.get(t.backend) for t in targets}
    return [
        f"{name} runs on {runtime.chip}."
        for name, runtime in found.items()
        if runtime and runtime.chip not in {"", "cpu"}
    ]


def _steadiness_notes(timings: Sequence[Timing], called: Mapping[Target, str]) -> list[str]:
    measured = [t for t in timings if t.bursts]
    if not measured:
        return []
    noisy = sum(t.summary.noisy for t in measured if t.summary)
    parts = [f"{noisy} of {len(measured)} figures are noisy"]
    if away := sum(t.excluded for t in measured):
        every = sum(len(t.bursts) for t in measured)
        parts.append(f"{away:,} of {every:,} bursts are excluded, in which other load took the CPU")
    if far := sum(t.outliers for t in measured):
        calls = sum(burst.calls for t in measured for burst in t.kept)
        parts.append(f"{far:,} of {calls:,} calls are outliers")
    if moved := [t for t in measured if drifted(t)]:
        parts.append(f"the time drifted while sampling {_by_target(moved, called)}")
    unsettled = sum(t.stopped == "budget" for t in measured)
    if unsettled:
        parts.append(f"{unsettled} ended with the time budget, before their interval was within ±2%")
    if cut := sum(t.stopped in ("interrupted", "") for t in measured):
        parts.append(f"{cut} were interrupted")
    threads = [t for t in measured if t.cpu_per_wall and t.cpu_per_wall > t.target.threads + _THREADS_OFF]
    if threads:
        where = _by_target(threads, called, load=True)
        parts.append(f"more processors worked than threads were asked for: {where}")
    idle = [
        t for t in measured if t.cpu_per_wall and t.target.threads > 1 and t.cpu_per_wall < 1 + _THREADS_OFF
    ]  # fmt: skip
    if idle:
        parts.append(f"one processor worked where more threads were asked for: {_by_target(idle, called)}")
    sentence = "; ".join(parts)
    return [f"{sentence[0].upper()}{sentence[1:]}."]


def _by_target(timings: Sequence[Timing], called: Mapping[Target, str], *, load: bool = False) -> str:
    """Parts as "stem and 1 on cpu; 15 parts on mnn"; load: each with how many processors worked."""
    found: dict[str, list[str]] = {}
    for t in timings:
        found.setdefault(called[t.target], []).append(f"{t.part} ({t.cpu_per_wall:.2f})" if load else t.part)
    return words([f"{_listed(parts)} on {name}" for name, parts in found.items()])


def _listed(parts: Sequence[str]) -> str:
    return words(parts) if len(parts) <= _NAMED else f"{len(parts)} parts"


def _why_not(timing: Timing) -> str:
    return "interrupted" if timing.stopped == "interrupted" else "no burst was taken"


def failures(timings: Iterable[Timing], called: Mapping[Target, str]) -> list[str]:
    """Name what was not timed, or counts for nothing, each reason once."""
    parts: dict[tuple[str, Target], list[str]] = {}
    for t in timings:
        if t.status != "ok" or not t.bursts:
            why = f"{t.status}: {t.reason}" if t.status != "ok" else f"not timed: {_why_not(t)}"
            parts.setdefault((why, t.target), []).append(t.part)
    found: dict[tuple[str, str], list[str]] = {}
    for (reason, target), names in parts.items():
        found.setdefault((reason, ", ".join(names)), []).append(called[target])
    return [f"{words(targets)} {reason} (parts: {names})." for (reason, names), targets in found.items()]
