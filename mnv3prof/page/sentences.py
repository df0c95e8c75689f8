"""What there is to see in each picture of the report, in one sentence each, said from its data."""

from collections.abc import Mapping, Sequence
from statistics import median

from ..analysis.savings import measured_ratios, standard_ratios, standard_variant
from ..analysis.side_by_side import compared_times
from ..analysis.view import View
from ..cost.conventions import Reconciliation
from ..cost.memory import Arena, Peaks
from ..mobilenetv3.table import row_names
from ..record.run import NET
from ..record.target import Target
from ..render.numbers import compact, milliseconds
from ..render.sheet import words, written
from ..show.costs import at_least

_NOTABLE_SHARE = 0.03
"""A block below this share of the time stands out to nobody."""
_NOTABLE_GAP = 0.01
"""Nor does one whose share is this near to the others'."""
_NOTABLE_FACTOR = 1.05
"""Nor does one that takes hardly more of the time than of the MACs."""


def headline(view: View) -> str:
    """How much the network costs, and where it runs fastest."""
    cost = view.costs[NET]
    macs = at_least(cost) + compact(cost.macs)
    needs = f"{view.name} needs {macs} MACs and {compact(cost.params)} parameters"
    ranking = view.ranking()
    if not ranking:
        return f"{needs}; its time as a whole was not measured."
    target, seconds = ranking[0]
    how = "runs it fastest here, in" if len(ranking) > 1 else "runs it here in"
    sentence = f"{needs}; {view.called(target)} {how} {time(view, seconds)}{_noisy(view, NET, target)}"
    eager = view.eager(target)
    if eager and eager[0] != target:
        sentence += f", {eager[1] / seconds:.1f} times as fast as {eager_name(view, eager[0], target)}"
    if len(ranking) > 1 and ranking[-1][0] not in (target, eager and eager[0]):
        slow, most = ranking[-1]
        sentence += f"; {view.called(slow)} is slowest, in {time(view, most)}"
    return f"{sentence}."


def time(view: View, seconds: float) -> str:
    """A time per image as it is written: labelled where calls are of several images."""
    several = any(target.batch > 1 for target in view.grid.targets)
    return f"{milliseconds(seconds)}{' an image' if several else ''}"


def eager_name(view: View, eager: Target, other: Target) -> str:
    """PyTorch eager, with its target's name where that differs from the other's in more than the backend."""
    alike = (eager.dtype, eager.batch, eager.threads) == (other.dtype, other.batch, other.threads)
    return "PyTorch eager" if alike else f"PyTorch eager ({view.called(eager)})"


def side_by_side(seen: Sequence[View]) -> str:
    """The last view against the first: MACs, and the time on the first's fastest target; of more than
    two, the fastest.
    """
    first, last = seen[0], seen[-1]
    macs, base = last.costs[NET].macs, first.costs[NET].macs
    times = "as many MACs as" if macs == base else f"{macs / base:.2f} times the MACs of"
    said = f"{last.letter} does {times} {first.letter}"
    rows = compared_times(seen)
    both = [row for row in rows if row.times[0] and row.ratios[-1]]
    if both:
        row = min(both, key=lambda row: row.times[0] or 0.0)
        a, b = row.names[0], row.names[-1]
        where = b if a == b else f"{b} as {first.letter} on {a}"
        said += f", and takes {row.ratios[-1]:.2f} times as long on {where}"
    if len(seen) > 2 and not any(row.reasons for row in rows):
        known = [(time, n, row.names[n]) for row in rows for n, time in enumerate(row.times) if time]
        if known:
            seconds, place, name = min(known)
            view = seen[place]
            said += f"; of all {len(seen)}, {view.letter} is fastest, in {time(view, seconds)} on {name}"
    return f"{said}."


def network(view: View) -> str:
    """Which block is widest in work, and which in parameters."""
    macs, params = _top(view.mac_shares()), _top(view.param_shares())
    where, widest = max(view.graph.placed(), key=lambda at: at[1].widths[1])
    return (
        f"{_starting(view, macs)} does the most work ({view.mac_shares()[macs]:.1%} of the MACs), "
        f"{_title(view, params)} holds the most parameters ({view.param_shares()[params]:.1%}), and the "
        f"network is widest in {where.title}, with {widest.widths[1]:,} channels."
    )


def shares(view: View) -> str:
    """The block whose time is furthest from what its MACs promise."""
    macs = view.mac_shares()
    fastest = view.fastest()
    times = view.time_shares(fastest) if fastest else {}
    if not times or fastest is None:
        top = _top(macs)
        most = f"{_starting(view, top)} has the most MACs, {macs[top]:.1%}"
        return f"{most}; not all blocks' times were measured."
    block, factor = _dearest(macs, times)
    top = _top(times)
    if factor < _NOTABLE_FACTOR:
        return (
            f"No block that takes much time on {view.called(fastest)} takes a larger share of it than of the "
            f"MACs; most, {times[top]:.1%}, goes to {_title(view, top)}."
        )
    also = "" if top == block else f"; most of the time, {times[top]:.1%}, goes to {_title(view, top)}"
    return (
        f"{_starting(view, block)} is dearer than it looks: {macs[block]:.1%} of the MACs, but "
        f"{times[block]:.1%} of the time on {view.called(fastest)}, {factor:.1f} times its share{also}."
    )


def matrix(view: View) -> str:
    """The block and target that stand out from the other targets."""
    found = {view.called(target): view.time_shares(target) for target in view.grid.targets}
    complete = {name: times for name, times in found.items() if times}
    if not complete:
        return f"No {view.kind} ran every block, so shares cannot be told."
    if len(complete) == 1:
        ((name, times),) = complete.items()
        top = _top(times)
        alone = f"the only {view.kind} that ran every block"
        return f"On {name}, {alone}, {_title(view, top)} takes {times[top]:.1%}."
    name, block, usual = _standout(complete)
    share = complete[name][block]
    if share - usual < _NOTABLE_GAP:
        return (
            f"The {view.kind}s spend alike: at most, {_title(view, block)} takes {share:.1%} of the time on "
            f"{name} and {usual:.1%} elsewhere."
        )
    others = [other for other in complete if other != name]
    whose = f"{others[0]} spends {usual:.1%} on it"
    if len(others) > 1:
        whose = f"the others spend {usual:.1%} on it (their median)"
    return f"{_starting(view, block)} on {name} stands out: {share:.1%} of the time there, where {whose}."


def additivity(view: View) -> str:
    """How far the sum of the parts is from the whole, at best and at worst."""
    gaps = {}
    for target, net in view.ranking():
        times = [view.per_image(block, target) for block in view.graph.block_names]
        if all(times):
            gaps[view.called(target)] = sum(t for t in times if t) / net - 1
    if not gaps:
        return f"How additive the blocks are cannot be told: no {view.kind} ran the whole and every block."
    near = min(gaps, key=lambda name: abs(gaps[name]))
    far = max(gaps, key=lambda name: abs(gaps[name]))
    first = f"On {near} the blocks' times add up to the network's within {abs(gaps[near]):.1%}"
    if far == near:
        return f"{first}."
    side = "more" if gaps[far] > 0 else "less"
    return f"{first}; on {far} they are {abs(gaps[far]):.1%} {side} than the whole."


def roofline(view: View) -> str:
    """How many parts are bound by memory, and who reaches most of the roof, who least."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for target in view.grid.targets:
        for part in view.grid.parts:
            rate = view.rates(part, target)
            if rate and rate.of_roof is not None and rate.bound:
                found[part, view.called(target)] = (rate.of_roof, rate.bound)
    if not found:
        return "No rate can be held against a roof of this machine: none was measured."
    best, worst = max(found, key=lambda at: found[at][0]), min(found, key=lambda at: found[at][0])
    sentence = (
        f"{_bound_by_memory(found)} bound by memory; "
        f"{_title(view, best[0])} on {best[1]} reaches {found[best][0]:.1%} of its roof"
    )
    if len(found) == 1:
        return f"{sentence}."
    return f"{sentence}, the most; {_title(view, worst[0])} on {worst[1]} {found[worst][0]:.1%}, the least."


def _bound_by_memory(found: Mapping[tuple[str, str], tuple[float, str]]) -> str:
    """How many parts are, or how many times of parts where that depends on the target."""
    each = {(part, bound) for (part, _), (_, bound) in found.items()}
    parts = {part for part, _ in found}
    bounds = (
        [bound for _, bound in each] if len(each) == len(parts) else [bound for _, bound in found.values()]
    )
    many = sum(bound == "memory" for bound in bounds)
    what = "parts" if len(each) == len(parts) else "times of parts"
    return f"{many} of {len(bounds)} {what} {'is' if many == 1 else 'are'}"


def memory(view: View, peaks: Peaks) -> str:
    """Where the peak is, what is alive there, and how much eager mode holds instead."""
    folded = peaks.folded
    largest = sorted(folded.alive, key=lambda pair: -pair[1])[:2]
    alive = words([f"{tensor} ({written(size, 'bytes')})" for tensor, size in largest])
    sentence = (
        f"The folded network's peak of {written(folded.bytes, 'bytes')} is in "
        f"{_title(view, folded.block)}, where {alive} {'is' if len(largest) == 1 else 'are'} alive"
    )
    if peaks.eager:
        sentence += f"; PyTorch eager holds {peaks.eager.bytes / folded.bytes:.1f} times as much"
    return f"{sentence}."


def arena(found: Arena) -> str:
    """How good the plan is."""
    over = found.bytes - found.lower_bound
    good = f"it is {over:,} bytes above what any plan must take" if over else "no plan can be smaller"
    return (
        f"{len(found.placements)} tensors share an arena of {written(found.bytes, 'bytes')}, where a buffer "
        f"for each would take {found.naive_bytes / found.bytes:.1f} times as much; {good}."
    )


def saving(view: View) -> str:
    """What depthwise-separable convolution saves on paper, and how much of it the clock confirms."""
    exact = standard_ratios(view)
    blocks = {part: ratio for part in row_names(view.run.subject.table) if (ratio := exact.get(part))}
    least, most = min(blocks, key=lambda b: blocks[b]), max(blocks, key=lambda b: blocks[b])
    low, high = _title(view, least), _title(view, most)
    spread = f"from ×{blocks[least]:.1f} in {low} to ×{blocks[most]:.1f} in {high}"
    if len(blocks) == 1:
        spread = f"×{blocks[least]:.1f} in its one block"
    sentence = f"With standard convolutions the network would need {exact[NET]:.1f} times the MACs, {spread}"
    measured = measured_ratios(view, standard_variant(view))
    whole = {view.called(target): found[NET] for target, found in measured.items() if NET in found}
    if not whole:
        return f"{sentence}; its time was not measured (report --full does)."
    low, high = min(whole, key=lambda n: whole[n]), max(whole, key=lambda n: whole[n])
    if low == high:
        return f"{sentence}; measured on {low}, it takes {whole[low]:.1f} times as long."
    return (
        f"{sentence}; measured, it takes {whole[low]:.1f} times as long on {low} and {whole[high]:.1f} on "
        f"{high}."
    )


def counters(found: Reconciliation) -> str:
    """How many figures there are for one network, and whether all are explained."""
    printed = {
        tool.reading.tool: tool.reading.printed for tool in found.tools if tool.reading.printed is not None
    }
    if not printed:
        return "None of the field's counters ran."
    open_ones = [tool.reading.tool for tool in found.tools if tool.remainder]
    low, high = min(printed, key=lambda t: printed[t]), max(printed, key=lambda t: printed[t])
    different = len(set(printed.values()))
    said = (
        f"{len(printed)} figures of the field's counters for this one network, {different} of them "
        f"different, range from {printed[low]:,} ({low}) to {printed[high]:,} ({high})"
    )
    if len(printed) == 1:
        said = f"The one counter that ran, {low}, prints {printed[low]:,}"
    if open_ones:
        return f"{said}; {words(open_ones)} cannot be explained to the last operation."
    return f"{said}; {'it' if len(printed) == 1 else 'each'} is explained to the last operation."


def _dearest(macs: Mapping[str, float], times: Mapping[str, float]) -> tuple[str, float]:
    """The block with the largest time share per MAC share, among those that take notable time."""
    notable = [block for block, share in times.items() if share >= _NOTABLE_SHARE and macs[block]] or list(
        times
    )
    factors = {block: times[block] / macs[block] for block in notable if macs[block]}
    if not factors:
        top = _top(times)
        return top, 1.0
    block = _top(factors)
    return block, factors[block]


def _standout(complete: Mapping[str, Mapping[str, float]]) -> tuple[str, str, float]:
    """Backend, block and the others' median share, where the backend spends most beyond it."""
    found = []
    for name, times in complete.items():
        others = [shares for other, shares in complete.items() if other != name]
        for block, share in times.items():
            usual = median(shares[block] for shares in others)
            found.append((share - usual, name, block, usual))
    _, name, block, usual = max(found)
    return name, block, usual


def _noisy(view: View, part: str, target: Target) -> str:
    timing = view.timing(part, target)
    return " (a noisy figure)" if timing and timing.summary and timing.summary.noisy else ""


def _top(shares: Mapping[str, float]) -> str:
    return max(shares, key=lambda block: shares[block])


def _title(view: View, part: str) -> str:
    """A part inside a sentence."""
    block = view.graph.block(part)
    return block.title if block else "the whole network" if part == NET else part


def _starting(view: View, part: str) -> str:
    """A part at the beginning of a sentence."""
    title = _title(view, part)
    return title[:1].upper() + title[1:]
