"""calflops' calculate_flops. It imports transformers, which the extra "counters" installs."""

from torch import Tensor, nn

from . import without_torchvision

PACKAGE = "calflops"
FIGURES = ("calflops-macs", "calflops-flops")


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """Return MACs and FLOPs of one forward pass."""
    with without_torchvision():
        from calflops import calculate_flops

    flops, macs, _ = calculate_flops(
        model, args=[image], print_results=False, print_detailed=False, output_as_string=False
    )
    return macs, flops
