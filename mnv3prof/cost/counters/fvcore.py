"""fvcore's FlopCountAnalysis."""

from torch import Tensor, nn

PACKAGE = "fvcore"
FIGURES = ("fvcore",)


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """Return FlopCountAnalysis.total(), which fvcore calls flops, and which are MACs."""
    from fvcore.nn import FlopCountAnalysis

    return (int(FlopCountAnalysis(model, image).total()),)
