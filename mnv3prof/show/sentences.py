"""Sentences of the report, which state the results that its charts show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log
from statistics import median
from typing import Final

from ..analysis.compare import Change, compare, compare_sums
from ..analysis.grid import Rates
from ..analysis.load import Clock, clock_of
from ..analysis.savings import measured_changes, standard_ratios, standard_variant
from ..analysis.side_by_side import compared_times
from ..analysis.view import View
from ..cost.conventions import Reconciliation
from ..cost.memory import Arena, Peaks
from ..graph.parts import NET
from ..mobilenetv3.table import row_names
from ..record.target import Target
from ..render.numbers import compact, in_bytes, milliseconds
from ..render.sheet import format_value, join_words
from .costs import at_least
from .times import ABOVE_PEAK, spread_of, spread_text

_NOTABLE_SHARE = 0.03
"""Blocks below this share of the latency are not mentioned ..."""
_NOTABLE_GAP = 0.01
"""... nor those whose share is this near to the others' ..."""
NOTABLE_FACTOR = 1.05
"""... nor those whose share of the latency is less than this multiple of that of the MACs."""


def headline(view: View) -> str:
    """State MACs, parameters and the lowest latency of the whole network."""
    cost = view.costs[NET]
    macs = at_least(cost, "macs") + compact(cost.macs)
    costs = f"{view.name} has {macs} MACs and {compact(cost.params)} parameters"
    ranking = view.ranking()
    if not ranking:
        return f"{costs}. There is no latency of the whole network."
    (target, seconds), *others = ranking
    sentence = (
        f"{costs}. Latency: {time(view, seconds)} on {view.label_of(target)}{_noisy(view, NET, target)}"
    )
    if others:
        sentence += _others(view, target, [other for other, _ in others])
    eager = view.eager(target)
    if eager and eager[0] != target:
        change = view.change(NET, eager[0], target)
        if change.ratio is not None:
            sentence += f"; compared with {eager_name(view, eager[0], target)}: {_judged(change)}"
    return f"{sentence}."


def as_fast(view: View, target: Target) -> list[Target]:
    """Return the other targets that the whole network is not shown to be slower on."""
    others = [other for other, _ in view.ranking() if other != target]
    return [other for other in others if view.change(NET, other, target).verdict != "faster"]


def _others(view: View, target: Target, others: Sequence[Target]) -> str:
    """State which other targets may be as fast as the one with the lowest latency."""
    if not view.is_clear(NET, target):
        return ""
    level = as_fast(view, target)
    if not level:
        return f", the fastest of {len(others) + 1} {view.kind}s"
    names = join_words([view.label_of(other) for other in level])
    return f", the lowest of {len(others) + 1} {view.kind}s; {names} may be as fast"


def time(view: View, seconds: float) -> str:
    """Format a time per image, labeled if a call has several images."""
    several = any(target.batch > 1 for target in view.grid.targets)
    return f"{milliseconds(seconds)}{' per image' if several else ''}"


def latency(view: View, target: Target) -> dict[Clock, tuple[str, str]]:
    """Format the whole network's time per image and its spread, by clock: CPU time too where the machine was
    too busy for wall time.
    """
    timing = view.timing(NET, target)
    if timing is None or timing.per_image is None:
        return {}
    found: dict[Clock, tuple[str, str]] = {"wall": (time(view, timing.per_image), spread_text(timing))}
    if clock_of(timing, view.run) == "CPU" and (cpu := timing.cpu_summary):
        found["CPU"] = time(view, cpu.median / target.batch), spread_of(cpu, noisy=cpu.noisy)
    return found


def eager_name(view: View, eager: Target, other: Target) -> str:
    """Name PyTorch eager, with its target if that differs from the other in more than the backend."""
    alike = (eager.dtype, eager.batch, eager.threads) == (other.dtype, other.batch, other.threads)
    return "PyTorch eager" if alike else f"PyTorch eager ({view.label_of(eager)})"


def side_by_side(seen: Sequence[View]) -> str:
    """Compare the last view with the first: MACs, and latency on the first's fastest target."""
    first, last = seen[0], seen[-1]
    macs, base = last.costs[NET].macs, first.costs[NET].macs
    times = "as many MACs as" if macs == base else f"{macs / base:.2f} times the MACs of"
    sentence = f"{last.called} has {times} {first.called}."
    rows = compared_times(seen)
    both = [(row, change) for row in rows if (change := row.changes[-1]) and change.ratio is not None]
    if not both:
        return sentence
    row, change = min(both, key=lambda pair: pair[0].times[0] or 0.0)
    a, b = row.names[0], row.names[-1]
    where = b if a == b else f"{b} ({first.called}: on {a})"
    return f"{sentence} Latency of {last.called} compared with {first.called} on {where}: {_judged(change)}."


def _judged(change: Change) -> str:
    """Write the ratio with its interval, if there is one, and the verdict."""
    return change.verdict if change.ratio is None else f"{_timed(change)}, {change.verdict}"


def _timed(change: Change) -> str:
    """Write the ratio with its interval, and the clock if it is not the wall's."""
    return f"{'' if change.clock == 'wall' else f'{change.clock} time '}{change}"


def shares(view: View, on: Target | None = None) -> str:
    """State the slowest block, and the one with the largest latency share per MAC share.

    on: the target; by default the fastest one.
    """
    macs = view.mac_shares()
    fastest = on or view.fastest()
    times = view.time_shares(fastest) if fastest else {}
    if not times or fastest is None:
        top = _top(macs)
        return f"Most MACs: {title_of(view, top)} ({macs[top]:.1%}). Not all blocks' latencies were measured."
    clear = {block: share for block, share in times.items() if view.is_clear(block, fastest)}
    if any(timing.without_samples for block in times if (timing := view.timing(block, fastest))):
        return (
            f"The noise of the latencies on {view.label_of(fastest)} is not known: no block is named slowest."
        )
    if not clear:
        return f"Noise hides the blocks' shares of latency on {view.label_of(fastest)}."
    top, where = _top(times), view.label_of(fastest)
    block, factor = least_efficient(macs, clear)
    slowest = "Among the slowest" if _as_slow(view, top, fastest) else "Slowest"
    named = [(slowest, top, "")] if top in clear else []
    if factor >= NOTABLE_FACTOR:
        named.append(("Least efficient", block, f", {factor:.1f}×"))
        if named[0][1] == block and top in clear:
            named = [(f"{slowest} and least efficient", block, f", {factor:.1f}×")]
    if not named:
        return f"No block's share of latency on {where} is above its share of MACs."
    return " ".join(
        f"{what}: {title_of(view, part)}, {times[part]:.1%} of latency on {where} "
        f"({macs[part]:.1%} of MACs{more})."
        for what, part, more in named
    )


def _as_slow(view: View, top: str, target: Target) -> list[str]:
    """Return the blocks, other than identical ones, that a block is not shown to be slower than."""
    slowest = view.timing(top, target)
    others = dict.fromkeys(view.grid.same[block] for block in view.graph.block_names)
    timings = [view.timing(part, target) for part in others if part != view.grid.same[top]]
    return [
        timing.part
        for timing in timings
        if timing and slowest and compare(timing, slowest, view.run, view.run).verdict != "slower"
    ]


def matrix(view: View) -> str:
    """State the block and target that differ most from the other targets, if noise does not hide it."""
    complete = {target: times for target in view.grid.targets if (times := view.time_shares(target))}
    if not complete:
        return f"No {view.kind} has latencies of all blocks, so shares are not compared."
    if len(complete) == 1:
        ((target, times),) = complete.items()
        top = _top(times)
        only = f"{title_of(view, top)}: {times[top]:.1%} of latency on {view.label_of(target)}"
        return f"{capitalized(only)}, the only {view.kind} with latencies of all blocks."
    largest = _largest_difference(view, complete)
    if largest is None:
        return f"Noise hides the differences between the {view.kind}s in shares of latency."
    target, block, usual = largest
    share, where = complete[target][block], view.label_of(target)
    others = [view.label_of(other) for other in complete if other != target]
    against = f"on {others[0]}" if len(others) == 1 else "on the others (median)"
    difference = f"{title_of(view, block)}: {share:.1%} of latency on {where}, {usual:.1%} {against}"
    if share - usual < _NOTABLE_GAP:
        return f"All {view.kind}s have a similar breakdown; the largest difference is {difference}."
    return f"{capitalized(difference)}."


def additivity(view: View) -> str:
    """State the smallest and the largest ratio of the sum of the blocks to the whole network."""
    changes = {}
    for target in view.grid.targets:
        blocks = [view.timing(block, target) for block in view.graph.block_names]
        net = view.timing(NET, target)
        if net and all(view.is_clear(part, target) for part in (*view.graph.block_names, NET)):
            changes[view.label_of(target)] = compare_sums([net], [block for block in blocks if block])
    gaps = {name: abs(log(change.ratio)) for name, change in changes.items() if change.ratio}
    if not gaps:
        why = f"no {view.kind} has a time without noise of each"
        return f"The sum of the blocks' latencies is not compared with the whole network's: {why}."
    ends = dict.fromkeys([min(gaps, key=lambda name: gaps[name]), max(gaps, key=lambda name: gaps[name])])
    told = join_words([f"{changes[name]} on {name}" for name in ends])
    return f"Sum of the blocks' latencies ÷ the whole network's: {told}."


def roofline(view: View) -> str:
    """State how many timings compute and memory limit, and the range of shares of the roofline."""
    rates: dict[tuple[str, str], Rates] = {}
    known = 0
    for target in view.grid.targets:
        for part in dict.fromkeys(view.grid.same[each] for each in view.grid.parts):
            rate = view.rates(part, target)
            if rate and rate.of_roofline is not None:
                known += 1
                if view.is_clear(part, target):
                    rates[part, view.label_of(target)] = rate
    if not rates:
        why = f"all {known} that are drawn are noisy" if known else "no peak rate is known"
        return f"No rate is compared with the machine's peak rates: {why}."
    shares = {at: rate.of_roofline or 0.0 for at, rate in rates.items()}
    ends = [min(shares, key=lambda at: shares[at]), max(shares, key=lambda at: shares[at])]
    told = [f"{shares[at]:.1%} ({title_of(view, at[0])} on {at[1]})" for at in dict.fromkeys(ends)]
    limits = [rate.limited_by for rate in rates.values()]
    return (
        f"Of {len(rates)} timings without noise, compute limits {limits.count('compute')} and memory "
        f"{limits.count('memory')}. Share of the roofline: {' to '.join(told)}."
        f"{f' {ABOVE_PEAK}' if max(shares.values()) > 1 else ''}"
    )


def memory(view: View, peaks: Peaks) -> str:
    """State the fused peak, its largest live tensors and the PyTorch eager peak."""
    fused = peaks.fused
    largest = sorted(fused.alive, key=lambda pair: -pair[1])[:2]
    tensors = join_words([f"{tensor} ({format_value(size, 'bytes')})" for tensor, size in largest])
    sentence = (
        f"Fused peak: {format_value(fused.bytes, 'bytes')} in {title_of(view, fused.block)}, "
        f"largest live tensor{'s' if len(largest) > 1 else ''} {tensors}."
    )
    if peaks.eager:
        sentence += f" PyTorch eager peak: {peaks.eager.bytes / fused.bytes:.1f} times as much."
    return sentence


def arena(plan: Arena) -> str:
    """State the size of the planned arena, compared with separate buffers and the lower bound."""
    above = plan.bytes - plan.lower_bound
    return (
        f"Planned arena: {format_value(plan.bytes, 'bytes')} for {len(plan.placements)} tensors, "
        f"{f'{in_bytes(above)} above' if above else 'equal to'} the lower bound. "
        f"Separate buffers: {plan.naive_bytes / plan.bytes:.1f} times as much."
    )


_MOST_RATIOS: Final = 3
"""Of more targets only the lowest and the highest ratio are told."""


def saving(view: View) -> str:
    """State the ratios of standard to depthwise-separable convolution in MACs and measured latency."""
    ratios = standard_ratios(view)
    blocks = {part: ratio for part in row_names(view.run.subject.table) if (ratio := ratios.get(part))}
    least, most = min(blocks, key=lambda b: blocks[b]), max(blocks, key=lambda b: blocks[b])
    low, high = title_of(view, least), title_of(view, most)
    spread = f"from ×{blocks[least]:.1f} in {low} to ×{blocks[most]:.1f} in {high}"
    if len(blocks) == 1:
        spread = f"×{blocks[least]:.1f} in its one block"
    sentence = f"With standard convolutions: {ratios[NET]:.1f} times the MACs, {spread}."
    measured = measured_changes(view, standard_variant(view))
    changes = {view.label_of(target): parts[NET] for target, parts in measured.items() if NET in parts}
    if not changes:
        return f"{sentence} Their latency was not measured; a full report measures it."
    known = sorted((change.ratio, name) for name, change in changes.items() if change.ratio is not None)
    if len(changes) <= _MOST_RATIOS or not known:
        told = [f"on {name}: {_judged(change)}" for name, change in changes.items()]
        return f"{sentence} Latency {'; '.join(told)}."
    ends = [f"{_timed(changes[name])} on {name}" for _, name in (known[0], known[-1])]
    verdicts = Counter(change.verdict for change in changes.values())
    counts = join_words([f"{verdict} on {count}" for verdict, count in verdicts.most_common()])
    return f"{sentence} Latency {' to '.join(ends)}; {counts} of {len(changes)} targets."


def counters(reconciliation: Reconciliation) -> str:
    """State the range of the counter results, and whether all are fully reconciled."""
    printed = {
        tool.reading.tool: tool.reading.printed
        for tool in reconciliation.tools
        if tool.reading.printed is not None
    }
    if not printed:
        return "No FLOP counter ran."
    low, high = min(printed, key=lambda t: printed[t]), max(printed, key=lambda t: printed[t])
    if printed[low] == printed[high]:
        results = f"{join_words([*printed])} report{'s' if len(printed) == 1 else ''} {printed[low]:,}"
    else:
        results = (
            f"{len(printed)} FLOP counters report {len(set(printed.values()))} different totals for this "
            f"network, from {printed[low]:,} ({low}) to {printed[high]:,} ({high})"
        )
    remaining = [tool.reading.tool for tool in reconciliation.tools if tool.remainder]
    return f"{results}; {f'not reconciled: {join_words(remaining)}' if remaining else 'fully reconciled'}."


def least_efficient(macs: Mapping[str, float], times: Mapping[str, float]) -> tuple[str, float]:
    """Return the block with the largest latency share per MAC share, and that quotient.

    Blocks of a small latency share count only if there are no others; 0 if none has MACs.
    """
    notable = [block for block, share in times.items() if share >= _NOTABLE_SHARE and macs[block]]
    factors = {block: times[block] / macs[block] for block in notable or times if macs[block]}
    return max(factors.items(), key=lambda pair: pair[1], default=("", 0.0))


def _largest_difference(
    view: View, complete: Mapping[Target, Mapping[str, float]]
) -> tuple[Target, str, float] | None:
    """Target, block and the others' median share, where the share is furthest above it."""
    differences: list[tuple[float, Target, str, float]] = []
    for target, times in complete.items():
        others = [other for other in complete if other != target]
        for block, share in times.items():
            if all(view.is_clear(block, each) for each in complete):
                usual = median(complete[other][block] for other in others)
                differences.append((share - usual, target, block, usual))
    return max(differences, key=lambda one: one[0])[1:] if differences else None


def _noisy(view: View, part: str, target: Target) -> str:
    timing = view.timing(part, target)
    return " (noisy)" if timing and timing.noisy else ""


def _top(shares: Mapping[str, float]) -> str:
    return max(shares, key=lambda block: shares[block])


def title_of(view: View, part: str) -> str:
    """Name a part inside a sentence."""
    block = view.graph.block(part)
    return block.title if block else "the whole network" if part == NET else part


def capitalized(sentence: str) -> str:
    """Return a sentence with a capital letter at its begin."""
    return sentence[:1].upper() + sentence[1:]
