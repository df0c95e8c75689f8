"""Input sizes of an ONNX model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...graph.errors import InputError, quote
from ...graph.graph import Shape
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
        sizes = _at_batch_1(value.name, dims_of(value), shapes[n] if shapes else ())
        check_sizes(sizes, f"input {quote(value.name)}")
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        shape.SetInParent()
        for size in sizes:
            shape.dim.add().dim_value = size


def _at_batch_1(name: str, known: tuple[int | str, ...] | None, wanted: Shape) -> Shape:
    """Return an input's sizes with the batch."""
    what = f"input {quote(name)}"
    if known is None and not wanted:
        raise InputError(f"{what} has no sizes in the file; expected them as input, e.g. 3x224x224")
    sizes = list((1, *wanted) if known is None else known)
    shown, options = " x ".join(map(str, sizes)), "x".join(map(str, wanted))
    if len(sizes) > max(1, len(wanted)) and isinstance(sizes[0], str):
        sizes[0] = 1
    start = len(sizes) - len(wanted)
    pairs = zip(sizes[max(0, start) :], wanted, strict=False)
    if start < 0 or any(b < 1 or (isinstance(a, int) and a != b) for a, b in pairs):
        raise InputError(f"{what} has size {shown}; the input {options} does not fit")
    fixed = tuple(size for size in (*sizes[:start], *wanted) if isinstance(size, int))
    if len(fixed) < len(sizes):
        raise InputError(f"{what} has size {shown}; expected numbers as input, e.g. 3x224x224")
    if len(fixed) > 3 and fixed[0] > 1:
        raise InputError(f"{what} has a batch of {fixed[0]}; expected 1, or a symbolic one")
    return fixed
