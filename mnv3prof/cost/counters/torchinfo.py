"""torchinfo's summary."""

from torch import Tensor, nn

PACKAGE = "torchinfo"
FIGURES = ("torchinfo",)


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """Return the total mult-adds of the summary."""
    from torchinfo import summary

    return (summary(model, input_data=image, verbose=0).total_mult_adds,)
