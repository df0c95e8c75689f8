"""Files of one run of a tool, seen as one: its text, its result file, its samples."""

from collections.abc import Sequence
from statistics import fmean
from typing import Final

import msgspec
from msgspec.structs import replace

from ..record.timing import Reported
from .found import Found

_SAME: Final = 1e-3
"""Means that differ by less are of the same run: tools print six digits."""
_LEAST_SAMPLES: Final = 3
"""Two runs can have the same times of fewer calls by chance."""


def merged(runs: Sequence[Found]) -> list[Found]:
    """Return the runs of one part on one target, those of several files as one.

    Times that were taken with a profiler are left out where there are others.
    """
    found: list[Found] = []
    plain = [run for run in runs if run.samples or (run.reported and not run.profiled)]
    for run in plain or runs:
        place = next((n for n, known in enumerate(found) if is_same(known, run)), None)
        if place is None:
            found.append(run)
        else:
            found[place] = _both(found[place], run)
    return found


def identity(run: Found) -> bytes:
    """Return what is equal for one run in two files: a copy of a file, or one to which a tool appended."""
    return msgspec.json.encode(run.samples if len(run.samples) >= _LEAST_SAMPLES else replace(run, note=""))


def is_same(one: Found, other: Found) -> bool:
    """Return True if two files may be of the same run: equal means of as many calls, from other fields."""
    if one.backend != other.backend or _fields(one) == _fields(other):
        return False
    calls = {count for each in (one, other) if (count := _calls(each)) is not None}
    means = [_mean(each) for each in (one, other)]
    return len(calls) < 2 and abs(means[0] - means[1]) <= _SAME * max(means)


def _fields(run: Found) -> tuple[bool, ...]:
    """Return what tells a text from a result file."""
    return bool(run.samples), bool(run.threads), bool(run.label), run.load_s is None


def _calls(run: Found) -> int | None:
    return len(run.samples) or (run.reported.calls if run.reported else None)


def _mean(run: Found) -> float:
    if run.samples:
        return fmean(run.samples)
    return (run.reported.mean_s or run.reported.seconds) if run.reported else 0.0


def _both(one: Found, other: Found) -> Found:
    told = _told(one.reported, other.reported)
    return replace(
        one,
        samples=one.samples or other.samples,
        reported=None if one.samples or other.samples else told,
        load_s=other.load_s if one.load_s is None else one.load_s,
        first_s=other.first_s if one.first_s is None else one.first_s,
    )


def _told(one: Reported | None, other: Reported | None) -> Reported | None:
    """Return the statistics of both, where one of them lacks some."""
    if one is None or other is None:
        return one or other
    return replace(
        one,
        calls=one.calls if one.calls is not None else other.calls,
        min_s=one.min_s if one.min_s is not None else other.min_s,
        max_s=one.max_s if one.max_s is not None else other.max_s,
        sd_s=one.sd_s if one.sd_s is not None else other.sd_s,
        percentiles={**other.percentiles, **one.percentiles},
    )
