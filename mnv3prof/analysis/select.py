"""Selection of a run's timings."""

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from ..graph.errors import InputError, any_of
from ..graph.parts import NET, identical_blocks, part_layers
from ..record.accuracy import Accuracy
from ..record.run import Run
from ..record.target import Target, named_field
from ..record.timing import Operator, Timing


def select(
    run: Run,
    source: str,
    allowed: Mapping[str, Collection[object]],
    parts: Sequence[str] | None = None,
    named: Sequence[str] = (),
) -> Run:
    """Return the run with only some of its timings, operator times and accuracies.

    allowed: values by field of a target; an empty collection allows all. parts: of the main network; variants
    keep those that they have. named: those of them that must have a timing. Raises InputError about `source`
    if one has none, or if nothing is left.
    """
    wanted = {name: values for name, values in allowed.items() if values}

    def on_target(target: Target) -> bool:
        return all(getattr(target, name) in values for name, values in wanted.items())

    kept = [timing for timing in run.timings if on_target(timing.target)]
    for name, values in wanted.items():
        known = {getattr(target, name) for target in run.targets}
        if missing := [value for value in values if value not in known]:
            what = "backend" if name == "place" else name
            asked = f"{what} {', '.join(map(str, missing))}"
            _refuse(source, asked, [named_field(target, name) for target in run.targets])
    if not kept:
        _refuse(source, "this combination", [f"{t.place} ({t.settings})" for t in run.targets])
    measured = None if parts is None else _measured(run, parts)
    there = {(timing.variant, timing.part) for timing in kept}
    if missing := [part for part in named if there.isdisjoint(_measured(run, [part]))]:
        _refuse(source, ", ".join(missing), _parts_with_times(run, kept))
    timings = tuple(t for t in kept if measured is None or (t.variant, t.part) in measured)
    if not timings:
        _refuse(source, ", ".join(parts or ()), _parts_with_times(run, kept))

    def is_kept(operator: Operator) -> bool:
        place = operator.variant, operator.part
        return on_target(operator.target) and (measured is None or place in measured)

    accuracies = tuple(a for a in run.accuracies if any(_of_network(a, timing) for timing in timings))
    operators = tuple(filter(is_kept, run.operators))
    return replace(run, timings=timings, operators=operators, accuracies=accuracies)


def _of_network(accuracy: Accuracy, timing: Timing) -> bool:
    return (timing.variant, timing.part, timing.target) == (accuracy.variant, NET, accuracy.target)


def _refuse(source: str, asked: str, known: Sequence[str]) -> None:
    expected = any_of(dict.fromkeys(known)) if known else "a run with timings"
    raise InputError(f"{source}: has no timing of {asked}; expected {expected}")


def _parts_with_times(run: Run, timings: Sequence[Timing]) -> list[str]:
    """Return the parts of the timings, with the blocks that are identical to them."""
    timed = [timing.part for timing in timings]
    same = identical_blocks(run.subject.graph)
    return [*(block for block, first in same.items() if first in timed), *timed]


def _measured(run: Run, parts: Sequence[str]) -> set[tuple[str, str]]:
    """Return variant and part of the timings of `parts`, which are those of the first identical block.

    A module that is a whole block has the block's timing, unless it was timed by its own path.
    """
    timed = {(timing.variant, timing.part) for timing in run.timings}
    found = set()
    for variant, subject in run.subjects.items():
        same = identical_blocks(subject.graph)
        blocks = {block.layers: block.name for block in subject.graph.blocks}
        for part in parts:
            layers = part_layers(subject.graph, part)
            name = part if (variant, part) in timed else blocks.get(layers, part)
            found |= {(variant, same.get(name, name))} if layers else set()
    return found
