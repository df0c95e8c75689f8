"""The result file of benchmark_model: BenchmarkResult, a message of protocol buffers, with times in ms."""

import struct
from typing import Final

from ...graph.errors import InputError
from ..found import MS, Found, Place, name_in, reported, seconds, seconds_or_zero

WHAT: Final = "benchmark_model (result file)"
TOOL: Final = "benchmark_model"

_NAME, _LATENCY, _MEMORY, _MISC = 1, 2, 3, 4
_MEAN, _INIT, _FIRST = 1, 8, 9
_TIMES: Final = {2: "min", 3: "max", 4: "sd", 5: "50", 6: "5", 7: "95"}
"""Fields of the latency message besides the mean."""
_RUNS: Final = 2
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_MOST_BYTES: Final = 100_000
_MOST_VARINT: Final = 10

_Value = int | float | bytes


class _DamagedError(ValueError):
    """The bytes are no message."""


def recognizes(data: bytes, _: str) -> bool:
    """Return True if all of the file is a message with these fields."""
    if len(data) > _MOST_BYTES:
        return False
    try:
        message = _message(data)
        kinds = {number: type(value) for number, value in message.items()}
        latency = _message(_part(message, _LATENCY))
    except _DamagedError:
        return False
    known = set(kinds) <= {_NAME, _LATENCY, _MEMORY, _MISC} and set(kinds.values()) == {bytes}
    return known and bool(latency) and all(isinstance(value, float) for value in latency.values())


def read(data: bytes, place: Place) -> list[Found]:
    """Return the only run."""
    where = place.where
    try:
        message = _message(data)
        latency, misc = _message(_part(message, _LATENCY)), _message(_part(message, _MISC))
        name = _part(message, _NAME).decode("utf-8", "replace")
    except _DamagedError:
        raise InputError(
            f"{where}: is damaged or cut off; expected a result file of benchmark_model"
        ) from None
    known = {number: value for number, value in latency.items() if isinstance(value, float)}
    if _MEAN not in known:
        return []
    times = {"mean": seconds(known[_MEAN], MS, where)}
    times |= {name: seconds_or_zero(known[n], MS, where) for n, name in _TIMES.items() if n in known}
    load, first = (seconds_or_zero(known[n], MS, where) if n in known else None for n in (_INIT, _FIRST))
    runs = misc.get(_RUNS)
    calls = runs if isinstance(runs, int) and 0 < runs < 2**40 else None
    return [
        Found(
            backend="litert",
            tool=TOOL,
            label=name_in(name),
            load_s=load,
            first_s=first,
            reported=reported(where, TOOL, calls, times),
        )
    ]


def _part(message: dict[int, _Value], number: int) -> bytes:
    value = message.get(number, b"")
    if not isinstance(value, bytes):
        raise _DamagedError
    return value


def _message(data: bytes) -> dict[int, _Value]:
    """Return the fields of a message by number; of a repeated one the last. Raises _DamagedError."""
    fields: dict[int, _Value] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise _DamagedError
        if kind == _VARINT:
            fields[number], at = _varint(data, at)
            continue
        if kind == _LENGTH:
            size, at = _varint(data, at)
        else:
            size = {_FOUR: 4, _EIGHT: 8}.get(kind, len(data) + 1)
        if size > len(data) - at:
            raise _DamagedError
        value = data[at : at + size]
        fields[number] = (
            value if kind == _LENGTH else struct.unpack("<f" if kind == _FOUR else "<d", value)[0]
        )
        at += size
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return an integer and the position after it. Raises _DamagedError."""
    value = 0
    for n in range(_MOST_VARINT):
        if at + n >= len(data):
            raise _DamagedError
        value |= (data[at + n] & 0x7F) << (7 * n)
        if data[at + n] < 0x80:
            return value, at + n + 1
    raise _DamagedError
