"""Input sizes of an ONNX model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...graph.errors import InputError, quote
from ...graph.graph import Shape
from ..shapes import at_batch_1
from .file import check_sizes, dims_of

if TYPE_CHECKING:
    from onnx import ModelProto


def fix_inputs(model: "ModelProto", shapes: Sequence[Shape]) -> None:
    """Set the input sizes. Raises InputError for one that is not known.

    shapes: one per input, without the batch, which is 1, or the last sizes; (): as in the file.
    """
    given = model.graph.input
    if shapes and len(shapes) != len(given):
        names = ", ".join(quote(value.name) for value in given[:5])
        raise InputError(f"it has {len(given)} inputs ({names}); expected as many sizes, not {len(shapes)}")
    for n, value in enumerate(given):
        sizes = at_batch_1(value.name, dims_of(value), shapes[n] if shapes else ())
        check_sizes(sizes, f"input {quote(value.name)}")
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        shape.SetInParent()
        for size in sizes:
            shape.dim.add().dim_value = size
