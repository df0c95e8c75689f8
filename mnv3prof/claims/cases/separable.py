"""K1 and K2: depthwise-separable pairs compared with standard convolutions, in operations and latency."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import count
from math import prod
from typing import Final, NamedTuple

from msgspec.structs import replace

from ...analysis.compare import Change
from ...cost.counts import count as count_layers
from ...cost.counts import total
from ...graph.graph import Graph
from ...graph.parts import NET, part_layers
from ...mobilenetv3.fields import Conv
from ...mobilenetv3.table import Row, Table, row_names, with_defaults
from ...mobilenetv3.variants import has_pairs, with_conv
from ...record.findings import ClaimVerdict, Evidence, Finding, Series
from ...record.run import Subject
from ..claim import COMPUTED, Claim, TimingRequest, finding, not_measured, points_at
from ..compared import at_least, measured_on, overall, ratio, ratio_of_sums, ratios

K1: Final = Claim(
    "K1",
    "A separable 3×3 pair needs 8 to 9 times fewer operations than a standard convolution.",
    "8 to 9 times",
    "MobileNets (arXiv 1704.04861), section 3.1: 8 to 9 times, at 1/N + 1/k²",
)
K2: Final = Claim(
    "K2",
    "From 32 to 64 channels a standard 3×3 convolution has 18,432 weights, the separable pair 2,816.",
    "18,432 and 2,816",
    "",
)
CLAIMS: Final = (K1, K2)

LOW: Final = 8
HIGH: Final = 9
STANDARD: Final = "standard conv"
_KERNELS: Final = (3, 5, 7)
_PAIR: Final = "pair 32→64"
_PAIR_STANDARD: Final = "pair 32→64, standard conv"


class Saving(NamedTuple):
    """A block's kernel, output channels, and MACs as a pair and as a standard convolution."""

    block: str
    kernel: int
    out: int
    pair: int
    standard: int

    @property
    def ratio(self) -> Fraction:
        """MACs of the standard convolution ÷ MACs of the pair."""
        return Fraction(self.standard, self.pair)


def timed(subject: Subject) -> tuple[TimingRequest, ...]:
    """Return the network, its 3×3 blocks and the pair of K2, separable and standard."""
    standard = _standard(subject)
    parts = [NET, *_threes(subject.table)]
    pairs = [(_PAIR, _example(32, 64, 3)), (_PAIR_STANDARD, _standard(_example(32, 64, 3)))]
    return (
        *(
            TimingRequest(variant, net, part, compiled=3 if part == NET else 0)
            for part in parts
            for variant, net in (("", subject), (STANDARD, standard))
        ),
        *(TimingRequest(variant, net, "1", compiled=1) for variant, net in pairs),
    )


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Judge K1 and K2 by operations and by latency."""
    return (
        _saved(evidence.subject),
        _saved_time(evidence),
        example(32, 64, 3, said=(18_432, 2_816)),
        _example_time(evidence),
    )


def savings(subject: Subject) -> tuple[Saving, ...]:
    """Return the saving of each row's pair."""
    separable, standard = _separable(subject).graph, _standard(subject).graph
    rows = zip(row_names(subject.table), subject.table.rows, strict=True)
    return tuple(
        Saving(
            name,
            row.kernel,
            row.out,
            _macs(separable, name, ("depthwise", "project")),
            _macs(standard, name, ("standard",)),
        )
        for name, row in rows
        if with_defaults(subject.table, row).conv != "fused"
    )


def _macs(graph: Graph, block: str, roles: tuple[str, ...]) -> int:
    return sum(layer.macs for layer in part_layers(graph, block) if layer.role in roles)


def _separable(subject: Subject) -> Subject:
    return subject.varied(_with_pairs(subject.table, "separable"))


def _standard(subject: Subject) -> Subject:
    return subject.varied(_with_pairs(subject.table, "standard"))


def _with_pairs(table: Table, conv: Conv) -> Table:
    """Return the table with this form of its pairs; fused rows have none."""
    return replace(with_conv(table, conv), name=table.name) if has_pairs(table) else table


def _threes(table: Table) -> dict[str, int]:
    """Return the blocks of the table's 3×3 rows with the rows' numbers."""
    rows = zip(row_names(table), table.rows, strict=True)
    return {
        name: number
        for number, (name, row) in enumerate(rows, 1)
        if row.kernel == 3 and with_defaults(table, row).conv != "fused"
    }


def _saved(subject: Subject) -> Finding:
    pairs = savings(subject)
    threes = [saving for saving in pairs if saving.kernel == 3]
    inside = [saving for saving in threes if LOW <= saving.ratio <= HIGH]
    working = (
        "standard / pair = N·k² / (k² + N) = 1 / (1/N + 1/k²), with N output channels and a k×k kernel",
        *(_range(kernel) for kernel in _KERNELS),
        *(_line(saving) for saving in pairs),
        *_whole(subject),
    )
    if not threes:
        why = "the table has no 3×3 row with a depthwise convolution"
        return finding(K1, "not testable here", how=COMPUTED, why=why, working=working)
    others = [saving for saving in threes if saving not in inside]
    result = f"{len(inside)} of {len(threes)} 3×3 pairs save 8 to 9 times ({_blocks(inside)})"
    result += f"; the others {_span(others)}" if others else ""
    for kernels, pairs_of in (
        ("1×1 kernels", [saving for saving in pairs if saving.kernel < 3]),
        ("larger kernels", [saving for saving in pairs if saving.kernel > 3]),
    ):
        result += f"; {kernels} {_span(pairs_of)}" if pairs_of else ""
    why = f"the pair has {least_width(3)} output channels or more" if inside and others else ""
    verdict: ClaimVerdict = "holds if" if why else "does not hold" if others else "holds"
    return finding(K1, verdict, found=f"{result}.", how=COMPUTED, why=why, working=working)


def _whole(subject: Subject) -> tuple[str, ...]:
    """Return the network's ratios of MACs and parameters, standard ÷ separable."""
    both = _separable(subject), _standard(subject)
    ours, theirs = (total(count_layers(one.graph)) for one in both)
    return tuple(
        f"whole network, {name}: {a:,} / {b:,} = ×{a / b:.3f}"
        for name, a, b in (("MACs", theirs.macs, ours.macs), ("parameters", theirs.params, ours.params))
    )


def least_width(kernel: int, times: int = LOW) -> int:
    """Return the fewest output channels with which a pair saves `times` times."""
    return next(n for n in count(1) if 1 / (Fraction(1, n) + Fraction(1, kernel**2)) >= times)


def _range(kernel: int) -> str:
    low = least_width(kernel)
    if kernel**2 <= HIGH:
        return f"k = {kernel}: 8 or more for N ≥ {low}, always below {kernel**2} (the limit k² for large N)"
    high = least_width(kernel, HIGH)
    exact = 1 / (Fraction(1, high) + Fraction(1, kernel**2)) == HIGH
    last = high if exact else high - 1
    return f"k = {kernel}: 8 to 9 for N from {low} to {last}; up to {kernel**2} for large N"


def _line(saving: Saving) -> str:
    inside = "8 to 9" if LOW <= saving.ratio <= HIGH else "not 8 to 9"
    return (
        f"block {saving.block}: k = {saving.kernel}, N = {saving.out}: {saving.standard:,} / {saving.pair:,} "
        f"= ×{float(saving.ratio):.3f}, {inside}"
    )


def _blocks(found: Sequence[Saving]) -> str:
    return f"blocks {', '.join(saving.block for saving in found)}" if found else "no block"


def _span(found: Sequence[Saving]) -> str:
    low, high = min(s.ratio for s in found), max(s.ratio for s in found)
    return f"×{float(low):.2f}" if low == high else f"×{float(low):.2f} to ×{float(high):.2f}"


def _saved_time(evidence: Evidence) -> Finding:
    """Judge whether 3×3 blocks are 8 times faster too."""
    sentence = f"Separable 3×3 blocks are at least {LOW} times faster than standard ones."
    blocks = _threes(evidence.subject.table)
    sums: dict[str, Change] = {}
    series: list[Series] = []
    working: list[str] = []
    for name in evidence.places():
        pairs = {b: [evidence.measured(variant, b, name) for variant in (STANDARD, "")] for b in blocks}
        changes = {b: r for b, pair in pairs.items() if (r := ratio(*pair))}
        whole = ratio_of_sums([pairs[b][0] for b in changes], [pairs[b][1] for b in changes])
        if whole is None:
            continue
        sums[name] = whole
        series.append(
            Series(
                name,
                "block",
                "latency, standard ÷ separable",
                tuple(point for b, r in changes.items() for point in points_at(float(blocks[b]), r)),
            )
        )
        net = ratio(*(evidence.measured(v, NET, name) for v in (STANDARD, "")))
        working += [f"{name}, whole network: latency {net}"] if net else []
        working += [f"{name}, block {b}: latency {r}" for b, r in changes.items()]
    if not sums:
        return not_measured(K1, evidence, sentence, _rule(LOW))
    verdict, why = overall({name: at_least(r, LOW) for name, r in sums.items()})
    results = ", ".join(f"{r} on {name}" for name, r in sums.items())
    return finding(
        K1,
        verdict,
        found=f"Latency of all 3×3 blocks, standard ÷ separable: {results}.",
        sentence=sentence,
        rule=_rule(LOW),
        how=measured_on(evidence, sums),
        why=why,
        working=(*_whole(evidence.subject), *working),
        series=tuple(series),
    )


def _rule(least: float) -> str:
    return (
        f"holds if all of the ratio's 95 % interval is ×{least:.3g} or more; does not hold if none of it is; "
        "else hidden by noise"
    )


@cache
def _example(width: int, out: int, kernel: int) -> Subject:
    """Make a network whose only block is the pair from `width` to `out` channels, at 56×56."""
    row = Row(width, out, kernel, 1, se=False, activation="HS")
    return Subject(Table(name=f"pair {width}→{out}", stem=width, rows=(row,), last=8, classes=8), (112, 112))


def example(width: int, out: int, kernel: int, said: tuple[int, int]) -> Finding:
    """Judge K2: the weights of the standard convolution and of the pair. said: by the article."""
    subject = _example(width, out, kernel)
    (standard,) = _weights(_standard(subject).graph, "standard")
    depthwise, pointwise = _weights(subject.graph, "depthwise", "project")
    pair = depthwise + pointwise
    working = (
        f"standard: {width}·{kernel}·{kernel}·{out} = {standard:,}",
        f"depthwise: {width}·{kernel}·{kernel} = {depthwise:,}",
        f"pointwise: {width}·1·1·{out} = {pointwise:,}",
        f"pair: {depthwise:,} + {pointwise:,} = {pair:,}; {standard:,} / {pair:,} = ×{standard / pair:.2f}",
    )
    found = f"{standard:,} and {pair:,}, ×{standard / pair:.2f}."
    verdict: ClaimVerdict = "holds" if said == (standard, pair) else "does not hold"
    return finding(K2, verdict, found=found, how=COMPUTED, working=working)


def _example_time(evidence: Evidence) -> Finding:
    """Judge whether the pair of K2 is as many times faster as it has fewer MACs."""
    graph = _example(32, 64, 3)
    (saving,) = savings(graph)
    sentence = "The separable pair of 32 to 64 channels is as many times faster as it has fewer MACs."
    changes = ratios(evidence, "1", _PAIR_STANDARD, _PAIR)
    if not changes:
        return not_measured(K2, evidence, sentence, _rule(float(saving.ratio)))
    verdict, why = overall({name: at_least(r, float(saving.ratio)) for name, r in changes.items()})
    results = ", ".join(f"{r} on {name}" for name, r in changes.items())
    return finding(
        K2,
        verdict,
        how=measured_on(evidence, changes),
        why=why,
        sentence=sentence,
        rule=_rule(float(saving.ratio)),
        found=f"MACs ×{float(saving.ratio):.2f}; latency with batch norms and h-swish: {results}.",
        working=tuple(f"{name}: latency, standard ÷ pair {r}" for name, r in changes.items()),
    )


def _weights(graph: Graph, *roles: str) -> list[int]:
    """Return the number of weights of each layer of these roles."""
    return [prod(layer.weights[0].shape) for layer in graph.layers if layer.role in roles]
