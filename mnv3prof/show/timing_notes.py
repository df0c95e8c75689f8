"""Notes under a table of latencies: noise, peaks, identical blocks, devices, failures, weights."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..analysis.grid import LIMITED, Grid, peak_of
from ..record.run import PeakRates, Run, Weights
from ..record.stats import LEAST_BURSTS, NOISY_INTERVAL, NOISY_SPREAD, drifts
from ..record.target import Target, threads_of
from ..record.timing import Timing
from ..render.sheet import join_words

NOISY_MARK: Final = "~"
_THREADS_OFF: Final = 0.15
_MOST_NAMED: Final = 4
"""Longer lists of parts are written as their number."""


def timing_notes(grid: Grid, timings: Sequence[Timing], run: Run) -> tuple[str, ...]:
    """Return the notes on the latencies of one network."""
    spread = (
        f"Median in ms ± half the distance from p10 to p90, in % of the median. {NOISY_MARK} is noisy: this "
        f"spread is above {NOISY_SPREAD:.0%}, the median's 95 % confidence interval is wider than "
        f"±{NOISY_INTERVAL:.0%}, other load slowed bursts, or there are fewer than {LEAST_BURSTS} bursts."
    )
    return (
        *([spread] if not all(t.without_samples for t in timings) else []),
        *_peak_notes(timings, run),
        *_identical_notes(grid),
        *_chip_notes(grid.targets, run),
        *_noise_notes(timings, grid.labels),
        *_reported_notes(timings, grid.labels),
        *failures(timings, grid.labels),
        *weights_notes(run.subject.weights),
    )


def weights_notes(weights: Weights | None) -> tuple[str, ...]:
    """Return the source of the weights as a sentence; nothing for random weights."""
    if weights is None:
        return ()
    data = f", trained on {weights.data}" if weights.data else ""
    accuracy = "" if weights.accuracy is None else f", {weights.accuracy:.1%} accuracy on held-out images"
    return (f"Weights: {weights.file} (SHA-256 {weights.sha256[:12]}){data}{accuracy}.",)


def drifted(timing: Timing) -> bool:
    """Return True if the latency changed while it was sampled."""
    return drifts([burst.median for burst in timing.bursts])


def _peak_notes(timings: Sequence[Timing], run: Run) -> list[str]:
    peaks = dict.fromkeys((t.target.device, peak) for t in timings if (peak := peak_of(t, run)))
    limit = (
        f"Limited by compute or memory: the part reaches {LIMITED:.0%} of that peak. Each tensor counts as "
        "moved once."
    )
    int8 = any(t.target.dtype == "int8" for t in timings)
    return [
        *(_peak_note(peak, device) for device, peak in peaks),
        *([limit] if peaks else []),
        *(["The peak of int8 is not known, so there is no % of it."] if int8 else []),
    ]


def _peak_note(peak: PeakRates, device: str) -> str:
    where = f"{peak.name}@{device}" if device else peak.name
    return (
        f"Peak of {where} at {peak.dtype}, {threads_of(peak.threads)}: {peak.macs_per_s / 1e9:,.1f} GMAC/s "
        f"in the best matrix product, {peak.bytes_per_s / 1e9:,.1f} GB/s in the best copy (1 to 64 MiB)."
    )


def _identical_notes(grid: Grid) -> list[str]:
    copies = [f"{part} is {grid.same[part]}" for part in grid.parts if grid.same[part] != part]
    return [f"Identical blocks are measured once: {', '.join(copies)}."] if copies else []


def _chip_notes(targets: Iterable[Target], run: Run) -> list[str]:
    runtimes = {t.place: run.hosts[t.device].runtimes.get(t.backend) for t in targets}
    return [
        f"{name} runs on {runtime.chip}."
        for name, runtime in runtimes.items()
        if runtime and runtime.chip not in {"", "cpu"}
    ]


def _noise_notes(timings: Sequence[Timing], names: Mapping[Target, str]) -> list[str]:
    measured = [t for t in timings if t.bursts and t.seconds is not None]
    if not measured:
        return []
    noisy = sum(t.noisy for t in measured)
    one = len(measured) == 1
    notes = [f"{noisy} of {len(measured)} time{'s' * (not one)} {'is' if one else _is(noisy)} noisy"]
    if excluded := sum(t.excluded for t in measured):
        bursts = sum(len(t.bursts) for t in measured)
        notes.append(f"{excluded:,} of {bursts:,} bursts {_is(excluded)} excluded, slowed by other load")
    if outliers := sum(t.outliers for t in measured):
        calls = sum(burst.calls for t in measured for burst in t.kept)
        notes.append(
            f"{outliers:,} of {calls:,} calls {'is an outlier' if outliers == 1 else 'are outliers'}"
        )
    if drifting := [t for t in measured if drifted(t)]:
        notes.append(f"the latency drifted while sampling {_by_target(drifting, names)}")
    if unconverged := sum(t.stopped == "budget" for t in measured):
        notes.append(f"{unconverged} did not converge to an interval of ±2% within the time budget")
    if interrupted := sum(t.stopped in ("interrupted", "") for t in measured):
        notes.append(f"{interrupted} {'was' if interrupted == 1 else 'were'} interrupted")
    loads = [(t, t.cpu_per_wall) for t in measured if t.cpu_per_wall]
    if above := [t for t, load in loads if load > t.target.threads + _THREADS_OFF]:
        notes.append(f"more CPU cores were busy than threads set: {_by_target(above, names, load=True)}")
    if below := [t for t, load in loads if load < 1 + _THREADS_OFF and t.target.threads > 1]:
        notes.append(f"one CPU core was busy although more threads were set: {_by_target(below, names)}")
    return [f"{'; '.join(notes)}."]


def _reported_notes(timings: Sequence[Timing], names: Mapping[Target, str]) -> list[str]:
    """Say which times another tool reported without samples."""
    reported = [t for t in timings if t.without_samples]
    if not reported:
        return []
    tools = join_words([*dict.fromkeys(each.tool for t in reported for each in t.reported)])
    return [
        f"{tools} reported only statistics for {_by_target(reported, names)}: the median, or else the mean, "
        "of a call and its range. Their noise is not known, so they are not compared."
    ]


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _by_target(timings: Sequence[Timing], names: Mapping[Target, str], *, load: bool = False) -> str:
    """List parts: "stem and 1 on cpu and 15 parts on mnn"; load: with the number of busy cores each."""
    parts: dict[str, list[str]] = {}
    for t in timings:
        parts.setdefault(names[t.target], []).append(f"{t.part} ({t.cpu_per_wall:.2f})" if load else t.part)
    return join_words(
        [
            f"{join_words(each) if len(each) <= _MOST_NAMED else f'{len(each)} parts'} on {name}"
            for name, each in parts.items()
        ]
    )


def failures(timings: Iterable[Timing], names: Mapping[Target, str]) -> list[str]:
    """Return a sentence per reason for which parts have no valid time."""
    parts: dict[tuple[str, Target], list[str]] = {}
    for t in timings:
        if t.status != "ok":
            parts.setdefault((f"{t.status}: {t.reason}", t.target), []).append(t.part)
        elif not t.bursts and not t.reported:
            known = {"interrupted": "interrupted", "checked": t.reason}
            why = known.get(t.stopped, "no burst was taken")
            parts.setdefault((f"not timed: {why}", t.target), []).append(t.part)
    targets: dict[tuple[str, str], list[str]] = {}
    for (reason, target), each in parts.items():
        targets.setdefault((reason, ", ".join(each)), []).append(names[target])
    return [f"{join_words(where)} {reason} (parts: {each})." for (reason, each), where in targets.items()]
