"""PyTorch's own torch.utils.flop_counter.FlopCounterMode."""

from torch import Tensor, nn

PACKAGE = "torch"
FIGURES = ("torch",)


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """The total that FlopCounterMode prints, in FLOPs."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(image)
    return (counter.get_total_flops(),)
