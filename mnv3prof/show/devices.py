"""Sheets of `mnv3prof devices`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..device import state
from ..render.sheet import Column, Sheet

_COLUMNS: Final = (
    Column("name", "Device", "text"),
    Column("model", "Model", "text", importance=3),
    Column("cpu", "Processor", "text"),
    Column("cores", "Cores"),
    Column("cpus", "CPUs used", "text", importance=4),
    Column("memory_bytes", "Memory", "bytes", importance=1),
    Column("os", "System", "text", importance=5),
    Column("python", "Python", "text", importance=2),
    Column("state", "State", "text"),
)
_MORE: Final = (
    Column("reason", "Reason", "text"),
    Column("runtimes", "Runtimes", "text"),
    Column("missing", "Not available", "text"),
    Column("check", "Check", "text"),
)
"""Further columns in CSV."""
_RUNTIMES: Final = (
    Column("device", "Device", "text"),
    Column("name", "Runtime", "text"),
    Column("version", "Version", "text"),
)


def devices_sheets(devices: Sequence[Mapping[str, Any]]) -> tuple[Sheet, ...]:
    """Return a row per device, and a row per runtime of those that answer.

    devices: as in the JSON document.
    """
    rows = tuple(_row(device) for device in devices)
    silent = tuple(_sentence(each["reason"]) for each in devices if not each["answers"])
    emulated = [each["name"] for each in devices if each["emulated"]]
    notes = (f"Emulated, so that only outputs are checked: {', '.join(emulated)}.",) if emulated else ()
    first = Sheet("Devices", _COLUMNS, rows, notes=(*silent, *notes))
    answering = [device for device in devices if device["answers"]]
    return (first, _runtimes(answering)) if answering else (first,)


def devices_data(devices: Sequence[Mapping[str, Any]]) -> Sheet:
    """Return a row per device with its reason and runtimes, for CSV."""
    rows = tuple((*_row(device), *_more(device)) for device in devices)
    return Sheet("Devices", (*_COLUMNS, *_MORE), rows)


def _more(device: Mapping[str, Any]) -> tuple[str, ...]:
    runtimes = device.get("runtimes", ())
    texts = (
        [f"{each['name']} {each['version'] or ''}".strip() for each in runtimes if not each["reason"]],
        [each["reason"] for each in runtimes if each["reason"]],
        [f"{each['name']}: {each['check']}" for each in runtimes if each["check"]],
    )
    return device["reason"], *("; ".join(dict.fromkeys(each)) for each in texts)


def _row(device: Mapping[str, Any]) -> tuple[Any, ...]:
    if not device["answers"]:
        return (device["name"], *[None] * (len(_COLUMNS) - 2), device["problem"])
    texts = {**device, "state": _state(device), "cpus": ", ".join(map(str, device["cpus"]))}
    return tuple(texts[column.key] or None for column in _COLUMNS)


def _state(device: Mapping[str, Any]) -> str:
    """Return clock, temperature, load and what limits the device, as far as it says."""
    known: Mapping[str, float] = device["state"]
    parts = [*device["governors"]]
    if state.HZ in known:
        parts.append(f"{known[state.HZ] / 1e9:.2f} GHz")
    if state.CELSIUS in known:
        parts.append(f"{known[state.CELSIUS]:.0f} °C")
    if state.LOAD in known:
        parts.append(f"load {known[state.LOAD]:.1f}")
    named = {state.THROTTLED: "throttled", state.UNDER_VOLTAGE: "under-voltage", state.BATTERY: "on battery"}
    return ", ".join([*parts, *(text for key, text in named.items() if known.get(key))])


def _runtimes(devices: Sequence[Mapping[str, Any]]) -> Sheet:
    found = [(device["name"], runtime) for device in devices for runtime in device["runtimes"]]
    checked = any(runtime["check"] for _, runtime in found)
    columns = (*_RUNTIMES, *([Column("check", "Check", "text")] if checked else []))
    shown = [(name, each) for name, each in found if not each["reason"]]
    rows = tuple(
        (name, each["name"], each["version"], *([each["check"]] if checked else [])) for name, each in shown
    )
    failed = frozenset(n for n, (_, each) in enumerate(shown) if str(each["check"]).startswith("FAIL"))
    notes = tuple(dict.fromkeys(_sentence(each["reason"]) for _, each in found if each["reason"]))
    return Sheet("Runtimes", columns, rows, notes=notes, highlighted=failed)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."
