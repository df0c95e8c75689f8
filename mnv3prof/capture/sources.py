"""Captured networks by what names them: a reference, or a file."""

import hashlib
import re
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from ..graph.bounds import MOST_ELEMENTS
from ..graph.errors import InputError, printable, quote
from ..graph.graph import Eager, Graph
from ..record.run import Captured, Subject, captured_subject
from .shapes import InputShape, as_image, completed, parse_shapes

FILES: Final = (".onnx", ".tflite", ".pt2")
_REFERENCE: Final = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*:(?:[^\\/].*)?", re.ASCII | re.DOTALL)
_MOST_BYTES: Final = 2**31
_NO_EAGER: Final = Eager((), (), "a file has no modules")


def is_reference(text: str) -> bool:
    """Return True for torchvision:NAME, timm:NAME and package.module:attribute."""
    return bool(_REFERENCE.fullmatch(text))


def captured_reference(text: str, shapes: str | None = None) -> Subject:
    """Build and capture the module that a reference names. shapes: of its inputs. Raises InputError."""
    from .reference import build, parse

    given = () if shapes is None else parse_shapes(shapes)
    reference = parse(text)
    built = build(reference, meta=True)
    return captured_module(built.module, [InputShape(shape) for shape in built.inputs], given, text)


def captured_module(
    module: Any, usual: Sequence[InputShape], given: Sequence[InputShape], text: str, name: str = ""
) -> Subject:
    """Capture a module without data. Raises InputError."""
    import torch

    from .module import capture

    wanted = completed(given, usual, text)
    for each in wanted:
        if prod(each.shape) > MOST_ELEMENTS:
            sizes = "x".join(map(str, each.shape))
            raise InputError(f"{text}: the input {sizes} is too large; expected at most 2^40 elements")
    dtypes = tuple(each.dtype or _dtype_of(module) for each in wanted)
    inputs = [
        torch.empty((1, *each.shape), dtype=getattr(torch, dtype), device="meta")
        for each, dtype in zip(wanted, dtypes, strict=True)
    ]
    graph = capture(module, inputs, name or short_name(text), as_image(given))
    return captured_subject(Captured(text, "module", graph, dtypes), text)


def _dtype_of(module: Any) -> str:
    """Return the dtype of the weights, if all have the same one of floats, else float32."""
    found = {
        str(each.dtype).removeprefix("torch.") for each in module.parameters() if each.is_floating_point()
    }
    return found.pop() if len(found) == 1 else "float32"


def captured_file(path: Path, shapes: str | None = None) -> Subject:
    """Count the network of a file. shapes: of inputs that the file leaves open. Raises InputError."""
    where = printable(str(path))
    parsed = () if shapes is None else parse_shapes(shapes)
    if dtype := next((each.dtype for each in parsed if each.dtype), ""):
        raise InputError(
            f"{where}: {dtype} is not allowed as dtype, which the file has; expected sizes, e.g. 3x224x224"
        )
    given = tuple(each.shape for each in parsed)
    kind = path.suffix.lower()[1:]
    dtypes: tuple[str, ...] = ()
    name = printable(path.stem)[:200] or "network"
    if kind == "onnx":
        from .onnx import read_tensors

        graph, _, dtypes = read_tensors(path, where, name, given)
    elif kind == "tflite":
        from .tflite import read_typed

        graph, dtypes = read_typed(path, where, name)
    else:
        from .pt2 import read_pt2

        graph = read_pt2(path, where, name, given)
    _refuse_other_shapes(graph, given, where)
    captured = Captured(where, kind, replace(graph, eager=_NO_EAGER), dtypes, _digest(path))  # type: ignore[arg-type]
    return captured_subject(captured, where)


def _refuse_other_shapes(graph: Graph, given: Sequence[tuple[int, ...]], where: str) -> None:
    for shape, tensor in zip(given, graph.inputs, strict=False):
        if tensor.shape[-len(shape) :] != shape:
            sizes = "x".join(map(str, tensor.shape))
            raise InputError(
                f"{where}: its input {quote(tensor.name)} is {sizes}; expected that as input, or none"
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_name(text: str) -> str:
    """Return the name of the network of a reference: resnet50 of torchvision:resnet50."""
    head, _, rest = text.partition(":")
    return printable(rest if head in ("torchvision", "timm") else text)[:200]
