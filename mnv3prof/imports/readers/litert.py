"""The text of benchmark_model, of LiteRT and of TensorFlow Lite: statistics in µs, also from a logcat."""

import re
from pathlib import PurePosixPath
from typing import Final, NoReturn

from ...graph.errors import InputError
from ..found import MS, US, Found, Place, few, last_match, name_in, reported
from .litert_operators import operators_in

WHAT: Final = "benchmark_model (text)"
TOOL: Final = "benchmark_model"

_TIMINGS: Final = re.compile(
    r"Inference timings in us: Init: *(?P<load>[^,\s]+), *First inference: *(?P<first>[^,\s]+), *"
    r"Warmup \(avg\): *[^,\s]+, *Inference \(avg\): *(?P<mean>\S+)"
    # Of TensorFlow up to 2.0.
    r"|Average inference timings in us: Warmup: *[^,\s]+, *Init: *(?P<old_load>[^,\s]+), *"
    r"(?:Inference|no stats): *(?P<old_mean>[^,\s]+)"
)
_FAILED: Final = "Benchmarking failed."
_OLDEST: Final = "Average inference timings in us:"
_ROUNDED: Final = re.compile(r"\bInference \(avg\): *[\d.]+ ms")
"""LiteRT's newer tool, which is called the same."""
_COUNT: Final = re.compile(
    r"(?<!microseconds\): )(?<!bytes\): )\bcount=(?P<calls>\d+) (?P<fields>[^\n]{0,400})"
)
_FIELD: Final = re.compile(r"(\w+)=(\S+)")
_SETTING: Final = re.compile(
    r"(?:Num threads|#threads used for CPU inference): \[(?P<threads>\d{1,6})\]"
    r"|Input shapes: \[(?P<shape>\d{1,6}(?:,\d{1,6}){0,7})[:\]]"
    r"|\bGraph: \[(?P<graph>[^\]\n]{1,400})\]"
)
_DELEGATE: Final = re.compile(
    r"\bExplicitly applied (?P<applied>[A-Za-z]{1,20}) delegate"
    r"|\bUse (?P<used>gpu|nnapi|hexagon|coreml|xnnpack|npu): \[(?P<is>[01])\]"
    r"|\b(?P<external>External) delegate path *: \[[^\]\s]",
    re.IGNORECASE,
)
_OWN: Final = "XNNPACK"
"""The delegate that is on by default: it runs on the CPU."""
_NAMES: Final = {"min": "min", "max": "max", "std": "sd", "p5": "5", "median": "50", "p95": "95"}
_SAME: Final = 1e-3


def recognizes(_: bytes, text: str) -> bool:
    """Return True if the text has times as this tool prints them."""
    return (
        "nference timings in us:" in text
        or _FAILED in text
        or any(pattern.search(text) for pattern in (_COUNT, _ROUNDED))
    )


def read(_: bytes, place: Place) -> list[Found]:
    """Return a run for each line of timings; a logcat may hold several."""
    ends = list(_TIMINGS.finditer(place.text))
    if not ends:
        _refuse(place)
    found = []
    start = 0
    for number, end in enumerate(ends):
        following = ends[number + 1].start() if number + 1 < len(ends) else len(place.text)
        found.append(_run(place, start, end, following))
        start = end.end()
    return few(found, place.where)


def _refuse(place: Place) -> NoReturn:
    """Raise InputError for a text without timings."""
    if _FAILED in place.text:
        raise InputError(
            f"{place.where}: is of a run that failed ({_FAILED}); expected one that printed its times"
        )
    if _ROUNDED.search(place.text):
        raise InputError(
            f"{place.where}: has rounded times in ms, of LiteRT's newer benchmark_model; expected the file "
            "that it writes with --result_file_path"
        )
    if _OLDEST in place.text:
        raise InputError(
            f"{place.where}: is of a benchmark_model that is too old, or of TensorFlow Mobile; expected the "
            "text of TensorFlow Lite 1.13 or newer"
        )
    raise InputError(f"{place.where}: has no line 'Inference timings in us'; expected the whole text")


def _run(place: Place, start: int, end: "re.Match[str]", following: int) -> Found:
    """Return the run whose line of timings is `end`; its operators come after it, in old builds before it."""
    at = end.start()
    settings = {
        name: value
        for setting in _SETTING.finditer(place.text, start, at)
        for name, value in setting.groupdict().items()
        if value is not None
    }
    times = {"mean": place.time(end["mean"] or end["old_mean"], US, at)}
    calls, more, note = _statistics(place, start, at, times["mean"])
    threads = int(settings.get("threads", 0)) or None
    shape = tuple(map(int, settings["shape"].split(","))) if "shape" in settings else ()
    return Found(
        backend="litert",
        tool=TOOL,
        label=name_in(PurePosixPath(settings.get("graph", "")).name),
        threads=threads,
        batch=shape[0] or None if shape else None,
        shape=shape,
        accelerator=_accelerator(place, start, at),
        load_s=place.time_or_zero(end["load"] or end["old_load"], US, at),
        first_s=place.time_or_zero(end["first"], US, at) if end["first"] else None,
        reported=reported(place.line(at), TOOL, calls, {**times, **more}),
        operators=operators_in(place, *((start, at) if end["old_mean"] else (end.end(), following))),
        note=note,
    )


def _accelerator(place: Place, start: int, end: int) -> str:
    """Return the delegates that a run says it used, e.g. "GPU delegate"; "" for the tool's default."""
    said = list(_DELEGATE.finditer(place.text, start, end))
    used = {each["used"].upper(): each["is"] == "1" for each in said if each["used"]}
    named = [*(each["applied"].upper() for each in said if each["applied"])]
    named = named or [name for name, is_used in used.items() if is_used]
    named += ["EXTERNAL" for each in said if each["external"]]
    others = [name for name in dict.fromkeys(named) if name != _OWN]
    if others:
        return f"{' and '.join(others)} delegate"
    return f"CPU without {_OWN}" if used.get(_OWN) is False and _OWN not in named else ""


def _statistics(place: Place, start: int, end: int, mean: float) -> tuple[int | None, dict[str, float], str]:
    """Return the calls and times of the last count= line before the timings; the first is the warm-up's.

    A line with another mean is of something else, and is left out, with a note.
    """
    last = last_match(_COUNT, place.text, start, end)
    if last is None:
        return None, {}, ""
    at, fields = last.start(), dict(_FIELD.findall(last["fields"]))
    same = fields.get("curr", "")
    if "avg" not in fields:  # equal samples
        number = same.partition("(")[0]  # curr=377(all same)
        times = dict.fromkeys(("min", "max", "50"), place.time_or_zero(number, US, at))
        own = times["50"]
    else:
        times = {_NAMES[n]: place.time_or_zero(v, US, at) for n, v in fields.items() if n in _NAMES}
        own = place.time(fields["avg"], US, at)
    if abs(own - mean) > _SAME * mean:
        means = f"a mean of {own / MS:.6g} ms, and the timings of {mean / MS:.6g} ms"
        return None, {}, f"{place.line(at)}: the count= line has {means}, so that line was not read."
    return place.count(last["calls"], "calls", at), times, ""
