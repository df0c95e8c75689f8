"""K8: batch norm and activation between depthwise and pointwise, against the bare pair."""

from typing import Final

from msgspec.structs import replace

from ...mobilenetv3.table import Table
from ...record.findings import Evidence, Finding
from ..claim import Arm, Claim, finding, not_trained
from ..gained import BASE, gain, trained_on, verdict_on_gain

K8: Final = Claim(
    "K8", "Batch norm and activation between depthwise and pointwise work better than the bare pair.",
    "better", "MobileNets, section 3.2: batch norm and ReLU follow both layers; no comparison is given",
)  # fmt: skip
CLAIMS: Final = (K8,)

BARE: Final = "the bare pair"


def _bare(table: Table) -> Table:
    return replace(table, norm_between=False)


ARMS: Final = (Arm(BASE), Arm(BARE, _bare))


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """K8."""
    found = gain(evidence.trials, BASE, BARE)
    if found is None:
        return (not_trained(K8),)
    verdict, why = verdict_on_gain(found, evidence.trials)
    how = trained_on(evidence.trials, BASE, BARE)
    said = f"With them against without: {found}."
    return (finding(K8, verdict, found=said, how=how, why=why, working=found.working),)
