"""thop's profile."""

from torch import Tensor, nn

PACKAGE = "thop"
FIGURES = ("thop",)


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """Return the first value of profile(), which thop calls macs."""
    from thop import profile

    macs, _ = profile(model, inputs=(image,), verbose=False)
    return (int(macs),)
