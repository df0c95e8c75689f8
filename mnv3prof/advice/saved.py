"""Shares that are saved, as text."""

from ..analysis.compare import Change


def of_latency(change: Change) -> str:
    """Write what a change saves: "57% of latency (53 to 60%)"."""
    assert change.ratio is not None and change.low is not None and change.high is not None
    most, least = _percent(1 - change.low), _percent(1 - change.high)
    of = "latency" if change.clock == "wall" else f"{change.clock} time"
    return f"{_percent(1 - change.ratio)}% of {of} ({least} to {most}%)"


def exactly(share: float, of: str) -> str:
    """Write a share that is computed: "35% of parameters"."""
    return f"{_percent(share)}% of {of}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g}" if share < 0.1 else f"{100 * share:.0f}"
