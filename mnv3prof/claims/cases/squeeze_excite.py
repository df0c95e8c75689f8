"""K3: size, latency and accuracy of squeeze-excite."""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from ...analysis.compare import MARGIN
from ...analysis.grid import cost_of, part_costs
from ...cost.memory import arena, peaks
from ...graph.graph import Graph, Layer
from ...graph.parts import NET
from ...mobilenetv3.table import Table, row_names
from ...mobilenetv3.variants import vary
from ...record.findings import ClaimVerdict, Evidence, Finding, Series
from ...record.run import Subject
from ..accuracy import BASE, finding_on_accuracy
from ..claim import COMPUTED, Ablation, Claim, TimingRequest, finding, not_measured, points_at
from ..compared import is_slower, measured_on, overall, ratio, ratios

K3: Final = Claim(
    "K3",
    "Squeeze-excite makes the model 0.5 % larger and gains 1.2 % top-1.",
    "+0.5 % size, +1.2 % top-1",
    "Searching for MobileNetV3 (arXiv 1905.02244 v5), section 5.3: more accurate at a modest increase of "
    "parameters and no discernible latency cost",
)
CLAIMS: Final = (K3,)

WITHOUT: Final = "without SE"
_NO_COST: Final = "Squeeze-excite has no discernible latency cost, as the paper says."
_RULE: Final = (
    f"does not hold if all of the 95 % interval is slower by more than {MARGIN:.0%}; holds if none of it is; "
    "else hidden by noise"
)
_ROUNDED: Final = 0.0055
"""Smaller values round to at most 0.5 %."""


def _without(table: Table) -> Table:
    return vary(table, without_se=True)


ABLATIONS: Final = (Ablation(BASE), Ablation(WITHOUT, _without))


def timed(subject: Subject) -> tuple[TimingRequest, ...]:
    """Return the network with and without SE, and each SE module with its block."""
    paths = modules(subject.graph)
    if not paths:
        return ()
    inner = [part for block, path in paths.items() for part in (path, block)]
    return (
        TimingRequest("", subject, NET),
        TimingRequest(WITHOUT, subject.varied(_without(subject.table)), NET),
        *(TimingRequest("", subject, part) for part in inner),
    )


def modules(graph: Graph) -> dict[str, str]:
    """Return the path of the SE module by block."""
    return {block.name: layer.path for block, layer in graph.placed() if layer.role == "se_scale"}


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Judge K3: the size is computed, the latency measured, the accuracy trained."""
    accuracy = finding_on_accuracy(K3, evidence, WITHOUT, "Accuracy with SE, compared with no SE")
    return _size(evidence.subject), _time(evidence), accuracy


def _size(subject: Subject) -> Finding:
    graph = subject.graph
    if not modules(graph):
        return finding(K3, "not testable here", how="computed", why="the table has no squeeze-excite")
    inside = {path: graph.under(path) for path in modules(graph).values()}
    bare = subject.varied(_without(subject.table)).graph
    whole, rest = part_costs(graph)[NET], part_costs(bare)[NET]
    se = cost_of(graph, chain.from_iterable(inside.values()), "squeeze-excite")
    added = {name: _more(getattr(whole, name), getattr(rest, name)) for name in ("params", "macs", "flops")}
    pairs = {
        "fused peak": (peaks(graph).fused.bytes, peaks(bare).fused.bytes),
        "arena": (arena(graph).bytes, arena(bare).bytes),
        "weights": (whole.weight_bytes, rest.weight_bytes),
    }
    found = (
        f"SE has {se.params:,} of {whole.params:,} parameters: {added['params']:+.1%}; MACs "
        f"{added['macs']:+.2%}, FLOPs {added['flops']:+.2%}, planned arena {_more(*pairs['arena']):+.1%}."
    )
    working = (
        f"parameters: {whole.params:,} / ({whole.params:,} − {se.params:,}) − 1 "
        f"= {se.params:,} / {rest.params:,} = {added['params']:+.2%}",
        f"MACs: {whole.macs:,} / {rest.macs:,} − 1 = {se.macs:,} / {rest.macs:,} = {added['macs']:+.2%}",
        f"FLOPs: {whole.flops:,} / {rest.flops:,} − 1 = {added['flops']:+.2%}",
        *(f"{name}, bytes: {a:,} / {b:,} − 1 = {_more(a, b):+.2%}" for name, (a, b) in pairs.items()),
        "SE of a block: 2·e·q + q + e parameters and 2·e·q MACs, with e expanded and q squeezed channels",
        *(_block_line(graph, block, inside[path]) for block, path in modules(graph).items()),
        *_memory_lines(graph, bare),
    )
    verdict: ClaimVerdict = "holds" if added["params"] < _ROUNDED else "does not hold"
    return finding(K3, verdict, found=found, how=COMPUTED, working=working)


def _block_line(graph: Graph, block: str, inside: Sequence[Layer]) -> str:
    se, whole = cost_of(graph, inside, block), part_costs(graph)[block]
    e, q = next(layer for layer in inside if layer.role == "se_reduce").widths
    return (
        f"block {block}: e = {e}, q = {q}: {se.params:,} of {whole.params:,} parameters "
        f"({se.params / whole.params:.1%}), {se.macs:,} of {whole.macs:,} MACs ({se.macs / whole.macs:.2%}), "
        f"{se.weight_bytes:,} of {whole.weight_bytes:,} bytes of weights"
    )


def _memory_lines(graph: Graph, bare: Graph) -> list[str]:
    """Compare the most bytes of live activations in each block with SE and without."""
    with_se, without = (dict(zip(g.block_names, peaks(g).fused.blocks, strict=True)) for g in (graph, bare))
    return [
        f"block {block}, live bytes: {with_se[block]:,} / {without[block]:,} − 1 "
        f"= {_more(with_se[block], without[block]):+.2%}"
        for block in modules(graph)
    ]


def _more(value: int, base: int) -> float:
    return value / base - 1


def _time(evidence: Evidence) -> Finding:
    changes = ratios(evidence, NET, "", WITHOUT)
    if not changes:
        return not_measured(K3, evidence, _NO_COST, _RULE)
    slower = {name: is_slower(r) for name, r in changes.items()}
    verdict, why = overall({name: None if s is None else not s for name, s in slower.items()})
    working = [f"{name}: time of the network with SE ÷ without {r}" for name, r in changes.items()]
    series = []
    for name in changes:
        points = []
        for number, (block, path) in _numbered(evidence):
            share = ratio(evidence.measured("", path, name), evidence.measured("", block, name))
            if share:
                points += points_at(float(number), share)
                working.append(f"{name}, block {block}: time of the SE module alone ÷ its block {share}")
        series.append(Series(name, "block", "SE's share of the block's latency", tuple(points)))
    results = ", ".join(f"{r} on {name}" for name, r in changes.items())
    return finding(
        K3,
        verdict,
        found=f"Latency of the network, with SE ÷ without: {results}.",
        why=why,
        rule=_RULE,
        how=measured_on(evidence, changes),
        sentence=_NO_COST,
        working=tuple(working),
        series=tuple(series),
    )


def _numbered(evidence: Evidence) -> list[tuple[int, tuple[str, str]]]:
    """Return each block with SE and its module's path, by the number of its row."""
    paths = modules(evidence.graph)
    names = enumerate(row_names(evidence.subject.table), 1)
    return [(number, (name, paths[name])) for number, name in names if name in paths]
