"""PyTorch's torch.utils.flop_counter.FlopCounterMode."""

from torch import Tensor, nn

PACKAGE = "torch"
FIGURES = ("torch",)


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """Return the total FLOPs of FlopCounterMode."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(image)
    return (counter.get_total_flops(),)
