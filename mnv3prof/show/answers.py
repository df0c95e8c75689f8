"""Answers of `latency`: the slowest blocks, the least efficient one and why, what a dtype changes."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from ..analysis.compare import VERDICTS, compare
from ..analysis.grid import Rates, grid_of, part_costs, reference_target, timings_of
from ..analysis.operators import changes_layout
from ..analysis.view import View, views
from ..graph.errors import one_line
from ..graph.parts import NET, part_layers
from ..record.run import Run
from ..record.target import Target
from ..record.timing import Operator
from ..render.sheet import Column, Sheet
from .accuracy import accuracy_sentence, accuracy_sheets
from .comparison import label
from .costs import at_least
from .order import UNSORTED, Order
from .sentences import NOTABLE_FACTOR, capitalized, headline, least_efficient, shares, title_of
from .times import time_ms

_SHOWN: Final = 5
"""Number of slowest blocks."""


def answer_sheets(run: Run, order: Order = UNSORTED) -> tuple[Sheet, ...]:
    """Return the answers of a run with timings: what is slow and why, what another dtype changes, and how
    accurate each target is.
    """
    if not run.timings:
        return ()
    (view,) = views([run])
    return (*_slowest_sheets(view, order), *_dtype_sheets(view), *accuracy_sheets(run))


def variant_sheets(run: Run) -> tuple[Sheet, ...]:
    """Return how the other networks of a run differ from the first: MACs, parameters and latency; none if
    there are no others.
    """
    if not run.variants or not run.timings:
        return ()
    (view,) = views([run])
    notes = tuple(f"{name}: {said}." for name in run.variants if (said := _differs(view, name)))
    return (Sheet(f"Compared with {label(view.graph)}", (), (), notes=notes),) if notes else ()


def _differs(view: View, name: str) -> str:
    """Say how a variant differs from the network."""
    graph = view.run.variants[name].graph
    old, new = view.costs[NET], part_costs(graph)[NET]
    pairs = [("parameters", old.params, new.params)]
    if not any(at_least(each, "macs") for each in (old, new)):
        pairs.insert(0, ("MACs", old.macs, new.macs))
    told = [f"×{after / before:.3f} {what}" for what, before, after in pairs if before]
    grid = grid_of(graph, timings_of(view.run, name))
    timings = [(t, view.timing(NET, t), grid.cells.get((NET, t))) for t in view.grid.targets]
    changes = [(t, compare(old, new, view.run, view.run)) for t, old, new in timings if old and new]
    told += [
        f"latency on {view.label_of(target)} {change.described}"
        f"{f' ({one_line(change.reason)})' if change.ratio is None and change.reason else ''}"
        for target, change in changes
    ]
    return "; ".join(told)


def _slowest_sheets(view: View, order: Order) -> Iterator[Sheet]:
    """Yield the blocks with the largest shares of latency on the fastest target that ran all of them."""
    target = reference_target(view.grid)
    if target is None or len(view.graph.blocks) < 2 or not view.time_shares(target):
        return
    times, macs = view.time_shares(target), view.mac_shares()
    columns = (
        Column("block", "Slowest", "text"),
        Column("share", "Share of latency", "share"),
        Column("ms", f"{view.label_of(target)}, ms", "figure", importance=1),
        Column("mac_share", "of MACs", "percent"),
        Column("of_peak", "% of peak", "percent", importance=2),
        Column("limited_by", "Limited by", "text", importance=3),
    )
    slowest, _ = Order("time", order.top or _SHOWN).of([*times], times.get, "blocks")
    rows = []
    for block in slowest:
        timing, rate = view.timing(block, target), view.rates(block, target) or Rates()
        rows.append((block, times[block], time_ms(timing), macs[block], rate.of_peak, rate.limited_by))
    notes = (shares(view, target), *why(view, target))
    yield Sheet(headline(view), columns, tuple(rows), notes=notes)


def why(view: View, target: Target) -> tuple[str, ...]:
    """Return why the least efficient block is slow: its limit, its operators, and changes of the layout."""
    times = {b: share for b, share in view.time_shares(target).items() if view.is_clear(b, target)}
    block, factor = least_efficient(view.mac_shares(), times)
    if factor < NOTABLE_FACTOR:
        return ()
    reasons = [*_limit(view, block, target), *_operators(view, block, target)]
    name = capitalized(title_of(view, block))
    return (f"{name} is inefficient: {'; '.join(reasons)}.",) if reasons else ()


def _limit(view: View, block: str, target: Target) -> Iterator[str]:
    """Say which of the machine's peaks limits the block."""
    rate = view.rates(block, target)
    if rate is None or rate.of_peak is None or rate.of_bandwidth is None:
        return
    reach = f"{rate.of_peak:.0%} of peak compute and {rate.of_bandwidth:.0%} of peak bandwidth"
    limits = {"compute": "compute limits it", "memory": "memory limits it", "neither": "neither limits it"}
    yield f"it reaches {reach}, so {limits[rate.limited_by or 'neither']}"


def _operators(view: View, block: str, target: Target) -> Iterator[str]:
    """Say which operators take the block's time; without a profile, which layers have its MACs."""
    part = view.grid.same[block]
    own = _profiled(view, part, target)
    names = {layer.name for layer in part_layers(view.graph, block)}
    operators = own or [o for o in _profiled(view, NET, target) if o.layer in names]
    whole = sum(o.seconds for o in operators)
    if not whole:
        yield from _layers(view, block, target)
        return
    slowest = max(operators, key=lambda o: o.seconds)
    name = f"{slowest.kind} {slowest.layer}".strip()
    yield f"its slowest operator is {name}, {slowest.seconds / whole:.0%} of its operators' time"
    if own:
        layout = sum(o.seconds for o in own if changes_layout(o))
        yield (
            f"changes of the layout take {layout / whole:.0%}" if layout else "no operator changes the layout"
        )


def _profiled(view: View, part: str, target: Target) -> list[Operator]:
    """Return the operators of a part that a runtime timed."""
    return [o for o in view.run.operators if (o.variant, o.part, o.target) == ("", part, target)]


def _layers(view: View, block: str, target: Target) -> Iterator[str]:
    """Say which of the block's layers multiply, and how often what is moved is used."""
    layers = part_layers(view.graph, block)
    whole = sum(layer.macs for layer in layers)
    depthwise = sum(layer.macs for layer in layers if "depthwise" in (layer.op, layer.role))
    if depthwise:
        yield f"{depthwise / whole:.0%} of its MACs are depthwise"
    rate = view.rates(block, target)
    if rate and rate.intensity is not None:
        yield f"{rate.intensity:.1f} MACs per byte read or written"
    yield "its operators were not profiled"


def _dtype_sheets(view: View) -> Iterator[Sheet]:
    """Yield, per reduced dtype that was measured beside fp32, its latency ratio and output error by part."""
    targets = view.grid.targets
    for dtype in dict.fromkeys(target.dtype for target in targets if target.dtype != "fp32"):
        pairs = {new: replace(new, dtype="fp32") for new in targets if new.dtype == dtype}
        pairs = {new: old for new, old in pairs.items() if old in targets}
        if pairs:
            yield _dtype_sheet(view, dtype, pairs)


def _dtype_sheet(view: View, dtype: str, pairs: dict[Target, Target]) -> Sheet:
    columns = [Column("part", "Part", "text")]
    for new in pairs:
        name = view.label_of(new)
        columns += [
            Column(f"{name}_change", f"{name}: latency", "text"),
            Column(f"{name}_error", "Output error", "percent"),
        ]
    parts = [part for part in view.grid.parts if view.grid.same[part] == part]
    parts.sort(key=lambda part: part != NET)
    rows = []
    for part in parts:
        cells: list[object] = []
        for new, old in pairs.items():
            timing = view.grid.at(part, new)
            cells += [view.change(part, old, new).described, timing.rms_rel_err if timing else None]
        rows.append((part, *cells))
    notes = [
        note
        for new, old in pairs.items()
        for note in (
            _verdict(view, parts, new, old),
            accuracy_sentence(view.run, new, old, view.label_of(new)),
        )
        if note
    ]
    error = f"Output error: RMS of the difference from {view.run.reference} ÷ RMS of its output."
    title = f"Does {dtype} help? Latency relative to fp32"
    return Sheet(title, tuple(columns), tuple(rows), notes=(*notes, error, VERDICTS), stacked=True)


def _verdict(view: View, parts: Sequence[str], new: Target, old: Target) -> str:
    """Say what a dtype changes on one backend: the network's latency, the blocks', the largest error."""
    changes = {part: view.change(part, old, new) for part in parts}
    told = []
    if (net := changes.get(NET)) is not None:
        told.append(f"whole network {net.described}{f': {net.reason}' if net.ratio is None else ''}")
    blocks = [change.verdict for part, change in changes.items() if view.graph.block(part)]
    comparable = [verdict for verdict in blocks if verdict != "not comparable"]
    if comparable:
        faster, slower = comparable.count("faster"), comparable.count("slower")
        told.append(f"{faster} of {len(comparable)} blocks faster, {slower} slower")
    timings = {part: view.grid.at(part, new) for part in parts if part != NET}
    errors = {part: t.rms_rel_err for part, t in timings.items() if t and t.rms_rel_err is not None}
    if errors:
        worst = max(errors, key=lambda part: errors[part] or 0)
        told.append(f"largest output error {errors[worst]:.1%} in part {worst}")
    return f"{view.label_of(new)}: {'; '.join(told)}."
