"""What there is to see in each picture of the report, in one sentence each, said from its data."""

from collections.abc import Mapping, Sequence
from statistics import median

from ..analysis.savings import measured_changes, standard_ratios, standard_variant
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
"""Blocks below this share of the latency are not mentioned ..."""
_NOTABLE_GAP = 0.01
"""... nor those whose share is this near to the others' ..."""
_NOTABLE_FACTOR = 1.05
"""... nor those whose share of the latency is less than this multiple of that of the MACs."""


def headline(view: View) -> str:
    """How much the network costs, and where it runs fastest."""
    cost = view.costs[NET]
    macs = at_least(cost) + compact(cost.macs)
    needs = f"{view.name} needs {macs} MACs and {compact(cost.params)} parameters"
    ranking = view.ranking()
    if not ranking:
        return f"{needs}; the latency of the whole network was not measured."
    (target, seconds), *others = ranking
    sentence = f"{needs}. Latency: {time(view, seconds)} on {view.called(target)}{_noisy(view, NET, target)}"
    if others:
        sentence += _others(view, target, [other for other, _ in others])
    eager = view.eager(target)
    if eager and eager[0] != target:
        change = view.change(NET, eager[0], target)
        if change.ratio is not None:
            sentence += f"; {change} the latency of {eager_name(view, eager[0], target)}"
            sentence += f", {change.verdict}" if change.verdict in ("same", "unclear") else ""
    return f"{sentence}."


def _others(view: View, target: Target, others: Sequence[Target]) -> str:
    """Which other targets may be as fast as the one with the shortest time."""
    level = [other for other in others if view.change(NET, other, target).verdict != "faster"]
    if not level:
        return f", the fastest of {len(others) + 1} {view.kind}s"
    names = words([view.called(other) for other in level])
    return f", the shortest of {len(others) + 1} {view.kind}s; {names} cannot be told from it"


def time(view: View, seconds: float) -> str:
    """A time per image as it is written: labelled where calls are of several images."""
    several = any(target.batch > 1 for target in view.grid.targets)
    return f"{milliseconds(seconds)}{' an image' if several else ''}"


def eager_name(view: View, eager: Target, other: Target) -> str:
    """PyTorch eager, with its target's name where that differs from the other's in more than the backend."""
    alike = (eager.dtype, eager.batch, eager.threads) == (other.dtype, other.batch, other.threads)
    return "PyTorch eager" if alike else f"PyTorch eager ({view.called(eager)})"


def side_by_side(seen: Sequence[View]) -> str:
    """The last view against the first: MACs, and the time on the first's fastest target."""
    first, last = seen[0], seen[-1]
    macs, base = last.costs[NET].macs, first.costs[NET].macs
    times = "as many MACs as" if macs == base else f"{macs / base:.2f} times the MACs of"
    said = f"{last.letter} does {times} {first.letter}"
    rows = compared_times(seen)
    both = [(row, change) for row in rows if (change := row.changes[-1]) and change.ratio is not None]
    if not both:
        return f"{said}."
    row, change = min(both, key=lambda pair: pair[0].times[0] or 0.0)
    a, b = row.names[0], row.names[-1]
    where = b if a == b else f"{b}, where {first.letter} is on {a}"
    return f"{said}; its latency is {change.told} on {where}."


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
    """The slowest block, and the one whose share of the latency is furthest above its share of the MACs."""
    macs = view.mac_shares()
    fastest = view.fastest()
    times = view.time_shares(fastest) if fastest else {}
    if not times or fastest is None:
        top = _top(macs)
        most = f"{_starting(view, top)} has the most MACs, {macs[top]:.1%}"
        return f"{most}; not all blocks were timed."
    clear = {block: share for block, share in times.items() if view.is_clear(block, fastest)}
    if not clear:
        return f"Noise hides the blocks' shares of the latency on {view.called(fastest)}."
    top, where = _top(times), view.called(fastest)
    block, factor = _least_efficient(macs, clear)
    found = {"Slowest": top} if top in clear else {}
    found |= {"Least efficient": block} if factor >= _NOTABLE_FACTOR else {}
    if not found:
        return f"No block's share of the latency on {where} is above its share of the MACs."
    if len(found) == 2 and top == block:
        found = {"Slowest and least efficient": block}
    return " ".join(
        f"{what}: {_title(view, block)}, {times[block]:.1%} of the latency on {where} and {macs[block]:.1%} "
        f"of the MACs{f' ({times[block] / macs[block]:.1f}×)' if macs[block] else ''}."
        for what, block in found.items()
    )


def matrix(view: View) -> str:
    """The block and target that differ most from the other targets, among what noise does not hide."""
    found = {target: view.time_shares(target) for target in view.grid.targets}
    complete = {target: times for target, times in found.items() if times}
    if not complete:
        return f"No {view.kind} ran every block: there are no shares to compare."
    if len(complete) == 1:
        ((target, times),) = complete.items()
        top = _top(times)
        alone = f"the only {view.kind} that ran every block"
        return f"On {view.called(target)}, {alone}, {_title(view, top)} takes {times[top]:.1%}."
    largest = _largest_difference(view, complete)
    if largest is None:
        return f"Noise hides how the {view.kind}s differ in their shares of the latency."
    target, block, usual = largest
    share, where = complete[target][block], view.called(target)
    others = [view.called(other) for other in complete if other != target]
    against = f"on {others[0]}" if len(others) == 1 else "on the others (median)"
    said = f"{_title(view, block)}: {share:.1%} of the latency on {where}, {usual:.1%} {against}"
    if share - usual < _NOTABLE_GAP:
        return f"All {view.kind}s have a similar breakdown; the largest difference is {said}."
    return f"{said[0].upper()}{said[1:]}."


def additivity(view: View) -> str:
    """How far the sum of the parts is from the whole, at best and at worst."""
    gaps = {}
    for target, net in view.ranking():
        times = [view.per_image(block, target) for block in view.graph.block_names]
        if all(times) and all(view.is_clear(part, target) for part in (*view.graph.block_names, NET)):
            gaps[view.called(target)] = sum(t for t in times if t) / net - 1
    if not gaps:
        ran = f"no {view.kind} ran the whole and every block without noise"
        return f"The sum of the blocks is not compared with the whole network: {ran}."
    near = min(gaps, key=lambda name: abs(gaps[name]))
    far = max(gaps, key=lambda name: abs(gaps[name]))
    sums = [f"{gaps[name]:+.1%} on {name}".replace("-", "−") for name in dict.fromkeys((near, far))]
    return f"Sum of the blocks' latencies, compared with the whole network's: {' and '.join(sums)}."


def roofline(view: View) -> str:
    """How many parts are bound by memory, and who reaches most of the roof, who least."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for target in view.grid.targets:
        for part in view.grid.parts:
            rate = view.rates(part, target)
            if rate and rate.of_roof is not None and rate.bound and view.is_clear(part, target):
                found[part, view.called(target)] = (rate.of_roof, rate.bound)
    if not found:
        return "No rate is compared with a peak of this machine: none was measured without noise."
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
    measured = measured_changes(view, standard_variant(view))
    whole = {view.called(target): found[NET] for target, found in measured.items() if NET in found}
    if not whole:
        return f"{sentence}; its latency was not measured (report --full does)."
    told = words([f"{change.told} on {name}" for name, change in whole.items()])
    return f"{sentence}. Measured latency, compared with separable convolutions: {told}."


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


def _least_efficient(macs: Mapping[str, float], times: Mapping[str, float]) -> tuple[str, float]:
    """Return the block with the largest latency share per MAC share, and that quotient.

    Blocks of a small latency share count only if there are no others; 0 if none has MACs.
    """
    notable = [block for block, share in times.items() if share >= _NOTABLE_SHARE and macs[block]]
    factors = {block: times[block] / macs[block] for block in notable or times if macs[block]}
    return max(factors.items(), key=lambda pair: pair[1], default=("", 0.0))


def _largest_difference(
    view: View, complete: Mapping[Target, Mapping[str, float]]
) -> tuple[Target, str, float] | None:  # fmt: skip
    """Target, block and the others' median share, where the share is furthest above it."""
    found: list[tuple[float, Target, str, float]] = []
    for target, times in complete.items():
        others = [other for other in complete if other != target]
        for block, share in times.items():
            if all(view.is_clear(block, each) for each in complete):
                usual = median(complete[other][block] for other in others)
                found.append((share - usual, target, block, usual))
    return max(found, key=lambda one: one[0])[1:] if found else None


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
