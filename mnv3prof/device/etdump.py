"""Reading of ExecuTorch's event traces, which its wheel's Inspector opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_OUTER = ("Method::", "Program::", "DELEGATE_CALL", "OPERATOR_CALL")
"""Events that contain other events, which are counted instead."""


def event_times(trace: Path) -> list[tuple[str, list[float]]]:
    """Return (name, seconds of each call) of the events of a trace, in the order of execution."""
    from executorch.devtools import Inspector

    return [
        (event.name, [milliseconds / 1e3 for milliseconds in event.perf_data.raw])
        for block in Inspector(etdump_path=str(trace)).event_blocks
        for event in block.events
        if event.perf_data and event.perf_data.raw
        if block.name == "Execute" or not is_operator(event.name)
    ]


def is_operator(name: str) -> bool:
    """Return True if an event is an operator."""
    return not name.startswith(_OUTER)
