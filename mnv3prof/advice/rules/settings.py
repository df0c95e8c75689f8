"""Another dtype, or more threads, with which the network is faster."""

from collections.abc import Iterator

from ...analysis.view import View
from ...graph.parts import NET
from ...record.target import Target, named_field
from ...render.numbers import milliseconds
from ...show.accuracy import accuracy_sentence
from ..advice import Advice
from ..command import command
from ..saved import of_latency
from .runtime import settings


def advise(view: View) -> Iterator[Advice]:
    """Advise the fastest target of another dtype, and of more threads, over the fastest without."""
    ranking = [target for target, _ in view.ranking()]
    fewest = min((target.threads for target in ranking), default=1)
    for field, usual in (("dtype", "fp32"), ("threads", fewest)):
        pairs = [(_first(ranking, new, field, usual), new) for new in ranking if getattr(new, field) != usual]
        for old, new in pairs[:1]:
            if old and (advice := _advice(view, field, old, new)):
                yield advice


def _first(ranking: list[Target], new: Target, field: str, usual: object) -> Target | None:
    """Return the fastest target with the usual value of a field that has the other settings of `new`."""
    same = [name for name in ("device", "dtype", "batch", "threads") if name != field]
    alike = (old for old in ranking if all(getattr(old, name) == getattr(new, name) for name in same))
    return next((old for old in alike if getattr(old, field) == usual), None)


def _advice(view: View, field: str, old: Target, new: Target) -> Advice | None:
    change = view.change(NET, old, new)
    if change.verdict != "faster" or change.ratio is None:
        return None
    value, first, second = named_field(new, field), view.label_of(new), view.label_of(old)
    times = [view.per_image(NET, each) or 0.0 for each in (new, old)]
    evidence = [f"{milliseconds(times[0])} on {first}, {milliseconds(times[1])} on {second}: {change}."]
    if field == "dtype":
        evidence += _price(view, old, new)
    places = ",".join(dict.fromkeys((new.place, old.place)))
    both = settings(new)
    if field == "dtype":
        both[both.index("--dtype") + 1] = f"fp32,{new.dtype}"
    else:
        both[both.index("--threads") + 1] = f"{old.threads},{new.threads}"
    return Advice(
        f"Run it in {value}" if field == "dtype" else f"Run it on {value}",
        of_latency(change),
        1 - change.ratio,
        " ".join(evidence),
        command(view, "latency", "--on", places, "--parts", "net", *both),
    )


def _price(view: View, old: Target, new: Target) -> Iterator[str]:
    """Say how far the output is off, and what that costs in accuracy if it was measured."""
    timing = view.timing(NET, new)
    if timing and timing.rms_rel_err is not None:
        yield f"Its output differs by {timing.rms_rel_err:.1%} (RMS)."
    yield accuracy_sentence(view.run, new, old, view.label_of(new)) or "Its accuracy was not measured."
