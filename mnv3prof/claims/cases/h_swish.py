"""K4 and K5: forms of h-swish compared with swish and ReLU, alone and in the network."""

from collections.abc import Iterable
from typing import Final

from ...analysis.compare import Change
from ...cost.counts import Dtype
from ...graph.graph import Graph, Layer
from ...graph.parts import NET
from ...mobilenetv3.table import Table
from ...mobilenetv3.variants import with_activations, with_option
from ...record.findings import Evidence, Finding
from ...record.run import Subject
from ..claim import Claim, TimingRequest, finding, not_measured
from ..compared import FASTER, is_faster, measured_on, overall, overall_on_mobile, ratio, saves

K4: Final = Claim(
    "K4",
    "h-swish instead of swish makes inference on mobile chips 15 to 20 % faster.",
    "15 to 20 % faster",
    "Searching for MobileNetV3, section 5.2 and Table 5 (Pixel 1): h-swish 51.4 ms, not optimized 57.5 ms, "
    "all ReLU 50.5 ms; swish is not timed",
)
K5: Final = Claim(
    "K5",
    "h-swish in its deployment form, x · clamp(x + 3, 0, 6) / 6, is faster than the plain one.",
    "faster",
    "Searching for MobileNetV3, section 6: an optimized h-swish saves 6 ms of 57.5",
)
CLAIMS: Final = (K4, K5)

FORMS: Final = {
    "swish": "SW",
    "h-swish by ReLU6": "HS-RELU6",
    "h-swish by clamp": "HS-CLAMP",
    "ReLU for h-swish": "RE",
}
"""Replacement of nn.Hardswish by name of the network."""
GATES: Final = {"sigmoid gate": "sigmoid", "h-sigmoid by ReLU6": "hardsigmoid_relu6"}
"""Replacement of nn.Hardsigmoid in squeeze-excite by name of the network."""
_SAVED: Final = 0.15
_RULE: Final = (
    f"holds if all of the 95 % interval saves {_SAVED:.0%} or more of the time; does not hold if none of it "
    "does; else hidden by noise"
)
_DTYPES: Final[tuple[Dtype, ...]] = ("fp32", "int8")


def timed(subject: Subject) -> tuple[TimingRequest, ...]:
    """Return the whole network in every form, then the activation alone at three sizes."""
    shapes = alone(subject.graph)
    if not shapes:
        return ()
    table = subject.table
    nets = {"": subject, **{name: subject.varied(_in_form(table, code)) for name, code in FORMS.items()}}
    gated = {
        "": subject,
        **{name: subject.varied(with_option(table, "se_gate", gate)) for name, gate in GATES.items()},
    }
    return (
        *(TimingRequest(name, net, NET, _DTYPES, compiled=2) for name, net in nets.items()),
        *(
            TimingRequest(name, net, layer.name, _DTYPES, compiled=int(layer is shapes[0]))
            for layer in shapes
            for name, net in nets.items()
        ),
        *(
            TimingRequest(name, net, gate)
            for gate in _last_gate(subject.graph)
            for name, net in gated.items()
        ),
    )


def alone(graph: Graph) -> tuple[Layer, ...]:
    """Return the h-swish layers with the most, the median and the fewest elements."""
    by_size = sorted(
        {layer.elements: layer for layer in reversed(graph.layers) if layer.op == "hardswish"}.items()
    )
    layers = [layer for _, layer in by_size]
    return tuple(dict.fromkeys((layers[-1], layers[len(layers) // 2], layers[0]))) if layers else ()


def _in_form(table: Table, code: str) -> Table:
    def changed(activation: str) -> str:
        return code if activation == "HS" else activation

    return with_activations(table, changed)


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Judge K4 and K5."""
    if not alone(evidence.graph):
        why = "the table has no h-swish"
        return tuple(finding(claim, "not testable here", how="computed", why=why) for claim in CLAIMS)
    return _against_swish(evidence), _deployed(evidence)


def _places(evidence: Evidence) -> Iterable[tuple[str, str, Dtype]]:
    """Yield the name of each measured place and dtype, the place and the dtype."""
    for dtype in _DTYPES:
        for place in evidence.places(dtype):
            yield f"{place} {dtype}", place, dtype


def _ratios(evidence: Evidence, first: str, second: str, part: str = NET) -> dict[str, Change]:
    return {
        where: r
        for where, place, dtype in _places(evidence)
        if (r := ratio(*(evidence.measured(form, part, place, dtype) for form in (first, second))))
    }


def _against_swish(evidence: Evidence) -> Finding:
    nets = _ratios(evidence, "", "swish")
    if not nets:
        return not_measured(K4, evidence, rule=_RULE)
    verdict, why = overall_on_mobile({where: saves(r, _SAVED) for where, r in nets.items()}, evidence)
    results = ", ".join(f"{_percent(r)} on {where}" for where, r in nets.items())
    return finding(
        K4,
        verdict,
        found=f"Latency of the network with nn.Hardswish instead of swish: {results}.",
        why=why,
        how=measured_on(evidence, nets),
        rule=_RULE,
        working=(*_lines(evidence, "", ("swish", "ReLU for h-swish", "h-swish by ReLU6")), *_gate(evidence)),
    )


def _deployed(evidence: Evidence) -> Finding:
    pair = ("h-swish by clamp", "h-swish by ReLU6")
    largest = alone(evidence.graph)[0]
    changes = {f"{where}, alone": r for where, r in _ratios(evidence, *pair, largest.name).items()}
    changes |= {f"{where}, in the network": r for where, r in _ratios(evidence, *pair).items()}
    if not changes:
        return not_measured(K5, evidence, rule=FASTER)
    verdict, why = overall({where: is_faster(r) for where, r in changes.items()})
    results = "; ".join(f"{_percent(r)} on {where}" for where, r in changes.items())
    return finding(
        K5,
        verdict,
        found=f"Latency by clamp instead of ReLU6: {results}.",
        why=why,
        rule=FASTER,
        how=measured_on(evidence, [where.partition(",")[0] for where in changes]),
        working=(*_lines(evidence, "h-swish by clamp", ("h-swish by ReLU6", "")), *_fusion(evidence)),
    )


def _percent(r: Change) -> str:
    """Write the change in percent: "−3.1 % (−4.0 to −2.2)"."""
    if r.ratio is None or r.low is None or r.high is None:
        return r.verdict
    value, low, high = (f"{100 * (x - 1):+.1f}".replace("-", "−") for x in (r.ratio, r.low, r.high))
    return f"{value} % ({low} to {high})"


def _lines(evidence: Evidence, first: str, others: tuple[str, ...]) -> list[str]:
    """Return the ratios of one form's time to others', in the whole network and alone at each shape."""
    parts = {NET: "whole network", **{x.name: f"alone, {_shape(x)}" for x in alone(evidence.graph)}}
    return [
        f"{where}, {words}: time of {first or 'nn.Hardswish'} ÷ {other or 'nn.Hardswish'} {r}"
        for where, place, dtype in _places(evidence)
        for part, words in parts.items()
        for other in others
        if (r := ratio(*(evidence.measured(form, part, place, dtype) for form in (first, other))))
    ]


def _gate(evidence: Evidence) -> list[str]:
    """Return the ratios of nn.Hardsigmoid alone to its other forms."""
    return [
        f"{name}, {gate}: time of nn.Hardsigmoid ÷ {form} {r}"
        for gate in _last_gate(evidence.graph)
        for name in evidence.places()
        for form in GATES
        if (r := ratio(*(evidence.measured(variant, gate, name) for variant in ("", form))))
    ]


def _last_gate(graph: Graph) -> list[str]:
    """Return the last gate of a squeeze-excite, which is the widest; none without squeeze-excite."""
    return [layer.name for layer in graph.layers if layer.role == "se_gate"][-1:]


def _fusion(evidence: Evidence) -> list[str]:
    """Compare nn.Hardswish with ReLU, and its form by ReLU6 with nn.Hardswish, in the network."""
    lines = []
    for where, place, dtype in _places(evidence):
        relu, own, plain = (
            evidence.measured(form, NET, place, dtype)
            for form in ("ReLU for h-swish", "", "h-swish by ReLU6")
        )
        to_relu, to_own = ratio(own, relu), ratio(plain, own)
        if to_relu and to_own:
            lines.append(
                f"{where}, whole network: nn.Hardswish {_percent(to_relu)} compared with ReLU, which every "
                f"runtime fuses; h-swish by ReLU6 {_percent(to_own)} compared with nn.Hardswish"
            )
    return lines


def _shape(layer: Layer) -> str:
    return "×".join(map(str, layer.out_shape))
