"""K10 and K11: RMSprop compared with Adam, and label smoothing."""

from typing import Final

from ...record.findings import Evidence, Finding
from ..accuracy import BASE, finding_on_accuracy
from ..claim import NOT_IN_PAPER, Ablation, Claim

K10: Final = Claim(
    "K10",
    "RMSprop at 0.01 trains to a better accuracy than Adam.",
    "better",
    "Searching for MobileNetV3, section 6.1: RMSprop with momentum 0.9 at 0.1, batch 4,096; no Adam",
)
K11: Final = Claim(
    "K11",
    "Label smoothing of 0.1 gains 0.3 to 0.5 % of accuracy.",
    "+0.3 to 0.5 %",
    f"{NOT_IN_PAPER}; Inception v3 (arXiv 1512.00567), section 7: about 0.2 % on ImageNet",
)
CLAIMS: Final = (K10, K11)

ADAM: Final = "Adam at 0.001"
UNSMOOTHED: Final = "no label smoothing"
ABLATIONS: Final = (
    Ablation(BASE),
    Ablation(ADAM, recipe={"optimizer": "adam", "lr": 0.001}),
    Ablation(UNSMOOTHED, recipe={"label_smoothing": 0.0}),
)


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Judge K10 and K11."""
    return tuple(
        finding_on_accuracy(claim, evidence, other, f"Accuracy compared with {other}")
        for claim, other in ((K10, ADAM), (K11, UNSMOOTHED))
    )
