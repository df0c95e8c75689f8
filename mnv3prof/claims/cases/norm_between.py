"""K8: batch norm and activation between depthwise and pointwise convolution."""

from typing import Final

from msgspec.structs import replace

from ...mobilenetv3.table import Table
from ...record.findings import Evidence, Finding
from ..accuracy import BASE, finding_on_accuracy
from ..claim import Ablation, Claim

K8: Final = Claim(
    "K8",
    "Batch norm and activation between depthwise and pointwise work better than the bare pair.",
    "better",
    "MobileNets, section 3.2: batch norm and ReLU follow both layers; no comparison is given",
)
CLAIMS: Final = (K8,)

BARE: Final = "the bare pair"


def _bare(table: Table) -> Table:
    return replace(table, norm_between=False)


ABLATIONS: Final = (Ablation(BASE), Ablation(BARE, _bare))


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Judge K8."""
    return (finding_on_accuracy(K8, evidence, BARE, "Accuracy with both, compared with the bare pair"),)
