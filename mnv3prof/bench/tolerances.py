"""Tolerances of outputs, compared with PyTorch eager in fp32."""

from typing import Final, NamedTuple

from ..cost.counts import Dtype
from ..device.protocol import Prepared
from ..graph.parts import NET


class Tolerance(NamedTuple):
    """Largest accepted errors. rms: RMS of the error ÷ RMS of the output, of a part; net_rms: of the whole
    network, which accumulates rounding errors; largest: largest error ÷ largest magnitude.
    """

    rms: float
    net_rms: float
    largest: float


TOLERANCES: Final[dict[Dtype, Tolerance]] = {
    "fp32": Tolerance(5e-4, 5e-4, 3e-3),
    "fp16": Tolerance(0.005, 0.03, 0.03),
    "bf16": Tolerance(0.025, 0.15, 0.2),
    "int8": Tolerance(0.1, 0.4, 0.6),
}
"""At least about twice the error of correct outputs, over the presets at 32 to 224 pixels. fp32:
3e-6, but 1.7e-4 (9e-4 at the largest) where MNN multiplies k×k convolutions by Winograd's method; fp16:
0.001 (net 0.008); bf16: 0.008 (0.06); int8: 0.044 (0.29), and 0.3 at the largest where a runtime cuts
ranges to fit the bulk. An output of zeros is 1 off."""


def how_wrong(prepared: Prepared, dtype: Dtype, part: str) -> str:
    """Return by how much the output of a part is outside its tolerance, or ""."""
    allowed = TOLERANCES[dtype]
    rms = allowed.net_rms if part == NET else allowed.rms
    if prepared.max_rel_err is None or prepared.rms_rel_err is None:
        return "its output is not finite where PyTorch's is"
    if prepared.max_rel_err > allowed.largest:
        what, limit, to = prepared.max_rel_err, allowed.largest, "largest magnitude"
    elif prepared.rms_rel_err > rms:
        what, limit, to = prepared.rms_rel_err, rms, "root mean square"
    else:
        return ""
    return f"its output is {what:.3g} off the reference's, relative to its {to} ({limit:g} allowed)"
