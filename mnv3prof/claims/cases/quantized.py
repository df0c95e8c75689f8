"""K6: loss of accuracy in 8 bits, with h-swish and with ReLU."""

from typing import Final

from ...mobilenetv3.variants import with_activation
from ...record.findings import ClaimVerdict, Evidence, Finding
from ..accuracy import BASE, AccuracyDelta, learnt_too_little, lost_in_8_bits, trained_on
from ..claim import Ablation, Claim, finding, not_trained

K6: Final = Claim(
    "K6",
    "8-bit quantization costs less than 1 % of accuracy with h-swish, more than 3 % with ReLU.",
    "under 1 % with h-swish, over 3 % with ReLU",
    "Searching for MobileNetV3, Tables 3 and 4, on ImageNet with h-swish: Large 75.2 to 73.8 %, Small 67.5 "
    "to 64.9 %",
)
CLAIMS: Final = (K6,)

RELU: Final = "ReLU everywhere"
ABLATIONS: Final = (
    Ablation(BASE, quantized=True),
    Ablation(RELU, lambda table: with_activation(table, "RE"), quantized=True),
)
_MOST: Final = 1.0
_LEAST: Final = 3.0


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Judge K6."""
    swish, relu = (lost_in_8_bits(evidence.trials, ablation) for ablation in (BASE, RELU))
    if swish is None or relu is None:
        return (not_trained(K6),)
    verdict, why = _verdict(swish, relu, learnt_too_little(evidence.trials))
    return (
        finding(
            K6,
            verdict,
            found=f"Accuracy lost in 8 bits with h-swish: {swish}; with ReLU: {relu}.",
            why=why,
            how=f"{trained_on(evidence.trials, BASE, RELU)}; static 8-bit quantization on ONNX Runtime",
            working=(*swish.working, *relu.working),
        ),
    )


def _verdict(swish: AccuracyDelta, relu: AccuracyDelta, too_little: str) -> tuple[ClaimVerdict, str]:
    """Judge both halves of the claim by their intervals."""
    if too_little:
        return "no evidence", too_little
    halves = {
        "h-swish loses less than 1 point": _beyond(swish.high < _MOST, swish.low >= _MOST),
        "ReLU loses more than 3 points": _beyond(relu.low > _LEAST, relu.high <= _LEAST),
    }
    if hidden := [half for half, outcome in halves.items() if outcome is None]:
        return "not testable here", f"the spread of the seeds hides whether {' and '.join(hidden)}"
    if wrong := [half for half, outcome in halves.items() if not outcome]:
        return "does not hold", f"on this data it is wrong that {' and that '.join(wrong)}"
    return "holds", "on this data"


def _beyond(yes: bool, no: bool) -> bool | None:
    return True if yes else False if no else None
