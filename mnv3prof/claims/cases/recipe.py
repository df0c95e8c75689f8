"""K10 and K11: RMSprop against Adam, and label smoothing."""

from typing import Final

from ...record.findings import Evidence, Finding
from ..claim import NOT_IN_PAPER, Arm, Claim, finding, not_trained
from ..gained import BASE, gain, trained_on, verdict_on_gain

K10: Final = Claim(
    "K10", "RMSprop at 0.01 trains to a better accuracy than Adam.", "better",
    "Searching for MobileNetV3, section 6.1: RMSprop with momentum 0.9 at 0.1, batch 4,096; no Adam is tried",
)  # fmt: skip
K11: Final = Claim(
    "K11", "Label smoothing of 0.1 gains 0.3 to 0.5 % of accuracy.", "+0.3 to 0.5 %",
    f"{NOT_IN_PAPER}; Inception v3 (arXiv 1512.00567), section 7: about 0.2 % on ImageNet",
)  # fmt: skip
CLAIMS: Final = (K10, K11)

ADAM: Final = "Adam at 0.001"
UNSMOOTHED: Final = "no label smoothing"
ARMS: Final = (
    Arm(BASE),
    Arm(ADAM, recipe={"optimizer": "adam", "lr": 0.001}),
    Arm(UNSMOOTHED, recipe={"label_smoothing": 0.0}),
)
_AGAINST: Final = {"K10": ADAM, "K11": UNSMOOTHED}


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """K10 and K11."""
    return tuple(_against(claim, _AGAINST[claim.id], evidence) for claim in CLAIMS)


def _against(claim: Claim, other: str, evidence: Evidence) -> Finding:
    found = gain(evidence.trials, BASE, other)
    if found is None:
        return not_trained(claim)
    verdict, why = verdict_on_gain(found, evidence.trials)
    return finding(
        claim, verdict, found=f"Against {other}: {found}.", how=trained_on(evidence.trials, BASE, other),
        why=why, working=found.working,
    )  # fmt: skip
