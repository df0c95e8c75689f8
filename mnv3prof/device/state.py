"""What the system says of a machine's condition. A file that is absent or denied leaves its entry out."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CELSIUS = "celsius"
"""Key: the temperature of the hottest zone."""
HZ = "clock_hz"
"""Key: the mean clock rate of the cores that this process may use."""
LOAD = "load_1min"
"""Key: mean number of processes that wanted a CPU, over the last minute."""
THROTTLED = "throttled"
"""Key: 1 where the firmware limits the clock now, by heat or by voltage (Raspberry Pi)."""
UNDER_VOLTAGE = "under_voltage"
"""Key: 1 where the supply's voltage is too low now (Raspberry Pi)."""
BATTERY = "on_battery"
"""Key: 1 where a battery is being discharged."""

_CPU = "/sys/devices/system/cpu/cpu%d/"
_ZONES = ("/sys/class/thermal", "thermal_zone*/temp")
_SUPPLIES = ("/sys/class/power_supply", "*/status")
_FIRMWARE = "/sys/devices/platform/soc/soc:firmware/get_throttled"
_LIMITS = 0b1110
"""Bits of get_throttled: clock capped, throttled, soft temperature limit."""


def state() -> dict[str, float]:
    """Return the entries that are known. Takes less than 2 ms."""
    found = {
        CELSIUS: max((zone / 1000 for zone in _numbers(_found(*_ZONES))), default=None),
        HZ: _mean([1000.0 * khz for khz in _numbers(_of_cores("cpufreq/scaling_cur_freq"))]),
        LOAD: _load(),
        BATTERY: _battery(),
    }
    flags = _text(_FIRMWARE)
    with suppress(ValueError):
        bits = int(flags, 16)
        found[THROTTLED], found[UNDER_VOLTAGE] = float(bool(bits & _LIMITS)), float(bits & 1)
    return {key: round(value, 3) for key, value in found.items() if value is not None}


def capacities() -> tuple[int, ...]:
    """Return the relative speed of each core, () where the system does not say."""
    return tuple(int(each) for each in _numbers(_all_cores("cpu_capacity")))


def max_hz() -> tuple[float, ...]:
    """Return the highest clock rate of each core, () where the system does not say."""
    return tuple(1000.0 * each for each in _numbers(_all_cores("cpufreq/cpuinfo_max_freq")))


def governors() -> tuple[str, ...]:
    """Return what sets the clock rates of the cores that this process may use."""
    return tuple(dict.fromkeys(filter(None, map(_text, _of_cores("cpufreq/scaling_governor")))))


def affinity() -> tuple[int, ...]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def fastest_cores(threads: int) -> tuple[int, ...]:
    """Return the `threads` fastest cores that this process may use, () where all are alike.

    Source: the kernel's cpu_capacity, else the highest clock rate of each core.
    """
    own = affinity()
    speeds = capacities() or max_hz()
    if len(speeds) <= max(own) or len({speeds[core] for core in own}) < 2:
        return ()
    return tuple(sorted(own, key=lambda core: (-speeds[core], core))[:threads])


def _of_cores(name: str) -> list[str]:
    return [_CPU % core + name for core in affinity()]


def _all_cores(name: str) -> list[str]:
    return [_CPU % core + name for core in range(os.cpu_count() or 1)]


def _found(folder: str, pattern: str) -> list[str]:
    try:
        return [str(path) for path in Path(folder).glob(pattern)]
    except OSError:
        return []


def _numbers(paths: list[str]) -> Iterator[float]:
    for path in paths:
        with suppress(ValueError):
            yield float(_text(path))


def _text(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(4096).decode("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def _battery() -> float | None:
    supplies = [_text(path) for path in _found(*_SUPPLIES)]
    return float("Discharging" in supplies) if supplies else None
