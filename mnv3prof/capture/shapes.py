"""Shapes and dtypes of a network's inputs, as an option gives them."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..graph.bounds import MOST_ELEMENTS
from ..graph.errors import InputError, quote
from ..graph.graph import Shape

DTYPES: Final = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "bool")
_WHOLE: Final = ("int64", "int32", "bool")
_ONE: Final = re.compile(r"(\[?)(\d{1,99}(?:x\d{1,99}){0,7})(\]?)(?::([a-z0-9]{1,10}))?", re.ASCII)
_EXPECTED: Final = "expected 224, 192x256, 3x224x224, [128], [16]:int64, or several by comma"


class InputShape(NamedTuple):
    """Shape of an input without the batch, and its dtype, "" for that of the network's weights.

    pixels: only height and width were given, as this text.
    """

    shape: Shape
    dtype: str = ""
    pixels: str = ""


def parse_shapes(text: str, what: str = "input") -> tuple[InputShape, ...]:
    """Parse shapes by comma. Raises InputError about `what`.

    One or two sizes are those of an image, which is of floats; brackets mark a shape that is no image.
    """
    return tuple(_parsed(each.strip().lower().replace("×", "x"), text, what) for each in text.split(","))


def _parsed(each: str, text: str, what: str) -> InputShape:
    found = _ONE.fullmatch(each)
    if not found or bool(found[1]) != bool(found[3]):
        raise InputError(f"{what}: {quote(text)} is not the shape of an input; {_EXPECTED}")
    shape, dtype = tuple(map(int, found[2].split("x"))), found[4] or ""
    pixels = found[2] if not found[1] and len(shape) <= 2 else ""
    shape = shape * 2 if pixels and len(shape) == 1 else shape
    elements = 1
    for size in shape:
        elements *= size
    if not 0 < elements <= MOST_ELEMENTS:
        raise InputError(
            f"{what}: {quote(text)} is out of range; expected sizes of at least 1, and at most 2^40 elements"
        )
    if dtype and dtype not in DTYPES:
        raise InputError(f"{what}: the dtype {quote(dtype)} is not allowed; expected {', '.join(DTYPES)}")
    if pixels and dtype in _WHOLE:
        raise InputError(
            f"{what}: {quote(text)} is an image of {dtype}; expected [{pixels}]:{dtype}, or for an image all "
            f"its sizes, e.g. 3x{'x'.join(map(str, shape))}:{dtype}"
        )
    return InputShape(shape, dtype, pixels)


def completed(given: Sequence[InputShape], usual: Sequence[InputShape], where: str) -> tuple[InputShape, ...]:
    """Return the shapes with what was not given as usual. Raises InputError about `where`.

    usual: of the network; an image that is given by its pixels has its other sizes from there.
    """
    if not given:
        return tuple(usual)
    if len(given) == 1 and given[0].pixels and len(usual) > 1:
        given = [given[0]] * len(usual)
    found = []
    for n, each in enumerate(given):
        known = usual[min(n, len(usual) - 1)].shape if usual else (3, 0, 0)
        if each.pixels and len(known) < 3:
            raise InputError(f"{where}: an input is no image; expected its whole shape, e.g. [128]")
        found.append(InputShape((*known[:-2], *each.shape), each.dtype) if each.pixels else each)
    return tuple(found)


def as_image(given: Sequence[InputShape]) -> str:
    """Return what to say about sizes that were taken as those of images, "" without any."""
    texts = dict.fromkeys(each.pixels for each in given if each.pixels)
    shapes = " and ".join(f"[{text}]" for text in texts)
    return f"{' and '.join(texts)} is read as an image; write {shapes} for another shape" if texts else ""


def at_batch_1(name: str, known: tuple[int | str, ...] | None, wanted: Shape) -> Shape:
    """Return an input's sizes with the batch, as a file has them, with numbers for names.

    known: text for an open size; None if nothing is known. wanted: the shape
    without the batch, or the last sizes; (): only the batch may be symbolic. Raises InputError.
    """
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
        raise InputError(f"{what} has the open size {shown}; expected an input in numbers, e.g. 3x224x224")
    if len(fixed) > 3 and fixed[0] > 1:
        raise InputError(f"{what} has a batch of {fixed[0]}; expected 1, or a symbolic one")
    return fixed
