"""ptflops' get_model_complexity_info with both of its backends."""

from torch import Tensor, nn

from . import without_torchvision

PACKAGE = "ptflops"
FIGURES = ("ptflops-aten", "ptflops-pytorch")


def read(model: nn.Module, image: Tensor) -> tuple[int, ...]:
    """Return the MACs by the aten and by the pytorch backend."""
    with without_torchvision():
        from ptflops import get_model_complexity_info

    shape = tuple(image.shape[1:])
    macs = [
        get_model_complexity_info(
            model, shape, as_strings=False, print_per_layer_stat=False, verbose=False, backend=backend
        )[0]
        for backend in ("aten", "pytorch")
    ]
    if None in macs:  # ptflops catches exceptions of the model
        raise RuntimeError("get_model_complexity_info returned None")
    return tuple(macs)
