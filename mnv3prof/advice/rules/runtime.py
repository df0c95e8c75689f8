"""Another runtime that is faster at the same settings."""

from collections.abc import Iterator, Sequence

from ...analysis.view import EAGER, View
from ...graph.parts import NET
from ...record.target import Target
from ...render.numbers import milliseconds
from ...render.sheet import join_words
from ..advice import Advice
from ..command import command
from ..saved import of_latency


def advise(view: View) -> Iterator[Advice]:
    """Advise the fastest runtime at the settings that most targets have, if its lead is clear."""
    new, old = _ends(view)
    if new is None or old is None:
        return
    change = view.change(NET, old, new)
    if change.verdict != "faster" or change.ratio is None:
        return
    level = [each for each in _alike(view, new) if view.change(NET, each, new).verdict != "faster"]
    others = [view.label_of(each) for each in level if each not in (new, old)]
    also = f" {join_words(others)} may be as fast." if others else ""
    times = [view.per_image(NET, each) or 0.0 for each in (new, old)]
    first, second = view.label_of(new), view.label_of(old)
    yield Advice(
        f"Run it on {first} instead of {second}",
        of_latency(change),
        1 - change.ratio,
        f"{milliseconds(times[0])} on {first}, {milliseconds(times[1])} on {second}: {change}.{also}",
        command(view, "latency", "--on", f"{new.place},{old.place}", "--parts", "net", *settings(new)),
    )


def settings(target: Target) -> list[str]:
    """Return the options for the settings of a target that are not the usual ones."""
    dtype = ["--dtype", target.dtype] if target.dtype != "fp32" else []
    batch = ["--batch", str(target.batch)] if target.batch != 1 else []
    return [*dtype, *batch, *(["--threads", str(target.threads)] if target.threads != 1 else [])]


def _ends(view: View) -> tuple[Target | None, Target | None]:
    """Return the fastest target, and PyTorch eager at the same settings, or else the next."""
    groups = [group for target, _ in view.ranking() if len(group := _alike(view, target)) > 1]
    if not groups:
        return None, None
    group = max(groups, key=len)
    eager = next((target for target in group if target.backend == EAGER), None)
    return group[0], eager or group[1]


def _alike(view: View, target: Target) -> Sequence[Target]:
    """Return the targets with the settings and the device of one, the fastest first."""
    fields = ("device", "dtype", "batch", "threads")
    return [t for t, _ in view.ranking() if all(getattr(t, f) == getattr(target, f) for f in fields)]
