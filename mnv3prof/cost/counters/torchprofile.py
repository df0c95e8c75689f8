"""torchprofile's profile_macs."""

from torch import Tensor, nn

PACKAGE = "torchprofile"
FIGURES = ("torchprofile",)


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """Return the MACs of the traced graph."""
    from torchprofile import profile_macs

    macs = profile_macs(model, image)
    return (sum(macs.values()) if isinstance(macs, dict) else macs,)
