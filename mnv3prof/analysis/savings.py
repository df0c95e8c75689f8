"""Savings of depthwise-separable over standard convolution, in MACs and latency."""

from msgspec.structs import replace

from ..mobilenetv3.variants import vary
from ..record.run import Subject
from ..record.target import Target
from .compare import Change, compare
from .grid import grid_of, part_costs, timings_of
from .view import View


def standard_ratios(view: View) -> dict[str, float]:
    """Return, by part that both have, the MACs with standard convolutions divided by the view's.

    {} for a network that is no layer table.
    """
    if view.run.subject.listed is None:
        return {}
    costs = part_costs(standard(view).graph, view.dtype)
    return {
        part: costs[part].macs / own.macs for part, own in view.costs.items() if own.macs and part in costs
    }


def standard(view: View) -> Subject:
    """Return the view's network with standard instead of separable convolutions."""
    return view.run.subject.varied(vary(view.run.subject.table, standard_conv=True))


def measured_changes(view: View, variant: str) -> dict[Target, dict[str, Change]]:
    """Return the measured changes from the view to its variant, by target and part."""
    if variant not in view.run.variants:
        return {}
    graph = view.run.variants[variant].graph
    other = grid_of(graph, timings_of(view.run, variant))
    changes: dict[Target, dict[str, Change]] = {}
    for target in view.grid.targets:
        for part in view.grid.parts:
            base = view.timing(part, target)
            timing = other.at(part, target) if part in other.parts else None
            if base and timing and timing.seconds:
                changes.setdefault(target, {})[part] = compare(base, timing, view.run, view.run)
    return changes


def standard_variant(view: View) -> str:
    """Return the name of the run's variant with standard convolutions, or ""."""
    ours = view.run.subject
    wanted = replace(standard(view).table, name="any")
    for name, subject in view.run.variants.items():
        if replace(subject.table, name="any") == wanted and subject.input == ours.input:
            return name
    return ""
